"""Starts, continues and finishes one run."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from msgspec.structs import replace

from .ending import Ending
from .errors import ExitCode
from .events import RunFinished, RunLimits, RunStarted
from .grants import require_requested
from .journal import Journal, Observers
from .launch import RunReport
from .lineage import new_run
from .model import Run, RunStatus
from .plan import RunPlan, RunServices
from .playing import Playing
from .ports import EventSink, Source
from .refresh import Refresh

#: How long the last commit of a stopped run may take.
_CLOSING_S = 5.0


class Stop:
    """How the outside ends a run: cleanly, with everything finished so far kept."""

    def __init__(self) -> None:
        self.status: RunStatus | None = None
        self.exit_code = ExitCode.INTERRUPTED
        self._scope: trio.CancelScope | None = None

    def ask(self, status: RunStatus, exit_code: ExitCode) -> None:
        self.status, self.exit_code = status, exit_code
        if self._scope is not None:
            self._scope.cancel()

    def attach(self, scope: trio.CancelScope) -> None:
        self._scope = scope
        if self.status is not None:
            scope.cancel()


async def execute(plan: RunPlan, services: RunServices, sinks: Sequence[EventSink], stop: Stop) -> RunReport:
    """Run a workflow to its end and return the report. The `Run` row is durable before the script starts.

    Raises VibeErrors only for what is found before that, and StoreError at any time.
    """
    require_requested(plan.filename, plan.permissions, plan.granted)
    wall_clock = services.wall_clock
    run = new_run(
        plan,
        services.store.reader,
        services.new_run_id(),
        started_at=wall_clock(),
        sandbox_level=services.host.level,
    )
    observers = Observers(sinks)
    journal = Journal(run.id, services.store, observers, wall_clock)
    with services.own(run.id):
        begun = RunStarted(
            at=run.started_at,
            run=run.id,
            workflow=plan.workflow,
            lineage=run.lineage,
            parent=run.parent,
            model=plan.model,
            offline=plan.offline,
            phases=plan.phases,
            limits=_limits(plan),
        )
        await journal.commit([Source(digest=run.source_digest, text=plan.source), run], [begun])
        for warning in plan.warnings:
            journal.warn(warning)
        ending = await _run_script(plan, services, run, journal, stop)
        return await _finish(run, ending, journal, services, observers)


def _limits(plan: RunPlan) -> RunLimits:
    budget = plan.budget
    return RunLimits(
        tokens=budget.tokens,
        microusd=budget.microusd,
        steps=budget.steps,
        seconds=budget.seconds,
        paid_microusd=None if plan.offline else plan.max_microusd,
    )


async def _run_script(plan: RunPlan, services: RunServices, run: Run, journal: Journal, stop: Stop) -> Ending:
    refresh = Refresh(run.refresh, run.now)
    scope = trio.CancelScope()
    stop.attach(scope)
    ending = await Playing(plan, services, run, journal, refresh).play(scope)
    if ending is None:
        status = stop.status or RunStatus.INTERRUPTED
        return Ending(status=status, exit_code=stop.exit_code)
    for sentence in refresh.unmatched():  # one that was stopped may not have come to them yet
        journal.warn(sentence)
    return ending


async def _finish(run: Run, ending: Ending, journal: Journal, services: RunServices, observers: Observers) -> RunReport:
    """Commit the last row, whatever happens around it, and report."""
    finished_at = services.wall_clock()
    final = replace(
        run,
        status=ending.status,
        finished_at=finished_at,
        result=ending.result.decode() if ending.result is not None else None,
        fault=ending.fault,
        usage=journal.usage,
        paid=journal.paid,
        live_steps=journal.live_steps,
        stored_steps=journal.stored_steps,
    )
    event = RunFinished(
        at=finished_at,
        run=run.id,
        status=ending.status.value,
        live_steps=journal.live_steps,
        stored_steps=journal.stored_steps,
        tokens=journal.usage.tokens,
        cost_microusd=journal.usage.cost_microusd,
        paid_tokens=journal.paid.tokens,
        paid_microusd=journal.paid.cost_microusd,
        error=ending.fault.message if ending.fault is not None else "",
        again_steps=journal.again_steps,
        again_paths=tuple(sorted(journal.again_paths)),
    )
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSING_S):
        await journal.commit([final], [event])
    oldest = journal.oldest_stored_at
    return RunReport(
        run=final,
        result=ending.result,
        exit_code=ending.exit_code,
        error=ending.fault,
        notes=tuple(observers.disabled),
        oldest_stored_s=None if oldest is None else finished_at - oldest,
    )
