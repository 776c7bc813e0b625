"""The lock itself: the filter as data on both architectures, and the process that results, as root and as nobody."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.support.bpf import verdict
from vibe_workflows.sandbox import lockdown
from vibe_workflows.sandbox.bpf import ALLOW, ERRNO, KILL_PROCESS
from vibe_workflows.sandbox.limits import ALL_LAYERS, LANDLOCK, PRIVILEGES, SECCOMP
from vibe_workflows.sandbox.report import Level, level_of
from vibe_workflows.sandbox.seccomp import ARCHITECTURES, Architecture, build_filter

linux = pytest.mark.skipif(sys.platform != "linux", reason="the layers of Linux")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")

SOCKET, OTHER = 3, 7
READ_ONLY, EXECUTABLE = 0b001, 0b101

# Of asm/unistd.h; what no locked process may ever do.
FORBIDDEN = {
    "x86_64": {
        "close": 3, "poll": 7, "rt_sigaction": 13, "pread64": 17, "writev": 20, "dup": 32, "nanosleep": 35,
        "socket": 41, "connect": 42, "sendto": 44, "sendmsg": 46, "socketpair": 53, "clone": 56, "fork": 57,
        "vfork": 58, "execve": 59, "kill": 62, "fcntl": 72, "mkdir": 83, "unlink": 87, "chmod": 90, "ptrace": 101,
        "setuid": 105, "prctl": 157, "arch_prctl": 158, "setrlimit": 160, "mount": 165, "tkill": 200, "unshare": 272,
        "seccomp": 317, "memfd_create": 319, "bpf": 321, "execveat": 322, "pkey_mprotect": 329, "io_uring_setup": 425,
        "clone3": 435,
    },
    "aarch64": {
        "io_setup": 0, "dup": 23, "fcntl": 25, "mkdirat": 34, "unlinkat": 35, "fchmodat": 53, "close": 57, "writev": 66,
        "pread64": 67, "ppoll": 73, "nanosleep": 101, "ptrace": 117, "kill": 129, "tkill": 130, "rt_sigaction": 134,
        "setuid": 146, "setrlimit": 164, "prctl": 167, "socket": 198, "socketpair": 199, "connect": 203, "sendto": 206,
        "sendmsg": 211, "clone": 220, "execve": 221, "mount": 40, "unshare": 97, "seccomp": 277, "memfd_create": 279,
        "bpf": 280, "execveat": 281, "pkey_mprotect": 288, "io_uring_setup": 425, "clone3": 435,
    },
}  # fmt: skip


@pytest.fixture(params=sorted(ARCHITECTURES))
def arch(request: pytest.FixtureRequest) -> Architecture:
    return ARCHITECTURES[request.param]


def test_the_filter_lets_exactly_its_list_through_and_kills_for_every_other_number(arch: Architecture) -> None:
    program = build_filter(arch, SOCKET)
    allowed = {number for number in range(1024) if verdict(program, arch.audit, number, SOCKET, 0, READ_ONLY) == ALLOW}
    names = {name for name, number in arch.numbers.items() if number in allowed}
    assert names == {
        "read", "write", "mmap", "mprotect", "munmap", "mremap", "madvise", "brk", "futex", "rt_sigreturn", "exit",
        "exit_group", "restart_syscall", "clock_gettime",
    }  # fmt: skip
    assert len(allowed) == len(names)
    for number in set(range(1024)) - set(arch.numbers.values()):
        assert verdict(program, arch.audit, number, SOCKET) == KILL_PROCESS


@pytest.mark.parametrize("machine", sorted(FORBIDDEN))
def test_the_filter_kills_for_what_the_kernel_calls_by_these_names(machine: str) -> None:
    arch = ARCHITECTURES[machine]
    program = build_filter(arch, SOCKET)
    assert not [
        name for name, number in FORBIDDEN[machine].items() if verdict(program, arch.audit, number) != KILL_PROCESS
    ]


def test_the_filter_answers_probes_of_the_interpreter_with_an_error(arch: Architecture) -> None:
    program = build_filter(arch, SOCKET)
    for name in ("openat", "newfstatat", "readlinkat", "getrandom", "ioctl"):
        assert verdict(program, arch.audit, arch.numbers[name]) == ERRNO | errno.EACCES


def test_the_filter_reads_and_writes_on_the_socket_only(arch: Architecture) -> None:
    program = build_filter(arch, SOCKET)
    for name in ("read", "write"):
        assert verdict(program, arch.audit, arch.numbers[name], SOCKET) == ALLOW
        assert verdict(program, arch.audit, arch.numbers[name], OTHER) == ERRNO | errno.EBADF


def test_the_filter_kills_for_executable_memory(arch: Architecture) -> None:
    program = build_filter(arch, SOCKET)
    for name in ("mmap", "mprotect"):
        assert verdict(program, arch.audit, arch.numbers[name], 0, 4096, EXECUTABLE) == KILL_PROCESS


def test_the_filter_kills_for_a_foreign_architecture_and_for_the_x32_table(arch: Architecture) -> None:
    program = build_filter(arch, SOCKET)
    for other in (0x4000_0003, *(each.audit for each in ARCHITECTURES.values() if each is not arch)):
        assert verdict(program, other, arch.numbers["read"], SOCKET) == KILL_PROCESS
    assert verdict(program, arch.audit, 0x4000_0000 | arch.numbers["read"], SOCKET) == KILL_PROCESS


def in_fork(work: Callable[[], Any]) -> tuple[Any, int]:
    """What `work` returns in a forked process, and the status that it ended with."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(writer, SOCKET)
            os.closerange(SOCKET + 1, 1024)
            result = json.dumps(work()).encode()
            os.write(SOCKET, result)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(said) if said else None, os.waitstatus_to_exitcode(status)


def lock(layers: frozenset[str] = ALL_LAYERS, *, parent: int | None = None) -> dict[str, str]:
    parent = os.getppid() if parent is None else parent
    return lockdown.lock(parent=parent, memory_bytes=1 << 30, cpu_s=5, layers=layers)


@linux
def test_an_ordinary_user_locks_itself_as_root_does() -> None:
    def work() -> Any:
        if os.geteuid() == 0:
            os.setresuid(lockdown.NOBODY, lockdown.NOBODY, lockdown.NOBODY)
        report = lock()
        try:
            os.listdir("/")
        except PermissionError:
            return report
        return "listed"

    report, status = in_fork(work)
    assert status == 0
    assert report[PRIVILEGES] == "ordinary user"
    assert level_of(report) is Level.STRONG


@linux
@as_root
def test_root_gives_up_its_uid_and_every_capability() -> None:
    def work() -> Any:
        status = os.open("/proc/self/status", os.O_RDONLY)  # opened while it may still be
        report = lock(frozenset({PRIVILEGES}))
        return report, os.getresuid(), os.getresgid(), os.getgroups(), os.pread(status, 9_999, 0).decode()

    (report, uids, gids, groups, status), _ = in_fork(work)
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    assert report[PRIVILEGES] == f"uid {lockdown.NOBODY}"
    assert {*uids, *gids} == {lockdown.NOBODY}
    assert groups == []
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[kind], 16) == 0
    assert fields["NoNewPrivs"] == "1"


@linux
@as_root
def test_root_of_a_container_without_other_uids_is_left_without_capabilities() -> None:
    def work() -> Any:
        if ctypes.CDLL(None).unshare(0x1000_0000) != 0:
            return None
        for name, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        status = os.open("/proc/self/status", os.O_RDONLY)
        report = lock(frozenset({PRIVILEGES}))
        return report, os.pread(status, 9_999, 0).decode()

    result, _ = in_fork(work)
    if result is None:
        pytest.skip("no user namespaces here")
    report, status = result
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    assert report[PRIVILEGES] == "root without capabilities"
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0


@linux
def test_a_child_whose_parent_died_before_the_lock_ends_at_once() -> None:
    _, status = in_fork(lambda: lock(parent=1 << 22))
    assert status == 70


@linux
def test_without_any_filter_nothing_new_can_be_opened() -> None:
    def work() -> list[int]:
        lock(frozenset())
        found = []
        for attempt in (lambda: os.open("/etc/passwd", os.O_RDONLY), os.pipe, lambda: os.dup(SOCKET)):
            try:
                attempt()
            except OSError as error:
                found.append(error.errno or 0)
        return found

    assert in_fork(work) == ([errno.EMFILE] * 3, 0)


@linux
def test_the_filter_ends_a_process_that_asks_for_more() -> None:
    assert in_fork(lambda: (lock(frozenset({SECCOMP})), os.getuid())) == (None, -signal.SIGSYS)


@pytest.mark.parametrize(
    ("layers", "level"),
    [
        ({SECCOMP: "filter", LANDLOCK: "ABI 7"}, Level.STRONG),
        ({SECCOMP: "filter", LANDLOCK: ""}, Level.GOOD),
        ({SECCOMP: "", LANDLOCK: "ABI 7"}, Level.WEAK),
        ({SECCOMP: "", LANDLOCK: ""}, Level.WEAK),
        ({"seatbelt": "pure computation"}, Level.GOOD),
        ({"seatbelt": ""}, Level.WEAK),
        ({}, Level.WEAK),
    ],
)
def test_the_level_follows_from_the_layers_that_the_child_got(layers: dict[str, str], level: Level) -> None:
    assert level_of(layers) is level


@linux
def test_each_layer_can_be_left_out_and_says_so() -> None:
    for missing in (LANDLOCK, SECCOMP, PRIVILEGES):
        report, _ = in_fork(partial(lock, ALL_LAYERS - {missing}))
        assert report[missing] == ""
        assert all(report[layer] for layer in {LANDLOCK, SECCOMP, PRIVILEGES} - {missing})
