"""The system calls that Python does not offer, by ctypes. Loaded by the supervisor and what it forks."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from typing import Final, NoReturn

from ..seccomp import ARCHITECTURES

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x1000_0000, 0x2000_0000, 0x4000_0000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 0x1000, 0x4000, 0x4_0000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8
_AT_FDCWD, _AT_RECURSIVE, _AT_SYMLINK_NOFOLLOW = -100, 0x8000, 0x100
_MOUNT_SETATTR, _MNT_DETACH = 442, 2
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SUBREAPER, _NO_NEW_PRIVS = 1, 4, 36, 38
_CAPBSET_DROP, _SECUREBITS, _CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 24, 28, 47, 4
#: No capability through uid 0, no way to get them back; each with its lock bit.
_NO_ROOT_BITS = 0b1110_1111
_CAPABILITY_VERSION_3 = 0x2008_0522
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_SIGKILL = 9

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
arch: Final = ARCHITECTURES.get(os.uname().machine) if struct.calcsize("P") == 8 else None


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def fail(what: str) -> NoReturn:
    """Raise OSError for the call that just failed."""
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


def syscall(what: str, number: int, *arguments: object) -> int:
    """Call by number; integers go as longs. Raises OSError that begins with `what`."""
    ready = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *ready))
    if result < 0:
        fail(what)
    return result


def prctl(option: int, value: int, what: str) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        fail(what)


def die_with_parent() -> None:
    """The kernel kills this process when the thread that forked it ends."""
    prctl(_SET_PDEATHSIG, _SIGKILL, "parent death signal")


def hide() -> None:
    """Nobody of this uid reads this process's memory, environment or descriptors, or traces it."""
    prctl(_SET_DUMPABLE, 0, "not dumpable")


def adopt_orphans() -> None:
    """What loses its parent below this process becomes its child."""
    prctl(_SET_SUBREAPER, 1, "child subreaper")


def no_new_privileges() -> None:
    prctl(_NO_NEW_PRIVS, 1, "no new privileges")


def drop_capabilities() -> None:
    """Give up every capability, and every way to get one by executing something. Needs no_new_privileges first."""
    for capability in range(64):  # ends at the kernel's last one, and at once for who may not
        if libc.prctl(_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break
    libc.prctl(_CAP_AMBIENT, ctypes.c_ulong(_AMBIENT_CLEAR_ALL), 0, 0, 0)
    libc.prctl(_SECUREBITS, ctypes.c_ulong(_NO_ROOT_BITS), 0, 0, 0)
    if arch is None:
        raise OSError(0, f"capabilities: no system call table for {os.uname().machine}")
    syscall("capabilities", arch.capset, struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def unshare(flags: int) -> None:
    if libc.unshare(ctypes.c_int(flags)) != 0:
        fail("unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    done = libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), options.encode() or None
    )
    if done != 0:
        fail(f"mount {kind or 'bind'} on {target}")


def set_mount_attributes(target: str, attributes: int) -> None:
    """Add `attributes` to the mount at `target` and to every mount below it. Linux 5.12."""
    what = struct.pack("=QQQQ", attributes, 0, 0, 0)
    syscall(
        f"mount attributes of {target}",
        _MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(target),
        _AT_RECURSIVE | _AT_SYMLINK_NOFOLLOW,
        what,
        len(what),
    )


def pivot_here() -> None:
    """Make the current folder, a mount of its own, the root; the old root is gone afterwards."""
    number = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
    syscall("pivot_root", number, b".", b".")
    if libc.umount2(b".", ctypes.c_int(_MNT_DETACH)) != 0:
        fail("unmount the old root")
    os.chdir("/")


def install_filter(program: bytes, *, listen: bool) -> int:
    """Put a system call filter on this process. Returns the descriptor that its notifications come from, or -1."""
    if arch is None:
        raise OSError(0, f"no filter is written for {os.uname().machine}")
    code = _Program(len(program) // 8, program)
    result = syscall("seccomp", arch.seccomp, _SET_MODE_FILTER, _NEW_LISTENER if listen else 0, ctypes.byref(code))
    return result if listen else -1


def bring_up_loopback() -> None:
    request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS
