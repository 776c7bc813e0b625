"""The system call filter of commands: an ordinary program notices nothing of it. Pure data, for any architecture.

What is refused answers with an error that programs know how to go on after, never with death.
"""

from __future__ import annotations

import errno
from typing import Final

from ..bpf import ALLOW, ANY_BIT, EQUAL, ERRNO, NOTIFY, Rules
from ..seccomp import Architecture
from .syscalls import FIRST_UNKNOWN, NUMBERS

#: Needs a privilege that no command has, reaches into other processes, or opens much of the kernel.
_REFUSED: Final = (
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "unshare", "setns", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
    "process_mrelease", "kcmp", "pidfd_getfd", "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key",
    "request_key", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module",
    "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "nfsservctl", "name_to_handle_at",
    "open_by_handle_at", "iopl", "ioperm", "modify_ldt", "lookup_dcookie", "syslog", "settimeofday", "clock_settime",
    "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "vhangup", "fanotify_init", "fanotify_mark",
    "move_pages", "migrate_pages", "memfd_secret", "uselib", "ustat", "sysfs", "_sysctl",
)  # fmt: skip
#: Their arguments lie in memory, out of a filter's sight, or they have no filter at all. Programs have another way.
_ABSENT: Final = ("clone3", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register")

_NEW_NAMESPACES: Final = 0x7E02_0000
#: TIOCSTI types into the terminal of whoever started us; TIOCLINUX pastes into it.
_TERMINAL_TRICKS: Final = (0x5412, 0x541C)
_SET_ID_BITS, _DEVICE_BIT = 0o6000, 0o020000
_CREATES: Final = 0o100 | 0o20000000  # O_CREAT, O_TMPFILE
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
#: Personalities: plain Linux, and asking which one it is.
_PERSONALITIES: Final = (0, 0xFFFF_FFFF)

#: (call, its mode's argument); setting a setuid or setgid bit would lend this user's rights to others.
_MODES: Final = (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("creat", 1), ("mknod", 1), ("mknodat", 2))

#: Where mounts do not hold: Landlock knows nothing of these. The first go to the broker, if there is one.
BROKERED: Final = ("chmod", "fchmod", "fchmodat", "utimensat")
_OLD_TIMES: Final = ("utime", "utimes", "futimesat")
_XATTR: Final = ("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr")
_OWNERS: Final = (("chown", 1), ("lchown", 1), ("fchown", 1), ("fchownat", 2))
_IPC: Final = (
    "shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl",
    "mq_open", "mq_unlink",
)  # fmt: skip
_SIGNALS: Final = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")
_UNCHANGED: Final = 0xFFFF_FFFF
#: (call, the argument that names a process): 0 is the caller. Limits of the engine set to nothing would kill it.
_TUNING: Final = (
    ("prlimit64", 0), ("sched_setparam", 0), ("sched_setscheduler", 0), ("sched_setaffinity", 0), ("sched_setattr", 0),
    ("setpriority", 1), ("ioprio_set", 1),
)  # fmt: skip
#: FS_IOC_SETFLAGS (both widths), SETVERSION, FSSETXATTR, ENABLE_VERITY, SET_ENCRYPTION_POLICY: on a file open to read.
_FILE_FLAGS: Final = (0x4008_6602, 0x4004_6602, 0x4008_7602, 0x401C_5820, 0x4080_6685, 0x800C_6613)
_WRITES, _TRUNCATES = 0o3, 0o1000


class Leaks:
    """What the other walls leave open, so that the filter has to close it."""

    __slots__ = ("broker", "ipc", "metadata", "processes", "signals", "truncation")

    def __init__(
        self, *, metadata: bool, truncation: bool, processes: bool, signals: bool, ipc: bool, broker: bool
    ) -> None:
        self.metadata = metadata  # modes, owners, times and attributes of files outside of the project
        self.truncation = truncation  # of files that may be read: Landlock before ABI 3
        self.processes = processes  # limits and priorities of processes that are not the command's
        self.signals = signals  # to processes that are not the command's
        self.ipc = ipc  # System V and POSIX queues, shared memory, semaphores of this user
        self.broker = broker  # somebody answers notifications


def build_filter(
    arch: Architecture, machine: str, *, families: tuple[int, ...], leaks: Leaks, uid: int, gid: int
) -> bytes:
    """The program for commands: sockets of `families` only, and what `leaks` asks for; `uid` and `gid` are its own."""
    numbers = NUMBERS[machine]
    rules = Rules(arch)
    _privileged(rules, numbers)
    for family in families:
        rules.when(numbers["socket"], ALLOW, (0, EQUAL, family))
    rules.when(numbers["socket"], ERRNO | errno.EPERM)
    if leaks.metadata:
        _metadata(rules, numbers, leaks, uid, gid)
    if leaks.truncation:
        _truncation(rules, numbers)
    if leaks.processes:
        for name, argument in _TUNING:
            rules.when(numbers[name], ALLOW, (argument, EQUAL, 0))
            rules.when(numbers[name], ERRNO | errno.EPERM)
    if leaks.ipc:
        for name in _IPC:
            rules.when(numbers[name], ERRNO | errno.EPERM)
    if leaks.signals:
        _signals(rules, numbers, leaks)
    rules.beyond(FIRST_UNKNOWN, ERRNO | errno.ENOSYS)
    return rules.program(ALLOW)


def _privileged(rules: Rules, numbers: dict[str, int]) -> None:
    for name in _REFUSED:
        if name in numbers:
            rules.when(numbers[name], ERRNO | errno.EPERM)
    for name in _ABSENT:
        rules.when(numbers[name], ERRNO | errno.ENOSYS)
    rules.when(numbers["clone"], ERRNO | errno.EPERM, (0, ANY_BIT, _NEW_NAMESPACES))
    for trick in _TERMINAL_TRICKS:
        rules.when(numbers["ioctl"], ERRNO | errno.EPERM, (1, EQUAL, trick))
    for value in _PERSONALITIES:
        rules.when(numbers["personality"], ALLOW, (0, EQUAL, value))
    rules.when(numbers["personality"], ERRNO | errno.EPERM)
    for name, mode in _MODES:
        if name in numbers:
            rules.when(numbers[name], ERRNO | errno.EPERM, (mode, ANY_BIT, _SET_ID_BITS))
    for name, flags in (("open", 1), ("openat", 2)):  # the mode is a left-over unless a file is created
        if name in numbers:
            creates_set_id = ((flags, ANY_BIT, _CREATES), (flags + 1, ANY_BIT, _SET_ID_BITS))
            rules.when(numbers[name], ERRNO | errno.EPERM, *creates_set_id)
    for name, mode in (("mknod", 1), ("mknodat", 2)):
        if name in numbers:
            rules.when(numbers[name], ERRNO | errno.EPERM, (mode, ANY_BIT, _DEVICE_BIT))


def _metadata(rules: Rules, numbers: dict[str, int], leaks: Leaks, uid: int, gid: int) -> None:
    for name in BROKERED:
        if name in numbers:
            rules.when(numbers[name], NOTIFY if leaks.broker else ERRNO | errno.EPERM)
    for name in _OLD_TIMES:
        if name in numbers:
            rules.when(numbers[name], ERRNO | errno.ENOSYS)  # libraries have used utimensat for long
    for flag in _FILE_FLAGS:
        rules.when(numbers["ioctl"], ERRNO | errno.EPERM, (1, EQUAL, flag))
    for name in _XATTR:
        rules.when(numbers[name], ERRNO | errno.EOPNOTSUPP)
    for name, owner in _OWNERS:
        if name not in numbers:
            continue
        # `cp -p` and `tar` of root give files to root, whose they are already: they go on if nothing says no.
        for new_uid in (uid, _UNCHANGED):
            for new_gid in (gid, _UNCHANGED):
                rules.when(numbers[name], ERRNO | 0, (owner, EQUAL, new_uid), (owner + 1, EQUAL, new_gid))
        rules.when(numbers[name], ERRNO | errno.EPERM)


def _truncation(rules: Rules, numbers: dict[str, int]) -> None:
    rules.when(numbers["truncate"], ERRNO | errno.EPERM)
    for name, flags in (("open", 1), ("openat", 2)):
        if name in numbers:  # to write is a right that every Landlock knows
            rules.when(numbers[name], ALLOW, (flags, ANY_BIT, _WRITES))
            rules.when(numbers[name], ERRNO | errno.EPERM, (flags, ANY_BIT, _TRUNCATES))


def _signals(rules: Rules, numbers: dict[str, int], leaks: Leaks) -> None:
    rules.when(numbers["kill"], ALLOW, (0, EQUAL, 0))  # its own process group
    for name in _SIGNALS:
        answered = leaks.broker and name != "pidfd_send_signal"
        rules.when(numbers[name], NOTIFY if answered else ERRNO | errno.EPERM)
