"""An engine whose script is played by a test: it makes the calls of `ScriptCalls` itself, and sees every answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import trio
from msgspec.structs import replace

from tests.support.checking import PlainChecker
from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.agents.tools.read_file import ReadFile
from vibe_workflows.engine.agents.tools.registry import ToolBox
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.attachments import Attachments
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import JSON, RunId
from vibe_workflows.engine.observe import Replayer
from vibe_workflows.engine.plan import RunPlan, RunServices
from vibe_workflows.engine.ports import AnswerSink, Limits, ScriptCalls, ScriptStart, Tool
from vibe_workflows.engine.requests import StepDefaults, StepRequests
from vibe_workflows.engine.routing import ModelChoice
from vibe_workflows.engine.run import Stop, execute
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.sqlite import open_store
from vibe_workflows.sandbox.ending import Ended

PATIENCE_S = 60

PLAN = RunPlan(
    workflow="flow",
    path="/flow.py",
    filename="flow.py",
    source="",
    args=b"{}",
    model="m",
    offline=False,
    budget=Limits(),
    max_microusd=None,
    concurrency=16,
    defaults=StepDefaults(max_tokens=100, max_turns=3, timeout_s=60.0, retries=0),
)


@dataclass
class Answers:
    """The way back into the script: what it was told, by call."""

    values: dict[int, bytes] = field(default_factory=dict)
    faults: dict[int, tuple[str, str]] = field(default_factory=dict)  # type and message
    _told: trio.Event = field(default_factory=trio.Event)

    def answer(self, call: int, value: bytes, **_: Any) -> None:
        self.values[call] = value
        self._wake()

    def fault(self, call: int, fault_type: str, message: str, kind: str, fields: Mapping[str, JSON], **_: Any) -> None:
        self.faults[call] = (fault_type, message)
        self._wake()

    def go(self, calls: int) -> None:
        pass

    def _wake(self) -> None:
        self._told.set()
        self._told = trio.Event()

    async def count(self, expected: int) -> None:
        """Wait until so many calls were answered."""
        with trio.fail_after(PATIENCE_S):
            while len(self.values) + len(self.faults) < expected:
                await self._told.wait()


Looks: TypeAlias = Callable[[Tool], Tool]
Play: TypeAlias = Callable[[ScriptCalls, Answers], Awaitable[None]]


class PlayingHost:
    """A `ScriptHost` whose script is `play`."""

    level = "strong"

    def __init__(self, play: Play) -> None:
        self._play = play
        self.answers = Answers()

    async def run(self, start: ScriptStart, calls: ScriptCalls) -> Ended:
        sink: AnswerSink = self.answers
        calls.started(sink)
        await self._play(calls, self.answers)
        return Ended(outcome="returned", value=b"null")


async def execute_played(
    root: Path,
    play: Play,
    *,
    backend: ScriptedBackend,
    run_id: str = "played",
    looks: Looks = lambda tool: tool,
    **plan: Any,
) -> RunReport:
    """One run in the project at `root`, with a store beside it. `looks` makes the replayer's tool for files."""
    workspace = Workspace(root, PlainChecker())
    tools = (ReadFile(workspace),)
    digests = FileDigests(workspace, lambda: 0.0)
    async with (
        open_island() as island,
        open_store(root / ".vibe/vibe.db", island, origins=StoreOrigins(root.parent / "state")) as store,
    ):
        services = RunServices(
            store=store,
            host=PlayingHost(play),
            checker=PlainChecker(),
            backend=backend,
            requests=lambda defaults, horizons: StepRequests(
                tools=ToolBox(tools),
                resolve_model=lambda **_: ModelChoice(model="m", reason=""),
                defaults=defaults,
                horizons=horizons,
            ),
            replayer=Replayer([*tools, looks(FileState(workspace, digests))]),
            files=WorkspaceFiles(workspace, FileState(workspace, digests)),
            attachments=Attachments(workspace, digests),
            own=lambda _run: nullcontext(),
            wall_clock=lambda: 1_000.0,
            jitter=lambda: 0.0,
            new_run_id=lambda: RunId(run_id),
        )
        return await execute(replace(PLAN, **plan), services, [], Stop())
