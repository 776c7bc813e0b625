"""Many runs on one zygote: nothing is left of them, none disturbs another, and a death ends what depends on it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.memory_folder import SHARED_MEMORY
from tests.support.sandbox import RecordingEngine, Script, run_native
from vibe_workflows.sandbox.errors import SandboxUnavailable
from vibe_workflows.sandbox.forker import Forker, open_forker
from vibe_workflows.sandbox.host import SandboxHost, open_host
from vibe_workflows.sandbox.launcher import Zygote, start_zygote
from vibe_workflows.sandbox.limits import ALL_LAYERS, ChildLimits, HostLimits

LIMITS = HostLimits(child=ChildLimits(cpu_s=1), stall_s=30.0, logs=50)
DEADLINE_S = 180.0
ROOT = Path(__file__).resolve().parents[2]

RAW = "import os\ndef raw(body): os.write(3, len(body).to_bytes(4, 'little') + body)\n"

RETURNS = 'async def main(args):\n    return await agent("x") + "!"'
WAITS = 'async def main(args):\n    return await agent("for ever")'
LOOPS = "async def main(args):\n    while True: pass"


@dataclass(frozen=True, slots=True)
class Soaked:
    """One zygote, and a host on it that leaves its forker to native children, too."""

    zygote: Zygote
    forker: Forker
    host: SandboxHost


@asynccontextmanager
async def soaking() -> AsyncIterator[Soaked]:
    zygote = start_zygote()
    try:
        async with open_forker(zygote) as forker:
            spare = await forker.fork("script", LIMITS.child)
            yield Soaked(zygote, forker, SandboxHost(forker, spare, LIMITS, ALL_LAYERS))
    finally:
        zygote.close()


# ---------------------------------------------------------------- ways to end


async def script(soaked: Soaked, source: str) -> str:
    ended = await soaked.host.run(Script(source=source), RecordingEngine())
    return ended.reason or ended.outcome


async def native(soaked: Soaked, source: str) -> str:
    ended, _ = await run_native(soaked.forker, RAW + source, limits=LIMITS)
    return ended.reason or ended.outcome


async def cancelled(soaked: Soaked) -> str:
    """Cancelled from outside, while its call waits for an answer."""
    with trio.CancelScope() as scope:
        engine = RecordingEngine(reply=lambda *_: scope.cancel())
        await soaked.host.run(Script(source=WAITS), engine)
    return "cancelled" if scope.cancelled_caught else "went on"


Run = Callable[[Soaked], Awaitable[str]]

#: How a run goes, and what it must end as.
MIX: tuple[tuple[str, Run], ...] = (
    ("returned", lambda soaked: script(soaked, RETURNS)),
    ("raised", lambda soaked: script(soaked, "async def main(args):\n    raise ValueError('no')")),
    ("refused", lambda soaked: script(soaked, "class A: pass")),
    ("flood", lambda soaked: script(soaked, "async def main(args):\n    while True: log('x')")),
    ("protocol", lambda soaked: native(soaked, "raw(b'null')\nos.read(3, 1)")),
    ("crashed", lambda soaked: native(soaked, "os._exit(3)")),
    ("violation", lambda soaked: native(soaked, "os.kill(os.getpid(), 9)")),
    ("cancelled", cancelled),
)
SLOW: Run = lambda soaked: script(soaked, LOOPS)  # noqa: E731 - as those above


# ---------------------------------------------------------------- what may be left


def children_of(pid: int) -> set[int]:
    """The processes whose parent is `pid`, those that ended and were not reaped included."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return set(map(int, text.split()))


def own_memory_kib(pid: int) -> int:
    """Memory that a process shares with no file."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise AssertionError(f"no figure for process {pid}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the engine (this process) and the zygote hold between two runs."""

    engine_fds: int
    zygote_fds: int
    children: frozenset[int]
    files: frozenset[str]


def held(zygote: int, folder: Path) -> Held:
    # Of the shared memory only what lies directly in it, as segments and semaphores do: other tests have folders there.
    files = [*folder.rglob("*"), *(path for path in SHARED_MEMORY.iterdir() if path.is_file())]
    return Held(
        engine_fds=len(os.listdir("/proc/self/fd")),
        zygote_fds=len(os.listdir(f"/proc/{zygote}/fd")),
        children=frozenset(children_of(zygote)),
        files=frozenset(map(str, files)),
    )


def within_deadline(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        with trio.fail_after(DEADLINE_S):
            await work()

    trio.run(main)


@dataclass(frozen=True, slots=True)
class Growth:
    """What 900 more runs took, in KiB."""

    engine: int
    zygote: int


def soak(folder: str) -> Growth:
    """A thousand runs, however they end: as many processes, file descriptors and files as after the first ones."""
    left: dict[int, Held] = {}
    memory: dict[int, tuple[int, int]] = {}

    async def work() -> None:
        async with soaking() as soaked:
            zygote = soaked.zygote.process.pid
            for number in range(1, 1001):
                expected, run = MIX[number % len(MIX)] if number != 500 else ("cpu", SLOW)
                assert await run(soaked) == expected
                if number in (100, 1000):
                    left[number] = held(zygote, Path(folder))
                    memory[number] = (own_memory_kib(os.getpid()), own_memory_kib(zygote))
            assert children_of(zygote) == set()

    before = len(os.listdir("/proc/self/fd"))
    others = children_of(os.getpid())
    within_deadline(work)
    assert left[1000] == left[100]
    assert len(os.listdir("/proc/self/fd")) == before
    assert children_of(os.getpid()) == others
    return Growth(*(last - first for first, last in zip(memory[100], memory[1000], strict=True)))


def test_a_thousand_runs_leave_nothing_and_take_no_more_memory(tmp_path: Path) -> None:
    """In a process of its own: what other tests left to be collected would be counted, too."""
    program = f"from {__name__} import soak; growth = soak({str(tmp_path)!r}); print(growth.engine, growth.zygote)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    engine, zygote = map(int, done.stdout.split())
    # Of 900 runs: a few hundred bytes kept by each would show.
    assert engine < 300, f"this process took {engine} KiB more"
    assert zygote < 32, f"the zygote took {zygote} KiB more"


def test_fifty_runs_at_once_end_each_with_its_own_result() -> None:
    """None answers before all fifty ask, so that all of them run at the same time."""
    results: dict[int, Any] = {}
    engines: list[RecordingEngine] = []

    def answer_all(*_: object) -> None:
        asked = [(engine, frame) for engine in engines for frame in engine.frames if frame[0] == "call"]
        if len(asked) == 50:
            for engine, frame in asked:
                call, params = frame[1], frame[6]
                prompt = json.loads(params)["prompt"]
                reply = json.dumps(f"{prompt}!").encode()
                engine.sink.answer(call, reply, order=None, tokens=0, microusd=0, seconds=0.0)

    async def work() -> None:
        async with soaking() as soaked, trio.open_nursery() as nursery:

            async def one(number: int) -> None:
                source = f'async def main(args):\n    return [{number}, await agent("prompt {number}")]'
                engine = RecordingEngine(reply=answer_all)
                engines.append(engine)
                ended = await soaked.host.run(Script(source=source), engine)
                results[number] = json.loads(ended.value)

            for number in range(50):
                nursery.start_soon(one, number)

    within_deadline(work)
    assert results == {number: [number, f"prompt {number}!"] for number in range(50)}


def test_the_death_of_the_zygote_ends_every_run_and_the_next_host_works() -> None:
    """Whatever its children do meanwhile; the engine that waits for them hears of it in a typed end."""
    ends: list[str] = []
    begun = trio.Event()
    asked = count(1)

    def every_second(*_: object) -> bytes | None:
        """Half of the children go on into their loop, half of them wait."""
        number = next(asked)
        if number == 6:
            begun.set()
        return b'"go on"' if number % 2 else None

    async def work() -> None:
        async with soaking() as soaked:

            async def one() -> None:
                source = 'async def main(args):\n    await agent("x")\n    while True: pass'
                ended = await soaked.host.run(Script(source=source), RecordingEngine(reply=every_second))
                ends.append(f"{ended.outcome} {ended.reason}: {ended.message}")

            async with trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(one)
                await begun.wait()
                soaked.zygote.process.kill()
            with pytest.raises(SandboxUnavailable, match="helper process"):
                await soaked.host.run(Script(source=RETURNS), RecordingEngine())
        zygote = start_zygote()
        try:
            async with open_host(zygote) as host:
                assert (await host.run(Script(source=RETURNS), RecordingEngine())).value == b'"answer!"'
        finally:
            zygote.close()

    within_deadline(work)
    message = "the sandbox's helper process was killed, and the script's with it; run it again"
    assert ends == [f"killed crashed: {message}"] * 6


ENGINE = """
import trio
from tests.sandbox.test_soak import WAITS, HostLimits, RecordingEngine, Script, run_native, soaking
class Engine(RecordingEngine):
    def log(self, *_): print("up", flush=True)
async def loop(soaked):
    await run_native(soaked.forker, "log('up')\\nwhile True: pass", engine=Engine(), limits=HostLimits())
async def wait(soaked):
    source = WAITS.replace("return", "log('up')\\n    return")
    await soaked.host.run(Script(source=source), Engine(reply=lambda *_: None))
async def main():
    async with soaking() as soaked, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(loop, soaked)
            nursery.start_soon(wait, soaked)
trio.run(main)
"""


def test_the_death_of_the_engine_leaves_neither_zygote_nor_child() -> None:
    """Three children in an endless loop, and three that wait for an answer."""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", ENGINE], cwd=root, stdout=subprocess.PIPE) as engine:
        assert engine.stdout is not None
        try:
            assert [engine.stdout.readline() for _ in range(6)] == [b"up\n"] * 6
            (zygote,) = children_of(engine.pid)
            family = children_of(zygote) | {zygote}
            assert len(family) == 7
            handles = [os.pidfd_open(pid) for pid in family]
        finally:
            engine.kill()
    with contextlib.ExitStack() as stack:
        for handle in handles:
            stack.callback(os.close, handle)
            assert select.select([handle], [], [], 10)[0], "a process outlived the engine by ten seconds"
    assert engine.returncode == -signal.SIGKILL
