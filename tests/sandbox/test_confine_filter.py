"""The system call filter of commands as data, on both architectures."""

from __future__ import annotations

import errno
import os

import pytest

from tests.support.bpf import Program
from vibe_workflows.sandbox.bpf import ALLOW, ERRNO, KILL_PROCESS, NOTIFY
from vibe_workflows.sandbox.confine.filter import AF_INET, AF_UNIX, BROKERED, Leaks, build_filter
from vibe_workflows.sandbox.confine.syscalls import FIRST_UNKNOWN, NUMBERS
from vibe_workflows.sandbox.seccomp import ARCHITECTURES

DENIED = ERRNO | errno.EPERM
ABSENT = ERRNO | errno.ENOSYS
UID, GID = 1000, 1001


class Filter:
    """A filter, asked by name."""

    def __init__(self, machine: str, *, leaks: bool = False, broker: bool = False) -> None:
        self.arch = ARCHITECTURES[machine]
        self.numbers = NUMBERS[machine]
        self.program = Program(
            build_filter(
                self.arch,
                machine,
                families=(AF_UNIX, AF_INET),
                leaks=Leaks(metadata=leaks, truncation=leaks, processes=leaks, signals=leaks, ipc=leaks, broker=broker),
                uid=UID,
                gid=GID,
            )
        )

    def __call__(self, name: str, *arguments: int) -> int:
        return self.number(self.numbers[name], *arguments)

    def number(self, number: int, *arguments: int) -> int:
        return self.program.verdict(self.arch.audit, number, arguments)


@pytest.fixture(params=sorted(NUMBERS))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_is_not_listed_is_allowed_up_to_the_newest_call_that_was_thought_about(machine: str) -> None:
    ask = Filter(machine)
    listed = set(ask.numbers.values())
    for number in range(FIRST_UNKNOWN):
        if number not in listed:
            assert ask.number(number) == ALLOW
    for number in (FIRST_UNKNOWN, FIRST_UNKNOWN + 1, 600, 5000):
        assert ask.number(number) == ABSENT


def test_foreign_architectures_are_killed(machine: str) -> None:
    ask = Filter(machine)
    for other in (0x4000_0003, *(each.audit for each in ARCHITECTURES.values() if each is not ask.arch)):
        assert ask.program.verdict(other, 0) == KILL_PROCESS


def test_a_second_table_of_numbers_is_closed() -> None:
    assert Filter("x86_64").number(0x4000_0001) == KILL_PROCESS


def test_namespaces_cannot_be_made_by_clone_and_threads_can(machine: str) -> None:
    ask = Filter(machine)
    for bit in (0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000):
        assert ask("clone", bit | 17) == DENIED
    assert ask("clone", 17) == ALLOW
    assert ask("clone", 0x3D0F00) == ALLOW  # what a thread is made with
    assert ask("clone3") == ABSENT
    assert ask("unshare") == DENIED


def test_typing_into_a_terminal_is_denied_whatever_the_upper_half_says(machine: str) -> None:
    ask = Filter(machine)
    for trick in (0x5412, 0x541C):
        assert ask("ioctl", 0, trick) == DENIED
        assert ask("ioctl", 0, trick | 1 << 32) == DENIED
    assert ask("ioctl", 0, 0x5401) == ALLOW


def test_sockets_are_of_the_families_that_were_given(machine: str) -> None:
    ask = Filter(machine)
    assert ask("socket", AF_UNIX) == ask("socket", AF_INET) == ALLOW
    for family in (10, 16, 17, 40):  # IPv6, netlink, packets, virtual machines
        assert ask("socket", family) == DENIED


def test_files_are_not_made_to_run_as_this_user_for_everybody(machine: str) -> None:
    ask = Filter(machine)
    for bits in (0o4755, 0o2755):
        assert ask("fchmod", 3, bits) == ask("fchmodat", 3, 0, bits) == DENIED
        assert ask("openat", 3, 0, os.O_CREAT | os.O_WRONLY, bits) == DENIED
        assert ask("mknodat", 3, 0, 0o100000 | bits) == DENIED
    assert ask("fchmod", 3, 0o755) == ALLOW
    assert ask("openat", 3, 0, os.O_CREAT | os.O_WRONLY, 0o755) == ALLOW
    assert ask("openat", 3, 0, os.O_RDONLY, 0o4755) == ALLOW  # left over in the register


def test_devices_are_not_made_and_pipes_are(machine: str) -> None:
    ask = Filter(machine)
    assert ask("mknodat", 3, 0, 0o060666) == ask("mknodat", 3, 0, 0o020666) == DENIED
    assert ask("mknodat", 3, 0, 0o010666) == ALLOW


def test_where_other_walls_leak_the_filter_closes_what_they_leave_open(machine: str) -> None:
    tight, ask = Filter(machine), Filter(machine, leaks=True)
    for name in (*BROKERED, "kill", "tgkill", "shmget", "mq_open"):
        if name in ask.numbers:
            assert tight(name, 5) == ALLOW
            assert ask(name, 5) == DENIED
    assert ask("setxattr") == ERRNO | errno.EOPNOTSUPP
    assert ask("kill", 0, 9) == ALLOW


def test_a_file_that_may_be_read_is_not_truncated_nor_marked(machine: str) -> None:
    tight, ask = Filter(machine), Filter(machine, leaks=True)
    assert ask("openat", 3, 0, os.O_RDONLY | os.O_TRUNC) == ask("truncate") == DENIED
    assert ask("openat", 3, 0, os.O_WRONLY | os.O_TRUNC) == ask("openat", 3, 0, os.O_RDONLY) == ALLOW
    for flags in (0x4008_6602, 0x4080_6685):
        assert ask("ioctl", 3, flags) == DENIED
        assert tight("ioctl", 3, flags) == ALLOW


def test_limits_and_priorities_are_set_of_the_caller_only(machine: str) -> None:
    ask = Filter(machine, leaks=True)
    assert ask("prlimit64", 0) == ask("sched_setaffinity", 0) == ask("setpriority", 0, 0) == ALLOW
    assert ask("prlimit64", 77) == ask("sched_setaffinity", 77) == ask("setpriority", 0, 77) == DENIED


def test_the_broker_is_asked_where_there_is_one(machine: str) -> None:
    ask = Filter(machine, leaks=True, broker=True)
    for name in ("fchmod", "fchmodat", "utimensat", "kill"):
        assert ask(name, 5) == NOTIFY
    assert ask("fchmod", 5, 0o4755) == DENIED
    assert ask("pidfd_send_signal") == DENIED


def test_a_file_may_be_given_to_whom_it_belongs(machine: str) -> None:
    ask = Filter(machine, leaks=True)
    nobody = 0xFFFF_FFFF
    assert ask("fchown", 3, UID, GID) == ask("fchown", 3, nobody, GID) == ask("fchownat", 3, 0, UID, nobody) == ERRNO
    assert ask("fchown", 3, 0, GID) == ask("fchownat", 3, 0, UID, 0) == DENIED
