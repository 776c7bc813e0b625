"""The parts of the engine, watched: what passes through is told, and never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from vibe_workflows.engine.model import (
    JSON,
    ModelInfo,
    ModelReply,
    ModelRequest,
    Step,
    StepStatus,
    ToolSpec,
)
from vibe_workflows.engine.ports import (
    Checker,
    Footprint,
    ModelBackend,
    Record,
    ScriptCalls,
    ScriptEnd,
    ScriptHost,
    ScriptStart,
    Store,
    StoreReader,
    Tool,
    ToolResult,
    Verdict,
)
from vibe_workflows.engine.session import Session

_OVER = frozenset({StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.CANCELLED})
_ESTABLISHED, _SYN_SENT = "01", "02"


@dataclass(frozen=True, slots=True)
class Ended:
    """A step whose end is handed to the store, and how many connections to the server were open at that moment."""

    step: Step
    connections: int


@dataclass
class Moments:
    """Named points of a run: `reached` tells a test that one was passed, or calls what the test asked for there."""

    at: dict[str, Callable[[], None]] = field(default_factory=dict)
    _events: dict[str, trio.Event] = field(default_factory=dict)

    def reached(self, name: str) -> None:
        self._events.setdefault(name, trio.Event()).set()
        act = self.at.pop(name, None)
        if act is not None:
            act()

    async def until(self, name: str) -> None:
        await self._events.setdefault(name, trio.Event()).wait()


def connections_to(port: int) -> int:
    """Client sockets that are connected to a port of loopback, by the kernel's account at this moment."""
    return _client_sockets(port, _ESTABLISHED)


def connections_asked_of(port: int) -> int:
    """Client sockets that wait for a connection."""
    return _client_sockets(port, _SYN_SENT)


def _client_sockets(port: int, state: str) -> int:
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(int(row[2].rpartition(":")[2], 16) == port and row[3] == state for row in rows)


class WatchedHost:
    def __init__(self, inner: ScriptHost) -> None:
        self._inner = inner
        self.session: Session | None = None

    @property
    def level(self) -> str:
        return self._inner.level

    async def run(self, start: ScriptStart, calls: ScriptCalls) -> ScriptEnd:
        assert isinstance(calls, Session)
        self.session = calls
        return await self._inner.run(start, calls)


class WatchedStore:
    def __init__(self, inner: Store, port: int) -> None:
        self._inner = inner
        self._port = port
        self.ended: list[Ended] = []

    @property
    def reader(self) -> StoreReader:
        return self._inner.reader

    @property
    def reusable(self) -> bool:
        return self._inner.reusable

    def post(self, records: Sequence[Record], then: Callable[[], None] | None = None, *, lazy: bool = False) -> None:
        for record in records:
            if isinstance(record, Step) and record.status in _OVER:
                self.ended.append(Ended(record, connections_to(self._port)))
        self._inner.post(records, then, lazy=lazy)

    async def commit(self, records: Sequence[Record]) -> None:
        await self._inner.commit(records)


class WatchedBackend:
    def __init__(self, inner: ModelBackend, moments: Moments) -> None:
        self._inner = inner
        self._moments = moments

    @property
    def name(self) -> str:
        return self._inner.name

    async def info(self, model: str) -> ModelInfo:
        return await self._inner.info(model)

    async def count_tokens(self, request: ModelRequest) -> int:
        if not request.model.startswith("played/"):  # a step that stands by has no moments
            self._moments.reached("count")
        return await self._inner.count_tokens(request)

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        def heard(text: str) -> None:
            if on_text is not None:
                on_text(text)
            self._moments.reached("text")

        reply = await self._inner.complete(request, heard)
        self._moments.reached("reply")
        return reply

    async def aclose(self) -> None:
        await self._inner.aclose()


class WatchedTool:
    def __init__(self, inner: Tool, moments: Moments) -> None:
        self._inner = inner
        self._moments = moments

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def spec(self) -> ToolSpec:
        return self._inner.spec

    @property
    def group(self) -> str:
        return self._inner.group

    @property
    def observes(self) -> bool:
        return self._inner.observes

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return self._inner.footprint(arguments)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        self._moments.reached("tool")
        return await self._inner.run(arguments)


class WatchedChecker:
    def __init__(self, inner: Checker, moments: Moments) -> None:
        self._inner = inner
        self._moments = moments

    async def check_schema(self, schema: JSON) -> Sequence[str]:
        self._moments.reached("check_schema")
        return await self._inner.check_schema(schema)

    async def validate(self, schema: JSON, value: JSON, *, fill_defaults: bool = False) -> Verdict:
        self._moments.reached("validate")
        return await self._inner.validate(schema, value, fill_defaults=fill_defaults)

    async def match_paths(self, pattern: str, paths: Sequence[str]) -> Sequence[str]:
        return await self._inner.match_paths(pattern, paths)

    async def ignored(self, rules: Mapping[str, str], paths: Sequence[str]) -> Sequence[str]:
        return await self._inner.ignored(rules, paths)

    async def search(
        self, pattern: str, files: Sequence[tuple[str, str]], *, ignore_case: bool, limit: int
    ) -> Sequence[tuple[str, int, str]]:
        self._moments.reached("search")
        return await self._inner.search(pattern, files, ignore_case=ignore_case, limit=limit)
