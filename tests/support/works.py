"""The engine at work in this process, with everything real: island, store, litellm, sandbox and tools, opened once.

Runs share them, so that a test can make many. What passes between the parts is watched, never changed: when a tool or
a check begins, when text of an answer comes, what is recorded of a step's end and what was open at that moment.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from tests.support.agents import read_messages
from vibe_workflows.catalog.metadata import Metadata
from vibe_workflows.cli.models import model_resolver
from vibe_workflows.engine.agents.tools.registry import ToolBox, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.backends.litellm import LitellmBackend, LitellmSettings
from vibe_workflows.engine.backends.router import BackendRouter
from vibe_workflows.engine.backends.scripted import Script, ScriptedBackend
from vibe_workflows.engine.budget import Budget
from vibe_workflows.engine.config import load_settings
from vibe_workflows.engine.events import Event, StepRetried
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import (
    JSON,
    Attempt,
    Message,
    ModelInfo,
    ModelReply,
    ModelRequest,
    Role,
    RunId,
    Step,
    StepStatus,
    ToolCall,
    ToolSpec,
    Turn,
)
from vibe_workflows.engine.observe import Replayer
from vibe_workflows.engine.ports import (
    Checker,
    Limits,
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
from vibe_workflows.engine.requests import Horizons, StepDefaults, StepRequests
from vibe_workflows.engine.run import RunPlan, RunServices, Stop, execute
from vibe_workflows.engine.session import Session
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.sqlite import open_store
from vibe_workflows.sandbox.host import open_host
from vibe_workflows.sandbox.launcher import Zygote

TEST_MODEL = "openai/test-model"
#: Served by `Works.played`, a function of the test.
PLAYED = "played/model"

_OVER = frozenset({StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.CANCELLED})
_ESTABLISHED = "01"


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


@dataclass(frozen=True)
class StoredStep:
    """All rows of one step."""

    step: Step
    turns: list[Turn]
    calls: list[ToolCall]
    attempts: list[Attempt]

    @property
    def transcript(self) -> list[Message]:
        return [message for turn in self.turns for message in read_messages(turn.input)]


@dataclass(frozen=True)
class Finished:
    """One run, from its rows."""

    report: RunReport
    steps: list[StoredStep]
    session: Session

    @property
    def budget(self) -> Budget:
        return self.session._budget

    def prompted(self, prompt: str) -> StoredStep:
        """The step of that prompt."""
        (found,) = [each for each in self.steps if f'"prompt":"{prompt}"' in each.step.spec]
        return found

    def check_nothing_is_held(self) -> None:
        """No reservation, no step that runs or waits, and nobody who waits for the budget."""
        budget, executor = self.budget, self.session._executor
        assert [scope.busy for scope in (budget.run, budget.invocation)] == [False, False]
        assert not budget._waiters
        assert not getattr(executor, "_running", None)


class Works:
    """Use through `open_works`. Runs may not overlap."""

    def __init__(self, services: RunServices, moments: Moments, host: _WatchedHost, store: _WatchedStore) -> None:
        self._services = services
        self._host = host
        self._store = store
        self.moments = moments
        self.events: list[Event] = []

    @property
    def ended(self) -> list[Ended]:
        """Ends of steps, in the order in which they were recorded."""
        return self._store.ended

    @property
    def reader(self) -> StoreReader:
        return self._services.store.reader

    async def run(
        self,
        source: str,
        *,
        stop: Stop | None = None,
        budget: Limits | None = None,
        concurrency: int = 16,
        **defaults: Any,
    ) -> Finished:
        """Run the text of a workflow to its end, however it ends."""
        self.events.clear()
        self.ended.clear()
        plan = RunPlan(
            workflow="flow",
            path="flow.py",
            filename="flow.py",
            source=source,
            args=b"{}",
            model=TEST_MODEL,
            offline=False,
            budget=budget or Limits(),
            max_microusd=None,
            concurrency=concurrency,
            defaults=StepDefaults(**{"max_tokens": 1_000, "max_turns": 30, "timeout_s": 60.0, "retries": 2, **defaults}),
            fresh=True,
        )
        report = await execute(plan, self._services, [self], stop or Stop())
        session = self._host.session
        assert session is not None
        return Finished(report=report, steps=self._stored(report.run.id), session=session)

    def handle(self, event: Event) -> None:
        """As a sink of events."""
        self.events.append(event)
        if isinstance(event, StepRetried):
            self.moments.reached("retry")

    def _stored(self, run: RunId) -> list[StoredStep]:
        reader = self.reader
        return [
            StoredStep(
                step=step,
                turns=reader.turns(step.id),
                calls=reader.tool_calls(step.id),
                attempts=reader.attempts(step.id),
            )
            for step in reader.steps_of_run(run)
        ]


@asynccontextmanager
async def open_works(
    zygote: Zygote,
    folder: Path,
    port: int,
    *,
    api_bases: Mapping[str, str] | None = None,
    played: Script = lambda _request: "ok",
) -> AsyncIterator[Works]:
    """Works in the project `folder`, whose models are on the server at `port` of loopback."""
    moments = Moments()
    async with AsyncExitStack() as stack:
        island = await stack.enter_async_context(open_island())
        sandbox = await stack.enter_async_context(open_host(zygote))
        checker = _WatchedChecker(sandbox.checker, moments)
        host = _WatchedHost(sandbox)
        path = folder / ".vibe" / "vibe.db"
        origins = StoreOrigins(folder / ".state")
        store = _WatchedStore(await stack.enter_async_context(open_store(path, island, origins=origins)), port)
        settings = LitellmSettings(api_base=f"http://127.0.0.1:{port}/v1", api_bases=api_bases or {})
        routes = {"played": ScriptedBackend(played, name="played")}
        backend = _WatchedBackend(BackendRouter(routes, LitellmBackend(island, settings)), moments)
        stack.push_async_callback(_close, backend)
        tools = [_WatchedTool(each, moments) for each in read_tools(Workspace(folder, checker))]
        resolver = model_resolver(
            load_settings(cwd=folder, environ={"HOME": str(folder), "VIBE_MODEL": TEST_MODEL}, flags={}),
            Metadata(name="flow"),
        )

        def requests(defaults: StepDefaults, horizons: Horizons) -> StepRequests:
            return StepRequests(tools=ToolBox(tools), resolve_model=resolver, defaults=defaults, horizons=horizons)

        services = RunServices(
            store=store,
            host=host,
            checker=checker,
            backend=backend,
            requests=requests,
            replayer=Replayer(tools),
            own=RunLocks(path).hold,
            wall_clock=time.time,
            jitter=random.random,
            new_run_id=lambda: RunId(secrets.token_hex(5)),
        )
        yield Works(services, moments, host, store)


async def _close(backend: ModelBackend) -> None:
    with trio.CancelScope(shield=True, deadline=trio.current_time() + 10):
        await backend.aclose()


def connections_to(port: int) -> int:
    """Client sockets to a port of loopback, by the kernel's account at this moment."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(int(row[2].rpartition(":")[2], 16) == port and row[3] == _ESTABLISHED for row in rows)


# ------------------------------------------------------------ the parts, watched


class _WatchedHost:
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


class _WatchedStore:
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


class _WatchedBackend:
    def __init__(self, inner: ModelBackend, moments: Moments) -> None:
        self._inner = inner
        self._moments = moments

    @property
    def name(self) -> str:
        return self._inner.name

    async def info(self, model: str) -> ModelInfo:
        return await self._inner.info(model)

    async def count_tokens(self, request: ModelRequest) -> int:
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


class _WatchedTool:
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

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        self._moments.reached("tool")
        return await self._inner.run(arguments)


class _WatchedChecker:
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


def prompt_of(body: Mapping[str, Any]) -> str:
    """The task in a request of OpenAI's format."""
    return next(str(each["content"]) for each in body["messages"] if each["role"] == Role.USER.value)


def model_environment(folder: Path) -> dict[str, str]:
    """Of a process that uses the loopback server only."""
    return {"HOME": str(folder), "PATH": os.environ.get("PATH", "")}
