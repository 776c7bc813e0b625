"""What the walls cost by themselves: a script's start, guarded operations, calls across, memory, locked workers."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import trio

from vibe_workflows.engine.ports import ScriptStart
from vibe_workflows.sandbox.checker import open_checker
from vibe_workflows.sandbox.conversation import converse
from vibe_workflows.sandbox.forker import open_forker
from vibe_workflows.sandbox.host import SandboxHost, open_host
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.limits import HostLimits

_NOTHING = "async def main(args):\n    return 1\n"
_CALLS = 2000
_IN_SEQUENCE = f'async def main(args):\n    for n in range({_CALLS}):\n        await agent("x" * 200)\n'
_AT_ONCE = f'async def main(args):\n    await parallel(agent("x" * 200) for n in range({_CALLS}))\n'

#: What a user would do without a sandbox: a Python process that gets the script and runs it.
_PLAIN_RUN = """\
import asyncio, json, sys
start = json.load(sys.stdin)
names = {}
exec(compile(start["source"], "bench.py", "exec"), names)
print("started", flush=True)
asyncio.run(names["main"]({}))
"""


@dataclass(slots=True)
class Echo:
    """Answers every call at once, and notes when the script began and when it called."""

    began: float = 0.0
    called: list[float] = field(default_factory=list)
    answer: Callable[..., None] | None = None

    def started(self, sink: object) -> None:
        self.began = time.perf_counter()
        self.answer = sink.answer  # type: ignore[attr-defined]

    def call(self, call: int, *_rest: object) -> None:
        self.called.append(time.perf_counter())
        assert self.answer is not None
        self.answer(call, b'"y"', order=None, tokens=1, microusd=0, seconds=0.0)

    def open(self, *_rest: object) -> None: ...
    def close(self, scope: int) -> None: ...
    def cancel_call(self, call: int) -> None: ...
    def log(self, *_rest: object) -> None: ...
    def idle(self, taken: int) -> None: ...


async def run(host: SandboxHost, source: str) -> Echo:
    echo = Echo()
    end = await host.run(_start(source), echo)
    assert end.outcome == "returned", end
    return echo


def _start(source: str) -> ScriptStart:
    return ScriptStart(source=source, filename="bench.py", args="{}", now=0.0, seed="s", has_model=True)


# ---------------------------------------------------------------- starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Milliseconds from the request to the script's first line; taken in turn, so that all see the same machine."""

    cold_ms: float
    warm_ms: float
    python_ms: float  # python -c pass
    process_ms: float  # a plain Python process that is sent the script


def starts(rounds: int = 11) -> Starts:
    cold, warm, python, process = [], [], [], []
    for _ in range(rounds):
        first, further = trio.run(_cold_and_warm)
        cold.append(first)
        warm += further
        python.append(_timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)))
        process.append(_plain_start())
    return Starts(
        cold_ms=statistics.median(cold) * 1000,
        warm_ms=statistics.median(warm) * 1000,
        python_ms=statistics.median(python) * 1000,
        process_ms=statistics.median(process) * 1000,
    )


async def _cold_and_warm() -> tuple[float, list[float]]:
    asked = time.perf_counter()
    zygote = start_zygote()
    try:
        async with open_host(zygote) as host:
            cold = (await run(host, _NOTHING)).began - asked
            warm = []
            for _ in range(10):
                asked = time.perf_counter()
                warm.append((await run(host, _NOTHING)).began - asked)
            return cold, warm
    finally:
        zygote.close()


def _plain_start() -> float:
    asked = time.perf_counter()
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _PLAIN_RUN], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"source": _NOTHING}))
        process.stdin.close()
        assert process.stdout.readline() == "started\n"
        return time.perf_counter() - asked


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# ---------------------------------------------------------------- calls across the wall


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    one_at_a_time_us: float
    parallel_us: float
    pipe_us: float  # the same bytes there and back through a pipe to a process that only echoes


def calls() -> Calls:
    return Calls(
        one_at_a_time_us=trio.run(_per_call, _IN_SEQUENCE) * 1e6,
        parallel_us=trio.run(_per_call, _AT_ONCE) * 1e6,
        pipe_us=_pipe_round_trip() * 1e6,
    )


async def _per_call(source: str) -> float:
    zygote = start_zygote()
    try:
        async with open_host(zygote) as host:
            taken = []
            for _ in range(5):
                echo = await run(host, source)
                taken.append((time.perf_counter() - echo.began) / _CALLS)
            return statistics.median(taken)
    finally:
        zygote.close()


def _pipe_round_trip() -> float:
    code = "import os\nwhile data := os.read(0, 4096): os.write(1, data)"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        write, read = process.stdin.fileno(), process.stdout.fileno()

        def trip() -> None:
            os.write(write, b"x" * 250)
            os.read(read, 4096)

        trip()  # it is up
        taken = [_timed(trip) for _ in range(_CALLS)]
        process.stdin.close()
        return statistics.median(taken)


# ---------------------------------------------------------------- memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    child_mb: float
    #: Not shared with the zygote; None where the kernel does not tell this user.
    own_mb: float | None
    python_mb: float  # of an idle Python process


@dataclass(slots=True)
class Scales(Echo):
    """Weighs the child at its first call: it is compiled and running."""

    pid: int = 0
    found: list[tuple[float, float | None]] = field(default_factory=list)

    def call(self, call: int, *rest: object) -> None:
        self.found.append((_kib(self.pid, "status", "VmRSS") / 1024, _own_mb(self.pid)))
        Echo.call(self, call, *rest)


def memory() -> Memory:
    child_mb, own_mb = trio.run(_weigh)
    code = "print('up', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as python:
        assert python.stdout is not None
        python.stdout.readline()
        python_mb = _kib(python.pid, "status", "VmRSS") / 1024
        python.communicate(b"\n")
    return Memory(child_mb=child_mb, own_mb=own_mb, python_mb=python_mb)


async def _weigh() -> tuple[float, float | None]:
    zygote = start_zygote()
    try:
        async with open_forker(zygote) as forker:
            limits = HostLimits()
            child = await forker.fork("script", limits.child)
            scales = Scales(pid=child.pid)
            await converse(child, _start('async def main(args):\n    await agent("x")\n'), scales, limits)
            return scales.found[0]
    finally:
        zygote.close()


def _kib(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _own_mb(pid: int) -> float | None:
    try:
        return _kib(pid, "smaps_rollup", "Private_Dirty") / 1024
    except PermissionError:
        return None


# ---------------------------------------------------------------- locked workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Milliseconds for one request to a locked worker."""

    first_ms: float  # with its start
    further_ms: float
    plain_ms: float  # the same validation in this process


_SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "n": {"type": "integer"}}, "required": ["path"]}
_VALUE = {"path": "src/a.py", "n": 3}


def workers() -> Workers:
    first, further = [], []
    for _ in range(5):
        started, then = trio.run(_validate)
        first.append(started)
        further += then
    validator = jsonschema.Draft202012Validator(_SCHEMA)
    plain = [_timed(lambda: list(validator.iter_errors(_VALUE))) for _ in range(200)]
    return Workers(
        first_ms=statistics.median(first) * 1000,
        further_ms=statistics.median(further) * 1000,
        plain_ms=statistics.median(plain) * 1000,
    )


async def _validate() -> tuple[float, list[float]]:
    zygote = start_zygote()
    try:
        async with open_checker(zygote) as checker:
            await checker.match_paths("*.py", ["a.py"])  # the zygote is up
            taken = []
            for _ in range(50):
                asked = time.perf_counter()
                await checker.validate(_SCHEMA, _VALUE)
                taken.append(time.perf_counter() - asked)
            return taken[0], taken[1:]
    finally:
        zygote.close()
