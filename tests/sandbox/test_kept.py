"""Programs of the person's own that run for as long as something needs them, and of which nothing is left."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio

from tests.support.leaks import wait_until
from vibe_workflows.sandbox import kept as kept_module
from vibe_workflows.sandbox.errors import SandboxUnavailable
from vibe_workflows.sandbox.kept import kept

#: A shell that leaves a child in a session of its own, and another one, and does not want to end.
STUBBORN = "trap '' TERM; (setsid sleep 1000 &) ; sleep 1001 & echo ready; exec sleep 1002"


def in_trio(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        trio.run(functools.partial(test, **fixtures))

    return run


def sleepers(folder: Path) -> list[int]:
    """What the program of this folder has started."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if process.info["name"] in ("sleep", "sh") and process.cwd() == str(folder):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


async def read_line(stream: trio.lowlevel.FdStream) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (data := await stream.receive_some(100)):
        line += data
    return line


@in_trio
async def test_it_speaks_over_its_streams_and_ends_when_its_input_does() -> None:
    async with kept(["/bin/cat"], cwd="/", environ={}) as program:
        await program.stdin.send_all(b"hello\n")
        assert await read_line(program.stdout) == b"hello\n"
    assert program.status == 0


@in_trio
async def test_it_has_the_environment_that_it_is_given_and_no_descriptor_of_ours(tmp_path: Path) -> None:
    listing = "env; ls /proc/self/fd | tr '\\n' ' '; pwd"
    async with kept(["/bin/sh", "-c", listing], cwd=str(tmp_path), environ={"ONE": "1", "PATH": "/bin"}) as program:
        said = b""
        while data := await program.stdout.receive_some():
            said += data
    lines = said.decode().split("\n")
    assert set(lines[:-2]) <= {"ONE=1", "PATH=/bin", f"PWD={tmp_path}", "SHLVL=0", "SHLVL=1", "_=/bin/env", "OLDPWD=/"}
    assert lines[-2] == f"0 1 2 3 {tmp_path}"  # the fourth is the folder that `ls` looks at


@in_trio
async def test_all_that_it_has_started_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "GRACE_S", 0.1)
    async with kept(["/bin/sh", "-c", STUBBORN], cwd=str(tmp_path), environ={"PATH": os.environ["PATH"]}) as program:
        await read_line(program.stdout)
        assert await trio.to_thread.run_sync(wait_until, lambda: len(sleepers(tmp_path)) == 3)
    assert sleepers(tmp_path) == []
    assert program.status is None


@in_trio
async def test_it_is_gone_when_its_block_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "GRACE_S", 0.1)
    with trio.CancelScope() as scope:
        environ = {"PATH": os.environ["PATH"]}
        async with kept(["/bin/sh", "-c", STUBBORN], cwd=str(tmp_path), environ=environ) as program:
            await read_line(program.stdout)
            scope.cancel()
            await trio.sleep_forever()
    assert sleepers(tmp_path) == []


@in_trio
async def test_cancelled_it_may_end_by_itself_all_the_same() -> None:
    with trio.CancelScope() as scope:
        async with kept(["/bin/cat"], cwd="/", environ={}) as program:
            scope.cancel()
            await trio.sleep_forever()
    assert program.status == 0


def test_it_is_gone_when_this_process_is_killed(tmp_path: Path) -> None:
    program = (
        "import trio\nfrom vibe_workflows.sandbox.kept import kept\n"
        "async def main():\n"
        f"    argv, cwd = ['/bin/sh', '-c', {STUBBORN!r}], {str(tmp_path)!r}\n"
        "    async with kept(argv, cwd=cwd, environ={'PATH': '/bin:/usr/bin'}) as program:\n"
        "        await program.stdout.receive_some(); print('ready', flush=True); await trio.sleep_forever()\n"
        "trio.run(main)\n"
    )
    engine = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"ready\n"
        assert wait_until(lambda: len(sleepers(tmp_path)) == 3)
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.communicate()
    assert wait_until(lambda: sleepers(tmp_path) == [])


@pytest.mark.parametrize(("argv", "cwd"), [(["/no/such/program"], "/"), (["/bin/cat"], "/no/such/folder")])
@in_trio
async def test_one_that_does_not_start_says_why(argv: list[str], cwd: str) -> None:
    async with kept(argv, cwd=cwd, environ={}) as program:
        assert await program.stdout.receive_some() == b""
    assert program.problem == "No such file or directory"


@in_trio
async def test_an_environment_beyond_all_measure_is_refused() -> None:
    with pytest.raises(SandboxUnavailable, match="the program's arguments and environment take"):
        async with kept(["/bin/cat"], cwd="/", environ={"A": "x" * (200 << 10)}):
            raise AssertionError
