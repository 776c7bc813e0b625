"""The engine at work in this process, with everything real: island, store, litellm, sandbox and tools, opened once.

Runs share them, so that a test can make many. What passes between the parts is watched, never changed: when a tool or
a check begins, when text of an answer comes, what is recorded of a step's end and what was open at that moment.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from tests.support.agents import read_messages
from tests.support.commands import PlainCommands
from tests.support.watched import Ended, Moments, WatchedBackend, WatchedChecker, WatchedHost, WatchedStore, WatchedTool
from vibe_workflows.catalog.metadata import Metadata
from vibe_workflows.cli.models import model_resolver
from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.agents.tools.registry import ToolBox, edit_tools, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.attachments import Attachments
from vibe_workflows.engine.backends.litellm import LitellmBackend, LitellmSettings
from vibe_workflows.engine.backends.router import BackendRouter
from vibe_workflows.engine.backends.scripted import Script, ScriptedBackend
from vibe_workflows.engine.budget import Budget
from vibe_workflows.engine.config import load_settings
from vibe_workflows.engine.events import Event, StepRetried
from vibe_workflows.engine.grants import DEFAULT_GRANTS
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import (
    Attempt,
    Message,
    RunId,
    Step,
    ToolCall,
    Turn,
)
from vibe_workflows.engine.observe import Replayer
from vibe_workflows.engine.plan import RunPlan, RunServices
from vibe_workflows.engine.ports import (
    Limits,
    ModelBackend,
    StoreReader,
)
from vibe_workflows.engine.requests import Horizons, StepDefaults, StepRequests
from vibe_workflows.engine.run import Stop, execute
from vibe_workflows.engine.session import Session
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.sqlite import open_store
from vibe_workflows.sandbox.host import open_host
from vibe_workflows.sandbox.launcher import Zygote

TEST_MODEL = "openai/test-model"
#: Served by `Works.played`, a function of the test.
PLAYED = "played/model"

DEFAULTS: dict[str, Any] = {"max_tokens": 1_000, "max_turns": 30, "timeout_s": 60.0, "retries": 2}


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

    def __init__(
        self,
        services: RunServices,
        moments: Moments,
        host: WatchedHost,
        store: WatchedStore,
        tools: ToolBox,
        clock: MockClock | None,
    ) -> None:
        self._services = services
        self._host = host
        self._store = store
        self._clock = clock
        self.tools = tools
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
            defaults=StepDefaults(
                **{"max_tokens": 1_000, "max_turns": 30, "timeout_s": 60.0, "retries": 2, **defaults}
            ),
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
            if self._clock is not None:
                self._clock.jump(event.wait_s)

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
    clock: MockClock | None = None,
    grants: Sequence[str] = DEFAULT_GRANTS,
) -> AsyncIterator[Works]:
    """Works in the project `folder`, whose models are on the server at `port` of loopback.

    A `clock` that is given is turned on by what a step waits between two attempts.
    """
    moments = Moments()
    async with AsyncExitStack() as stack:
        island = await stack.enter_async_context(open_island())
        sandbox = await stack.enter_async_context(open_host(zygote))
        checker = WatchedChecker(sandbox.checker, moments)
        host = WatchedHost(sandbox)
        path = folder / ".vibe" / "vibe.db"
        origins = StoreOrigins(folder / ".state")
        store = WatchedStore(await stack.enter_async_context(open_store(path, island, origins=origins)), port)
        settings = LitellmSettings(api_base=f"http://127.0.0.1:{port}/v1", api_bases=api_bases or {})
        routes = {"played": ScriptedBackend(played, name="played")}
        backend = WatchedBackend(BackendRouter(routes, LitellmBackend(island, settings)), moments)
        stack.push_async_callback(_close, backend)
        workspace = Workspace(folder, checker)
        tools = [WatchedTool(each, moments) for each in read_tools(workspace, PlainCommands(folder))]
        box = ToolBox([*tools, *edit_tools(workspace)], grants)
        digests = FileDigests(workspace, time.time)
        resolver = model_resolver(
            load_settings(cwd=folder, environ={"HOME": str(folder), "VIBE_MODEL": TEST_MODEL}, flags={}),
            Metadata(name="flow"),
        )

        def requests(defaults: StepDefaults, horizons: Horizons) -> StepRequests:
            return StepRequests(tools=box, resolve_model=resolver, defaults=defaults, horizons=horizons)

        services = RunServices(
            store=store,
            host=host,
            checker=checker,
            backend=backend,
            requests=requests,
            replayer=Replayer([*tools, FileState(workspace, digests)]),
            files=WorkspaceFiles(workspace, FileState(workspace, digests)),
            attachments=Attachments(workspace, digests),
            own=RunLocks(path).hold,
            wall_clock=time.time,
            jitter=random.random,
            new_run_id=lambda: RunId(secrets.token_hex(5)),
        )
        yield Works(services, moments, host, store, box, clock)


async def _close(backend: ModelBackend) -> None:
    with trio.CancelScope(shield=True, deadline=trio.current_time() + 10):
        await backend.aclose()
