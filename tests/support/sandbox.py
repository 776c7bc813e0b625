"""What the sandbox's tests share: a start, an engine that records and answers, and children of every role."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from vibe_workflows.sandbox.conversation import converse
from vibe_workflows.sandbox.ending import Ended
from vibe_workflows.sandbox.forker import Forker, open_forker
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.limits import ALL_LAYERS, ChildLimits, HostLimits

#: For scripts that are expected to be killed: the same limits, sooner.
QUICK = HostLimits(child=ChildLimits(cpu_s=1), stall_s=20.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLimits:
    tokens: int | None = None
    microusd: int | None = None
    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    source: str
    filename: str = "workflow.py"
    args: str = "{}"
    now: float = 1_700_000_000.0
    seed: str = "seed"
    has_model: bool = False
    limits: NoLimits = NoLimits()


@dataclass
class RecordingEngine:
    """Records what a script does, and answers each call at once with what `reply` gives: JSON, or None for never."""

    reply: Callable[[int, str, bytes], bytes | None] = lambda _call, _method, _params: b'"answer"'
    frames: list[tuple[Any, ...]] = field(default_factory=list)
    sink: Any = None

    @property
    def logs(self) -> list[str]:
        return [frame[3] for frame in self.frames if frame[0] == "log"]

    def started(self, sink: Any) -> None:
        self.sink = sink

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None:
        self.frames.append(("call", call, scope, line, column, method, params))
        answer = self.reply(call, method, params)
        if answer is not None:
            self.sink.answer(call, answer, order=None, tokens=0, microusd=0, seconds=0.0)

    def open(
        self,
        scope: int,
        parent: int,
        kind: str,
        branches: int,
        limits: Any,
        title: str | None,
        model: str | None,
        line: int,
    ) -> None:
        self.frames.append(("open", scope, parent, kind, branches, limits, title, model, line))

    def close(self, scope: int) -> None:
        self.frames.append(("close", scope))

    def cancel_call(self, call: int) -> None:
        self.frames.append(("cancel", call))

    def log(self, scope: int, line: int, message: str, fields: Mapping[str, Any]) -> None:
        self.frames.append(("log", scope, line, message, fields))

    def idle(self, taken: int) -> None:
        self.frames.append(("idle", taken))


async def run_native(
    forker: Forker,
    source: str,
    *,
    engine: RecordingEngine | None = None,
    limits: HostLimits = QUICK,
    layers: frozenset[str] = ALL_LAYERS,
) -> tuple[Ended, RecordingEngine]:
    """Run `source` with full builtins behind wall 2 alone."""
    engine = engine or RecordingEngine()
    child = await forker.fork("native", limits.child, layers=layers)
    return await converse(child, Script(source=source), engine, limits), engine


@asynccontextmanager
async def running_forker() -> AsyncIterator[Forker]:
    zygote = start_zygote()
    try:
        async with open_forker(zygote) as forker:
            yield forker
    finally:
        zygote.close()
