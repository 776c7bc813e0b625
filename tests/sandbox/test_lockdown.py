"""The lock itself: the process that results, as root and as nobody. The filter as data has a file of its own."""

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
import trio

from tests.support.sandbox import running_forker
from tests.support.syscall_sweep import DENIED, LET_THROUGH, NOT_PROBED, sweep
from tests.support.syscall_table import CLOCKS, FREE, NEVER_EXECUTABLE, PAST_EVERY_FILTER, PROBES, SOCKET_ONLY, names_of
from vibe_workflows.sandbox import lockdown
from vibe_workflows.sandbox.level import Level
from vibe_workflows.sandbox.limits import ADDRESS_SPACE, ALL_LAYERS, LANDLOCK, PRIVILEGES, SECCOMP
from vibe_workflows.sandbox.report import level_of
from vibe_workflows.sandbox.seccomp import ARCHITECTURES

linux = pytest.mark.skipif(sys.platform != "linux", reason="the layers of Linux")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")

SOCKET = lockdown.SOCKET_FD


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
    told = {LANDLOCK, SECCOMP, PRIVILEGES, ADDRESS_SPACE}
    for missing in told:
        report, _ = in_fork(partial(lock, ALL_LAYERS - {missing}))
        assert report[missing] == ""
        assert all(report[layer] for layer in told - {missing})


@linux
@pytest.mark.skipif(os.uname().machine not in ARCHITECTURES, reason="no filter is written for this machine")
def test_the_kernel_gives_every_call_the_verdict_that_the_program_has_for_it() -> None:
    """Without the file system's wall, since it is the filter's answer that is asked."""
    names = names_of(os.uname().machine)
    numbers = range(max(names) + 20)

    async def main() -> dict[int, str]:
        async with running_forker() as forker:
            return await sweep(forker, numbers, layers=ALL_LAYERS - {LANDLOCK})

    found = trio.run(main)
    let_through = {names.get(number, str(number)) for number in numbers if found[number] == LET_THROUGH}
    denied = {names[number] for number in numbers if found[number] == DENIED}
    assert let_through == SOCKET_ONLY | NEVER_EXECUTABLE | FREE
    assert denied == CLOCKS | PROBES & set(names.values())  # the sweep asks for clock -1
    assert {number for number in numbers if found[number] == NOT_PROBED} <= PAST_EVERY_FILTER
