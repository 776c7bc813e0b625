"""Landlock around a command: what it may read and write, as rules. They only add, so nothing is taken from a folder.

Where no mounts hold the protected paths, the folders on the way to them are granted entry by entry: nothing can be
created, removed or renamed directly in those.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from .. import landlock
from ..errors import LockFailed
from . import kernel
from .paths import holds

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _PATH_BENEATH = 444, 445, 446, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_MAKE_DEVICES = 1 << 6 | 1 << 11
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 15


class Installed(NamedTuple):
    version: int
    scoped: bool


def restrict(*, readable: Iterable[str], writable: Iterable[str], tcp: bool, scope: bool) -> Installed:
    """Confine this process to these paths.

    Without `tcp`, no TCP; with `scope`, no signals and no abstract sockets to the outside. Paths that are not there
    are left out. Raises LockFailed where the kernel has no Landlock.
    """
    version = landlock.abi(kernel.libc)
    rights = landlock.known_rights(version)
    attributes = landlock.ruleset_attributes(version, tcp=not tcp, scope=scope)
    try:
        ruleset = kernel.syscall("no ruleset", _CREATE_RULESET, attributes, len(attributes), 0)
        for path in readable:
            _allow(ruleset, path, _READ & rights)
        for path in writable:
            _allow(ruleset, path, rights & ~_MAKE_DEVICES, os.O_NOFOLLOW)
        kernel.syscall("not installed", _RESTRICT_SELF, ruleset, 0)
    except OSError as error:
        raise LockFailed(f"landlock: {error.strerror}") from error
    os.close(ruleset)
    return Installed(version, scope and version >= 6)


def _allow(ruleset: int, path: str, rights: int, how: int = 0) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC | how)
    except OSError:
        return
    mode = os.fstat(fd).st_mode
    if not stat.S_ISDIR(mode):
        rights &= _OF_FILES
    if not stat.S_ISLNK(mode):  # one that took the place of what was looked at
        kernel.syscall(f"no rule for {path}", _ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    os.close(fd)


def writable_entries(root: str, protected: Sequence[str]) -> list[str]:
    """What may be granted whole below `root` so that no protected path is granted; folders and files, no links."""
    if not any(holds(root, each) for each in protected):
        return [root]
    if root in protected:
        return []
    found = []
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_symlink():
                continue
            if entry.is_dir() or entry.path not in protected:
                found += writable_entries(entry.path, protected)
    return found


SYSTEM_FILES: Final = (
    "/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/uptime",
    "/proc/version", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/ngroups_max", "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage", "/etc/passwd", "/etc/group",
)  # fmt: skip
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
