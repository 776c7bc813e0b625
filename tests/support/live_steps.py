"""Steps of one run against a model made of a function, on trio's clock, and all that they wrote down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import trio

from vibe_workflows.engine.agents.schema_cache import SchemaCache
from vibe_workflows.engine.agents.tools.file_state import FileDigests
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.attachments import Attachments
from vibe_workflows.engine.backends.scripted import Script, ScriptedBackend
from vibe_workflows.engine.budget import Budget, Margins
from vibe_workflows.engine.budget import Scope as BudgetScope
from vibe_workflows.engine.events import Event
from vibe_workflows.engine.journal import Journal, Observers
from vibe_workflows.engine.live_step import LiveStep, StepOutcome, StepServices
from vibe_workflows.engine.metering import MeteredBackend
from vibe_workflows.engine.model import Attempt, ModelRequest, Role, RunId, StepId, StepKey, StepKind, StepSpec
from vibe_workflows.engine.ports import Limits, ModelBackend, RunEvent
from vibe_workflows.engine.step import StepWork

from .checking import PlainChecker
from .hands import new_project, new_witness
from .kept_records import KeptRecords

Kind = TypeVar("Kind", bound=Event)


class Steps:
    """With the given jitter, which is at its most, every wait is known: 0.5 s, 1 s, 2 s, ..."""

    def __init__(
        self,
        backend: ModelBackend,
        *,
        limits: Limits | None = None,
        concurrency: int = 16,
        prefix_warmup: bool = True,
        jitter: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.backend = backend
        self.store = KeptRecords()
        self.budget = Budget(limits or Limits(), Limits(), clock=trio.current_time)
        journal = Journal(RunId("r1"), self.store, Observers([]), trio.current_time)
        checker = PlainChecker()
        workspace = Workspace(Path("."), checker)
        self.metered = MeteredBackend(
            backend,
            self.budget,
            Margins(),
            concurrency=concurrency,
            tell=journal.events,
            wall_clock=trio.current_time,
            jitter=jitter,
            prefix_warmup=prefix_warmup,
        )
        self._services = StepServices(
            run_id=RunId("r1"),
            journal=journal,
            backend=self.metered,
            budget=self.budget,
            checker=checker,
            attachments=Attachments(workspace, FileDigests(workspace, trio.current_time)),
            schemas=SchemaCache(checker),
            project=new_project(journal),
            finished_turns=lambda step: (),
            wall_clock=trio.current_time,
            jitter=jitter,
        )
        self._numbers = iter(range(1, 1_000_000))

    async def run(
        self,
        prompt: str = "do it",
        *,
        retries: int = 2,
        timeout_s: float = 600.0,
        scope: BudgetScope | None = None,
        **spec: Any,
    ) -> StepOutcome:
        number = next(self._numbers)
        work = LiveStep(
            number=number,
            id=StepId(f"s{number}"),
            key=StepKey("key"),
            spec=StepSpec(kind=StepKind.AGENT, prompt=prompt, **{"model": "m", **spec}),
            canonical="{}",
            label=prompt,
            phase="",
            tools=(),
            budget=scope or self.budget.run,
            max_tokens=100,
            max_turns=30,
            timeout_s=timeout_s,
            retries=retries,
            witness=new_witness(),
        )
        return await StepWork(work, self._services).run()

    async def fan_out(self, prompts: Sequence[str], **options: Any) -> list[StepOutcome]:
        """All at the same time; outcomes in the order of the prompts."""
        outcomes: dict[int, StepOutcome] = {}

        async def one(place: int, prompt: str) -> None:
            outcomes[place] = await self.run(prompt, **options)

        async with trio.open_nursery() as nursery:
            for place, prompt in enumerate(prompts):
                nursery.start_soon(one, place, prompt)
        return [outcomes[place] for place in range(len(prompts))]

    def told(self, kind: type[Kind]) -> list[Kind]:
        return [
            record.event
            for record in self.store.records
            if isinstance(record, RunEvent) and isinstance(record.event, kind)
        ]


def scripted(script: Script, *, latency_s: float = 0.0, **more: Any) -> ScriptedBackend:
    return ScriptedBackend(script, latency_s=latency_s, **more)


def attempts(outcome: StepOutcome) -> list[Attempt]:
    return [record for record in outcome.records if isinstance(record, Attempt)]


def prompt_of(request: ModelRequest) -> str:
    return next(message.text for message in request.messages if message.role is Role.USER)
