"""Landlock: a ruleset without a rule takes every right that it knows. The numbers are the same everywhere."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from .errors import LockFailed

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION = 1
#: Rights over files by ABI; a newer kernel is asked for what we know of.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_FILE_RIGHTS = (1 << 16) - 1
_TCP_RIGHTS = 0b11  # bind, connect; from ABI 4
_SCOPES = 0b11  # abstract unix sockets, signals; from ABI 6

_WHY_NOT = {
    errno.ENOSYS: "the kernel has none (older than 5.13, or hidden by the container)",
    errno.EOPNOTSUPP: "built into the kernel, but not switched on at boot (lsm=)",
    errno.EPERM: "the container's seccomp profile forbids it",
}


def abi(libc: ctypes.CDLL) -> int:
    """The kernel's Landlock version. Raises LockFailed with the reason where it has none."""
    version = int(libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)))
    if version <= 0:
        number = ctypes.get_errno()
        raise LockFailed(_WHY_NOT.get(number, os.strerror(number)))
    return version


def known_rights(version: int) -> int:
    """The rights over files that an ABI knows; a newer kernel is asked for what we know of."""
    return _FILE_RIGHTS.get(version, _ALL_FILE_RIGHTS)


def ruleset_attributes(version: int, *, tcp: bool, scope: bool) -> bytes:
    """A ruleset that handles all rights over files; with `tcp` TCP, with `scope` signals and abstract sockets, too.

    As long as this ABI knows it: what it does not know is left out.
    """
    taken = (known_rights(version), _TCP_RIGHTS if tcp else 0, _SCOPES if scope else 0)
    return struct.pack("=QQQ", *taken)[: 8 if version < 4 else 16 if version < 6 else 24]


def restrict(libc: ctypes.CDLL) -> int:
    """Take every right that this kernel's Landlock knows from the calling thread; returns the ABI."""
    version = abi(libc)
    attributes = ruleset_attributes(version, tcp=True, scope=True)
    ruleset = int(
        libc.syscall(ctypes.c_long(_CREATE_RULESET), attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    )
    if ruleset < 0:
        raise LockFailed(f"no ruleset: {os.strerror(ctypes.get_errno())}")
    try:
        if libc.syscall(ctypes.c_long(_RESTRICT_SELF), ctypes.c_int(ruleset), ctypes.c_uint32(0)) != 0:
            raise LockFailed(f"not installed: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)
    return version
