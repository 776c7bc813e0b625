"""Wall 2: locks the calling process for good. ctypes only; runs in a freshly forked child, before any stranger's byte.

The order matters, and each step says why where it is not plain. What a kernel lacks is left out and reported.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from typing import Final

from . import landlock
from .errors import LockFailed
from .seccomp import ARCHITECTURES, build_filter
from .wire import ADDRESS_SPACE, LANDLOCK, MIB, PRIVILEGES, SECCOMP

SOCKET_FD: Final = 3
NOBODY: Final = 65534

_PDEATHSIG, _DUMPABLE, _CAPBSET_DROP, _SECUREBITS, _NO_NEW_PRIVS, _CAP_AMBIENT = 1, 4, 24, 28, 38, 47
_AMBIENT_CLEAR_ALL = 4
_SECCOMP_SET_FILTER, _SECCOMP_TSYNC = 1, 1
#: No capability through uid 0, no way to get them back; each with its lock bit.
_NO_ROOT_BITS = 0b1110_1111
_CAPABILITY_VERSION_3 = 0x2008_0522
_SIGKILL = 9


def _library() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


_libc = _library()
_arch = ARCHITECTURES.get(os.uname().machine) if struct.calcsize("P") == 8 else None
_filter = build_filter(_arch, SOCKET_FD) if _arch else b""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def lock(*, parent: int, memory_bytes: int, cpu_s: int, layers: frozenset[str]) -> dict[str, str]:
    """Lock this process; returns what is in force as `layer: detail`, an empty detail for a layer that is not.

    `parent` is the zygote: where it is gone already, the process ends at once.
    """
    if sys.platform == "darwin":
        return _lock_darwin(cpu_s=cpu_s, layers=layers)
    report = {LANDLOCK: "", SECCOMP: "", PRIVILEGES: "", ADDRESS_SPACE: ""}
    _prctl(_NO_NEW_PRIVS, 1)  # Landlock and seccomp ask for it
    if LANDLOCK in layers:
        try:
            report[LANDLOCK] = f"ABI {landlock.restrict(_libc)}"
        except LockFailed as error:
            report["no landlock"] = str(error)
    _set_limits(cpu_s)
    if ADDRESS_SPACE in layers:
        _set_limit(resource.RLIMIT_AS, memory_bytes)
        report[ADDRESS_SPACE] = f"{memory_bytes // MIB} MB"
    if PRIVILEGES in layers:
        report[PRIVILEGES] = _drop_privileges()
    # What is open now is all there will ever be: no file, socket or pipe, even without a filter.
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOCKET_FD + 1, SOCKET_FD + 1))
    _prctl(_DUMPABLE, 0)
    _prctl(_PDEATHSIG, _SIGKILL)  # a change of uid clears it
    if os.getppid() != parent:  # it died before the line above
        os._exit(70)
    if SECCOMP in layers:
        try:
            report[SECCOMP] = _install_filter()
        except LockFailed as error:
            report["no seccomp"] = str(error)
    return report


def _install_filter() -> str:
    if _arch is None:
        raise LockFailed(f"no filter is written for {os.uname().machine}")
    program = _Program(len(_filter) // 8, _filter)
    done = _libc.syscall(
        ctypes.c_long(_arch.seccomp),
        ctypes.c_long(_SECCOMP_SET_FILTER),
        ctypes.c_long(_SECCOMP_TSYNC),
        ctypes.byref(program),
    )
    if done != 0:
        raise LockFailed(f"seccomp: {os.strerror(ctypes.get_errno())}")
    return "filter"


def _set_limits(cpu_s: int) -> None:
    wanted = {
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if sys.platform == "linux":
        wanted |= {
            resource.RLIMIT_MSGQUEUE: 0,
            resource.RLIMIT_NICE: 0,
            resource.RLIMIT_RTPRIO: 0,
            resource.RLIMIT_SIGPENDING: 0,
        }
    for name, value in wanted.items():
        _set_limit(name, value)


def _set_limit(name: int, value: int) -> None:
    hard = resource.getrlimit(name)[1]
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    # A second between soft and hard: SIGXCPU tells the host what the child died of.
    ceiling = soft + 1 if name == resource.RLIMIT_CPU and (hard == resource.RLIM_INFINITY or soft < hard) else soft
    resource.setrlimit(name, (soft, ceiling))


def _drop_privileges() -> str:
    """Give up every capability, and root's uid where there is another. Late, since the steps before it need them."""
    what = "ordinary user"
    if os.geteuid() == 0:
        for capability in range(64):  # ends at the kernel's last one
            if _libc.prctl(_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
                break
        _libc.prctl(_CAP_AMBIENT, ctypes.c_ulong(_AMBIENT_CLEAR_ALL), 0, 0, 0)
        _libc.prctl(_SECUREBITS, ctypes.c_ulong(_NO_ROOT_BITS), 0, 0, 0)
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            what = f"uid {NOBODY}"
        except OSError:  # a rootless container maps no second uid; without capabilities root is no more than its user
            what = "root without capabilities"
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if _arch is not None and _libc.syscall(ctypes.c_long(_arch.capset), header, bytes(24)) != 0:
        raise LockFailed(f"capabilities stay: {os.strerror(ctypes.get_errno())}")
    return what


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise LockFailed(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def _lock_darwin(*, cpu_s: int, layers: frozenset[str]) -> dict[str, str]:
    """The floor of macOS: rlimits, no new file descriptor, the system's own sandbox."""
    _set_limits(cpu_s)
    # Not even asked for: newer systems answer that limit with an error.
    why_not = "macOS does not keep to that limit; what the process holds is measured instead"
    report = {"seatbelt": "", ADDRESS_SPACE: "", f"no {ADDRESS_SPACE}": why_not}
    if SECCOMP in layers:
        profile = ctypes.c_char_p.in_dll(_libc, "kSBXProfilePureComputation")
        message = ctypes.c_char_p()
        if _libc.sandbox_init(profile, ctypes.c_uint64(1), ctypes.byref(message)) == 0:
            report["seatbelt"] = "pure computation"
        else:
            report["no seatbelt"] = (message.value or b"unknown").decode(errors="replace")
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOCKET_FD + 1, SOCKET_FD + 1))
    return report
