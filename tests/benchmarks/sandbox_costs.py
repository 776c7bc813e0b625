"""What the wall costs by itself: a script's start, and one call across it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from vibe_workflows.engine.ports import ScriptStart
from vibe_workflows.sandbox.host import SandboxHost, open_host
from vibe_workflows.sandbox.launcher import start_zygote

_NOTHING = "async def main(args):\n    return 1\n"
_CALLS = 'async def main(args):\n    for number in range(2000):\n        await agent("x" * 200)\n    return 1\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxCosts:
    cold_ms: float
    warm_ms: float
    round_trip_us: float


@dataclass(slots=True)
class Echo:
    """Answers every call at once, and notes when the script began."""

    began: float = 0.0
    answer: Callable[..., None] | None = None
    extra: dict[str, object] = field(default_factory=dict)

    def started(self, sink: object) -> None:
        self.began = time.perf_counter()
        self.answer = sink.answer  # type: ignore[attr-defined]

    def call(self, call: int, *_rest: object) -> None:
        assert self.answer is not None
        self.answer(call, b'"y"', order=None, tokens=1, microusd=0, seconds=0.0)

    def open(self, *_rest: object) -> None: ...
    def close(self, scope: int) -> None: ...
    def cancel_call(self, call: int) -> None: ...
    def log(self, *_rest: object) -> None: ...
    def idle(self, taken: int) -> None: ...


def sandbox_costs() -> SandboxCosts:
    colds, warms, trips = [], [], []
    for _ in range(5):
        cold, warm, trip = trio.run(_measure)
        colds.append(cold)
        warms += warm
        trips.append(trip)
    return SandboxCosts(
        cold_ms=statistics.median(colds) * 1000,
        warm_ms=statistics.median(warms) * 1000,
        round_trip_us=statistics.median(trips) * 1e6,
    )


async def _measure() -> tuple[float, list[float], float]:
    asked = time.perf_counter()
    zygote = start_zygote()
    try:
        async with open_host(zygote) as host:
            cold = await _begin(host) - asked
            warm = []
            for _ in range(10):
                asked = time.perf_counter()
                warm.append(await _begin(host) - asked)
            echo = Echo()
            end = await host.run(_start(_CALLS), echo)
            assert end.outcome == "returned", end
            return cold, warm, (time.perf_counter() - echo.began) / 2000
    finally:
        zygote.close()


async def _begin(host: SandboxHost) -> float:
    echo = Echo()
    end = await host.run(_start(_NOTHING), echo)
    assert end.outcome == "returned", end
    return echo.began


def _start(source: str) -> ScriptStart:
    return ScriptStart(source=source, filename="bench.py", args="{}", now=0.0, seed="s", has_model=True)
