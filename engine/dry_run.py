"""A run that asks no model and keeps nothing: what would come from the store, and which steps would be live first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio
from msgspec import Struct

from .ending import Ending
from .errors import ExitCode
from .events import Event, FileEdited, Logged, StepFinished, Warned
from .expected import Estimate, Expectations
from .journal import Journal, Observers
from .lineage import new_run
from .model import RunId, StepStatus
from .plan import RunPlan, RunServices
from .playing import Playing
from .ports import EventSink
from .refresh import Refresh
from .rehearsal import Rehearsal
from .run import Stop

#: It is in no store. Tools that run in a script that asks for details see it.
_ID = RunId("dry-run")


class ComingStep(Struct, frozen=True, kw_only=True):
    """A step that would be live as soon as the run has begun."""

    number: int
    label: str
    phase: str
    model: str
    reason: str
    tools: tuple[str, ...]
    estimate: Estimate


class DryRun(Struct, frozen=True, kw_only=True):
    """What is known of a run before it. `ending` is None where the rest depends on the answers of live steps."""

    workflow: str
    stored: tuple[StepFinished, ...]  # steps that the store answers, in the order of their answers
    live: tuple[ComingStep, ...]
    failed: tuple[StepFinished, ...]  # calls that fail without any model
    edits: Mapping[str, bool]  # that stored steps would make again, by path: whether one creates the file
    tools: int  # read-only tools that ran for it
    ending: Ending | None
    missing_grants: tuple[str, ...]
    oldest_stored_s: float | None
    offline: bool
    exit_code: ExitCode = ExitCode.DONE  # another one where it was stopped

    @property
    def estimate(self) -> Estimate:
        """Of all live steps. The cost is None where that of one is."""
        each = [step.estimate for step in self.live]
        costs = [one.cost_microusd for one in each]
        known = [cost for cost in costs if cost is not None]
        return Estimate(
            input_tokens=sum(one.input_tokens for one in each),
            output_tokens=sum(one.output_tokens for one in each),
            cost_microusd=sum(known) if len(known) == len(costs) else None,
            steps=sum(one.steps for one in each),
        )


class _Told:
    """An EventSink: keeps what became of steps, and passes on what the script and the engine say."""

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self.steps: list[StepFinished] = []
        self.edits: dict[str, bool] = {}
        self._sinks = sinks

    def begin(self) -> None:
        """The script starts, maybe over."""
        self.steps.clear()
        self.edits.clear()

    def handle(self, event: Event) -> None:
        if isinstance(event, StepFinished):
            self.steps.append(event)
        elif isinstance(event, FileEdited):
            self.edits.setdefault(event.path, event.created)
        elif isinstance(event, Logged | Warned):
            for sink in self._sinks:
                sink.handle(event)


async def rehearse(
    plan: RunPlan, services: RunServices, missing_grants: tuple[str, ...], sinks: Sequence[EventSink], stop: Stop
) -> DryRun:
    """Play the workflow of `plan` against the store of `services`, which must be one that keeps nothing.

    `sinks` see what is logged, and warnings. Raises StoreError.
    """
    started_at = services.wall_clock()
    reader = services.store.reader
    run = new_run(plan, reader, _ID, started_at=started_at, sandbox_level=services.host.level)
    told = _Told(sinks)
    journal = Journal(run.id, services.store, Observers([told]), services.wall_clock)
    for warning in plan.warnings:
        journal.warn(warning)
    refresh = Refresh(run.refresh, run.now)
    scope = trio.CancelScope()
    stop.attach(scope)
    rehearsals: list[Rehearsal] = []  # one a pass of the script

    def front() -> Rehearsal:
        told.begin()
        rehearsals.append(Rehearsal(scope.cancel, services.attachments.look))
        return rehearsals[-1]

    ending = await Playing(plan, services, run, journal, refresh, front=front, rehearsed=True).play(scope)
    rehearsal = rehearsals[-1] if rehearsals else front()
    if stop.status is None:
        for sentence in refresh.unmatched(so_far=ending is None):
            journal.warn(sentence)
    oldest = journal.oldest_stored_at
    return DryRun(
        workflow=plan.workflow,
        stored=tuple(each for each in told.steps if each.stored),
        live=await _coming(plan, services, rehearsal, journal),
        failed=tuple(each for each in told.steps if each.status in (StepStatus.FAILED, StepStatus.TIMED_OUT)),
        edits=told.edits,
        tools=rehearsal.tools,
        ending=ending,
        missing_grants=missing_grants,
        oldest_stored_s=None if oldest is None else started_at - oldest,
        offline=plan.offline,
        exit_code=ExitCode.DONE if stop.status is None else stop.exit_code,
    )


async def _coming(
    plan: RunPlan, services: RunServices, rehearsal: Rehearsal, journal: Journal
) -> tuple[ComingStep, ...]:
    expectations = Expectations(plan.path, services.store.reader, services.backend, journal.warn)
    return tuple(
        [
            ComingStep(
                number=item.number,
                label=item.label,
                phase=item.phase,
                model=item.spec.model,
                reason=item.reason,
                tools=tuple(tool.spec.name for tool in item.tools),
                estimate=await expectations.of(item, rehearsal.files.get(item.number, ())),
            )
            for item in rehearsal.live.values()
        ]
    )
