"""The system call filter of a locked child, as BPF: pure data, built for any architecture."""

from __future__ import annotations

import errno
from typing import Final

from .bpf import ALLOW, ANY_BIT, AT_LEAST, EQUAL, ERRNO, KILL_PROCESS, Rules

_PROT_EXEC = 4
_FOREIGN_CLOCK = 16

#: Only on the one socket; elsewhere the file descriptor is bad.
_SOCKET_ONLY = ("read", "write")
#: Only without PROT_EXEC.
_NEVER_EXECUTABLE = ("mmap", "mprotect")
#: Only of the system's clocks, which are 0 to 11: a negative number is the CPU time of any process.
_CLOCKS = ("clock_gettime",)
_FREE = (
    "munmap", "mremap", "madvise", "brk", "futex", "rt_sigreturn", "exit", "exit_group", "restart_syscall",
)  # fmt: skip
#: What an interpreter probes without harm: lazy imports, source lines of tracebacks. An error instead of death.
_DENIED = (
    "open", "openat", "openat2", "stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getcwd", "getdents64", "lseek", "ioctl", "getrandom",
)  # fmt: skip


class Architecture:
    """`audit` is what the kernel calls it in seccomp_data; calls that an architecture lacks have no number."""

    # Not a dataclass: making one takes a child's start four milliseconds.
    __slots__ = ("audit", "capset", "numbers", "seccomp", "x32")

    def __init__(self, *, audit: int, x32: bool, seccomp: int, capset: int, numbers: dict[str, int]) -> None:
        self.audit = audit
        self.x32 = x32
        self.seccomp = seccomp
        self.capset = capset
        self.numbers = numbers


ARCHITECTURES: Final[dict[str, Architecture]] = {
    "x86_64": Architecture(
        audit=0xC000_003E,
        x32=True,
        seccomp=317,
        capset=126,
        numbers={
            "read": 0, "write": 1, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigreturn": 15, "mremap": 25,
            "madvise": 28, "exit": 60, "futex": 202, "restart_syscall": 219, "clock_gettime": 228, "exit_group": 231,
            "open": 2, "stat": 4, "fstat": 5, "lstat": 6, "lseek": 8, "ioctl": 16, "access": 21, "getcwd": 79,
            "readlink": 89, "getdents64": 217, "openat": 257, "newfstatat": 262, "readlinkat": 267, "faccessat": 269,
            "getrandom": 318, "statx": 332, "openat2": 437, "faccessat2": 439,
        },
    ),
    "aarch64": Architecture(
        audit=0xC000_00B7,
        x32=False,
        seccomp=277,
        capset=91,
        numbers={
            "read": 63, "write": 64, "mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214, "rt_sigreturn": 139,
            "mremap": 216, "madvise": 233, "exit": 93, "futex": 98, "restart_syscall": 128, "clock_gettime": 113,
            "exit_group": 94, "fstat": 80, "lseek": 62, "ioctl": 29, "getcwd": 17, "getdents64": 61, "openat": 56,
            "newfstatat": 79, "readlinkat": 78, "faccessat": 48, "getrandom": 278, "statx": 291, "openat2": 437,
            "faccessat2": 439,
        },
    ),
}  # fmt: skip


def build_filter(arch: Architecture, socket_fd: int) -> bytes:
    """The program for `arch`: what is not listed above kills the process."""
    rules = Rules(arch)
    for name in _SOCKET_ONLY:
        rules.when(arch.numbers[name], ALLOW, (0, EQUAL, socket_fd))
        rules.when(arch.numbers[name], ERRNO | errno.EBADF)
    for name in _NEVER_EXECUTABLE:
        rules.when(arch.numbers[name], KILL_PROCESS, (2, ANY_BIT, _PROT_EXEC))
        rules.when(arch.numbers[name], ALLOW)
    for name in _CLOCKS:
        rules.when(arch.numbers[name], ERRNO | errno.EACCES, (0, AT_LEAST, _FOREIGN_CLOCK))
        rules.when(arch.numbers[name], ALLOW)
    for name in _FREE:
        rules.when(arch.numbers[name], ALLOW)
    for name in _DENIED:
        if name in arch.numbers:
            rules.when(arch.numbers[name], ERRNO | errno.EACCES)
    return rules.program(KILL_PROCESS)
