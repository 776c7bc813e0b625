"""What holds where the system offers less: on macOS, on an old kernel, in a container. Layers are switched off here."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from unittest import mock

import pytest
import trio

from tests.support.sandbox import RecordingEngine, Script, run_native, running_forker
from vibe_workflows.sandbox import launcher
from vibe_workflows.sandbox.checker import LockedChecker
from vibe_workflows.sandbox.conversation import converse
from vibe_workflows.sandbox.ending import Ended
from vibe_workflows.sandbox.errors import SandboxUnavailable
from vibe_workflows.sandbox.forker import Forker
from vibe_workflows.sandbox.limits import ADDRESS_SPACE, ALL_LAYERS, MIB, PRIVILEGES, ChildLimits, HostLimits
from vibe_workflows.sandbox.resident import resident_bytes

linux = pytest.mark.skipif(sys.platform != "linux", reason="compares with what Linux tells")

NOTHING: frozenset[str] = frozenset()
#: As an ordinary user starts it; root is not kept by a limit.
NO_ROOT = frozenset({PRIVILEGES})
SMALL = HostLimits(child=ChildLimits(memory_bytes=128 * MIB, cpu_s=20), wall_s=60.0)


def with_forker(work: Callable[[Forker], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with running_forker() as forker:
            return await work(forker)

    return trio.run(main)


def run_script(source: str, layers: frozenset[str], limits: HostLimits = SMALL) -> Ended:
    async def work(forker: Forker) -> Ended:
        child = await forker.fork("script", limits.child, layers=layers)
        return await converse(child, Script(source=source), RecordingEngine(), limits)

    ended: Ended = with_forker(work)
    return ended


def natively(source: str, layers: frozenset[str] = NOTHING, limits: HostLimits = SMALL) -> tuple[Ended, list[str]]:
    async def work(forker: Forker) -> tuple[Ended, list[str]]:
        ended, engine = await run_native(forker, source, layers=layers, limits=limits)
        return ended, engine.logs

    found: tuple[Ended, list[str]] = with_forker(work)
    return found


# ---------------------------------------------------------------- memory, where no limit on it is kept


def test_without_any_layer_a_script_runs_as_it_does_behind_all() -> None:
    source = "import json\nreturn json.dumps([await agent('one'), len(str(2 ** 500))])\n"
    behind_all = run_script(source, ALL_LAYERS)
    assert behind_all.outcome == "returned"
    assert run_script(source, NOTHING) == behind_all


def test_a_script_that_grows_is_ended_for_its_memory_where_nothing_limits_it() -> None:
    source = "kept = []\nwhile True:\n    kept.append(str(len(kept)) * 10_000)\n"
    ended = run_script(source, NOTHING)
    assert (ended.outcome, ended.reason) == ("killed", "memory")
    assert "128 MB" in ended.message


def test_a_process_that_takes_much_at_once_is_ended_for_its_memory() -> None:
    ended, logs = natively("import time\nx = b'x' * (300 << 20)\nlog('has it')\ntime.sleep(60)")
    assert (ended.outcome, ended.reason) == ("killed", "memory")
    assert logs in ([], ["has it"])


def test_memory_that_stays_below_the_limit_is_nobodys_business() -> None:
    ended, logs = natively("import time\nx = b'x' * (40 << 20)\ntime.sleep(3 * 0.05)\nlog('has it')")
    assert (ended.outcome, logs) == ("returned", ["has it"])


def test_nobody_measures_a_process_whose_address_space_is_limited() -> None:
    with mock.patch("vibe_workflows.sandbox.conversation.resident_bytes", side_effect=AssertionError):
        ended, logs = natively("log('ran')", frozenset({ADDRESS_SPACE}))
    assert (ended.outcome, logs) == ("returned", ["ran"])


def test_a_worker_that_grows_is_ended_for_its_memory() -> None:
    """The engine of regular expressions keeps a note for each turn of a loop that it may have to go back to."""

    async def work(forker: Forker) -> None:
        checker = LockedChecker(forker, layers=NOTHING, request_s=60.0)
        text = "ab" * 900_000
        with pytest.raises(ValueError, match="takes more than 256 MB to evaluate"):
            await checker.search("(?:(a)|(b))*(?:(a)|(b))*c", [("file.txt", text)], ignore_case=False, limit=1)
        assert await checker.search("b", [("file.txt", "abc")], ignore_case=False, limit=1)

    with_forker(work)


@linux
def test_what_a_process_holds_is_what_the_kernel_says_of_it() -> None:
    with open("/proc/self/status", encoding="ascii") as file:
        (line,) = [line for line in file if line.startswith("VmRSS")]
    told = int(line.split()[1]) * 1024
    assert abs(resident_bytes(os.getpid()) - told) < 8 * MIB


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert resident_bytes(pid) == 0


@linux
def test_on_macos_the_footprint_is_read_where_its_library_puts_it() -> None:
    class Libc:
        def proc_pid_rusage(self, pid: Any, flavour: Any, buffer: Any) -> int:
            assert (pid.value, flavour.value) == (7, 0)
            buffer[16 + 7 * 8 : 16 + 8 * 8] = (123 * MIB).to_bytes(8, "little")
            return 0

    with mock.patch.object(sys, "platform", "darwin"), mock.patch("ctypes.CDLL", return_value=Libc()):
        assert resident_bytes(7) == 123 * MIB


# ---------------------------------------------------------------- limits that every system keeps to

#: Without filter and Landlock: what it tries, and what it must meet.
CONTAINED: Mapping[str, tuple[str, str]] = {
    "open": ("open('/etc/passwd')", "EMFILE"),
    "socket": ("import _socket; _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)", "EMFILE"),
    "pipe": ("os.pipe()", "EMFILE"),
    "duplicate": ("os.dup(3)", "EMFILE"),
    "room for more": ("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))", "not allowed to raise"),
}


@pytest.mark.parametrize("what", CONTAINED)
def test_without_filter_and_landlock_no_file_descriptor_is_to_be_had(what: str) -> None:
    attack, answer = CONTAINED[what]
    source = f"""
import errno, os
try:
    {attack}
    log("through")
except OSError as error:
    log(errno.errorcode[error.errno])
except ValueError as error:
    log(error)
"""
    _, (said,) = natively(source, NO_ROOT)
    assert answer in said


def test_without_any_layer_no_file_grows() -> None:
    """The one file that a child could hold is the socket; a file that slipped through would stay empty."""
    ended, logs = natively("import resource\nlog(resource.getrlimit(resource.RLIMIT_FSIZE))")
    assert (ended.outcome, logs) == ("returned", ["(0, 0)"])


@linux
def test_without_filter_and_landlock_no_process_is_started() -> None:
    attack = """
import os
try:
    os.fork() or os._exit(0)
    log("forked")
except OSError as error:
    log(error.strerror)
"""
    assert natively(attack, NO_ROOT)[1] == ["Resource temporarily unavailable"]


def test_an_endless_loop_ends_without_any_layer() -> None:
    limits = SMALL._replace(child=ChildLimits(cpu_s=1))
    ended = run_script("while True:\n    pass\n", NOTHING, limits)
    assert (ended.outcome, ended.reason) == ("killed", "cpu")


# ---------------------------------------------------------------- no handle on a process


def test_where_no_handle_on_a_process_can_be_had_the_zygote_kills_it() -> None:
    """As on a kernel before 5.3, and in a container that forbids the call."""
    forbidden = launcher._BOOTSTRAP.replace(
        "from vibe_workflows.sandbox.zygote import main\n",
        "from vibe_workflows.sandbox.zygote import main\nimport os\n"
        "def forbidden(pid): raise PermissionError(1, 'no')\nos.pidfd_open = forbidden\n",
    )
    assert forbidden != launcher._BOOTSTRAP
    with mock.patch.object(launcher, "_BOOTSTRAP", forbidden):
        ended = run_script("while True:\n    pass\n", ALL_LAYERS, SMALL._replace(wall_s=0.3))
    assert ended.reason == "timeout"


def test_where_a_handle_may_not_be_used_the_zygote_kills() -> None:
    with mock.patch("signal.pidfd_send_signal", side_effect=PermissionError):
        ended = run_script("while True:\n    pass\n", ALL_LAYERS, SMALL._replace(wall_s=0.3))
    assert ended.reason == "timeout"


# ---------------------------------------------------------------- what a child inherits


@linux
def test_a_child_has_four_files_however_many_its_engine_holds() -> None:
    """Even where the socket to the fork server has a number beyond what a child closes one by one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = 6_000
    if hard != resource.RLIM_INFINITY and hard < many + 100:
        pytest.skip(f"a process may hold {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (many + 100, hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(many)]
    try:
        _, (said,) = natively(
            f"""
import os
found = []
for fd in range({many + 100}):
    try:
        os.fstat(fd)
        found.append(fd)
    except OSError:
        pass
log(found)
"""
        )
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert said == "[0, 1, 2, 3]"


# ---------------------------------------------------------------- Windows


def test_windows_ends_with_one_sentence_that_says_where_to_go() -> None:
    with mock.patch.object(os, "fork"):
        del os.fork
        with pytest.raises(SandboxUnavailable) as refused:
            launcher.start_zygote()
    assert str(refused.value) == "the sandbox needs Linux or macOS; on Windows, run vibe inside WSL 2"
