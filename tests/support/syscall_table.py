"""The kernel's own tables of system calls, frozen, apart from the numbers in the product."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "syscalls"

#: What a locked process may do, by name.
SOCKET_ONLY = frozenset({"read", "write"})
NEVER_EXECUTABLE = frozenset({"mmap", "mprotect"})
FREE = frozenset({
    "munmap", "mremap", "madvise", "brk", "futex", "rt_sigreturn", "exit", "exit_group", "restart_syscall",
})  # fmt: skip
#: Only of the system's own clocks, numbers below 16; a negative one is the CPU time of any process.
CLOCKS = frozenset({"clock_gettime"})
#: What the interpreter probes: answered with an error. Of these aarch64 never had ONLY_OLD.
PROBES = frozenset({
    "open", "openat", "openat2", "stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getcwd", "getdents64", "lseek", "ioctl", "getrandom",
})  # fmt: skip
ONLY_OLD = frozenset({"open", "stat", "lstat", "access", "readlink"})

#: x86-64, from Linux 6.13 on: uretprobe and uprobe pass by every filter. A process that has no probe in it gets SIGILL
#: or ENXIO for them.
PAST_EVERY_FILTER = frozenset({335, 336})


def names_of(machine: str) -> dict[int, str]:
    """Number to name, on `machine` as uname calls it."""
    lines = (_FOLDER / f"{machine}.txt").read_text(encoding="ascii").splitlines()
    return {int(number): name for number, _, name in (line.partition(" ") for line in lines if line[0] != "#")}
