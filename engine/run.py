"""Starts, continues and finishes one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial

import trio
from msgspec import Struct
from msgspec.structs import replace

from .agents.schema_cache import SchemaCache
from .attachments import Attachments
from .budget import Budget, Margins
from .ending import Ending, ending_of_script, fault_of, known_error
from .errors import ExitCode, StoreError
from .events import RunFinished, RunStarted
from .executors.local import LocalExecutor
from .grants import DEFAULT_GRANTS, require_requested
from .journal import Journal, Observers
from .launch import RunReport
from .lineage import new_run
from .metering import MeteredBackend
from .model import Run, RunId, RunStatus
from .observe import Replayer
from .ports import Checker, EventSink, Limits, ModelBackend, ScriptCalls, ScriptHost, ScriptStart, Source, Store
from .refresh import Refresh
from .requests import Horizons, StepDefaults, StepRequests
from .reuse import Reuse
from .session import MakeExecutor, Session
from .step import StepServices

#: How long the last commit of a stopped run may take.
_CLOSING_S = 5.0


class RunPlan(Struct, frozen=True, kw_only=True):
    """One run, decided: what runs, with what, and within which limits."""

    workflow: str
    path: str  # absolute: with the arguments, it names what a lineage goes on with
    filename: str  # the path as a person reads it in errors
    source: str
    args: bytes  # canonical JSON, defaults filled in
    model: str  # of steps that name none; "offline" where none is configured
    offline: bool
    budget: Limits
    max_microusd: int | None
    concurrency: int
    defaults: StepDefaults
    permissions: tuple[str, ...] = ()  # requested by the workflow
    granted: tuple[str, ...] = DEFAULT_GRANTS
    continues: Run | None = None  # the run that a person named; else the latest unfinished one
    new: bool = False
    fresh: bool = False
    refresh: tuple[str, ...] = ()  # words for steps that are to run again
    seed: str | None = None
    version: str = ""
    warnings: tuple[str, ...] = ()  # told when the run begins
    prefix_warmup: bool = True  # send one call of a fan-out ahead where its calls share a long prefix


class RunServices(Struct, frozen=True, kw_only=True):
    """The parts that the wiring put together."""

    store: Store
    host: ScriptHost
    checker: Checker
    backend: ModelBackend
    requests: Callable[[StepDefaults, Horizons], StepRequests]
    replayer: Replayer
    attachments: Attachments
    own: Callable[[RunId], AbstractContextManager[object]]  # holds the lock of a run while it lives
    wall_clock: Callable[[], float]
    jitter: Callable[[], float]
    new_run_id: Callable[[], RunId]


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
        )
        await journal.commit([Source(digest=run.source_digest, text=plan.source), run], [begun])
        for warning in plan.warnings:
            journal.warn(warning)
        ending = await _run_script(plan, services, run, journal, stop)
        return await _finish(run, ending, journal, services, observers)


async def _run_script(plan: RunPlan, services: RunServices, run: Run, journal: Journal, stop: Stop) -> Ending:
    refresh = Refresh(run.refresh, run.now)
    scope = trio.CancelScope()
    stop.attach(scope)
    ending = await play(plan, services, run, scope, partial(open_session, plan, services, run, journal, refresh))
    if ending is None:
        status = stop.status or RunStatus.INTERRUPTED
        return Ending(status=status, exit_code=stop.exit_code)
    for sentence in refresh.unmatched():  # one that was stopped may not have come to them yet
        journal.warn(sentence)
    return ending


async def play(
    plan: RunPlan,
    services: RunServices,
    run: Run,
    scope: trio.CancelScope,
    serve: Callable[[trio.Nursery], ScriptCalls],
) -> Ending | None:
    """Run the script, whose calls `serve` answers; None where `scope` was cancelled before its end.

    Raises StoreError.
    """
    start = ScriptStart(
        source=plan.source,
        filename=plan.filename,
        args=plan.args.decode(),
        now=run.now,
        seed=run.seed,
        has_model=not plan.offline,
        limits=plan.budget,
    )
    ending: Ending | None = None
    try:
        with scope:
            async with trio.open_nursery() as nursery:
                end = await services.host.run(start, serve(nursery))
                ending = ending_of_script(end, plan.filename)
                # What the script left open is of no use to anyone.
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        error = known_error(group)
        if error is None or isinstance(error, StoreError):
            raise error or group from None
        ending = Ending(status=RunStatus.FAILED, exit_code=error.exit_code, fault=fault_of(error))
    return ending


def open_session(
    plan: RunPlan,
    services: RunServices,
    run: Run,
    journal: Journal,
    refresh: Refresh,
    nursery: trio.Nursery,
    *,
    executor: MakeExecutor = LocalExecutor,
    at_rest: Callable[[], None] = lambda: None,
) -> Session:
    """The session of a run, on a budget of its own."""
    budget = Budget(plan.budget, Limits(microusd=plan.max_microusd), clock=trio.current_time)
    step_services = StepServices(
        run_id=run.id,
        journal=journal,
        backend=MeteredBackend(
            services.backend,
            budget,
            Margins(),
            concurrency=plan.concurrency,
            tell=journal.events,
            wall_clock=services.wall_clock,
            jitter=services.jitter,
            prefix_warmup=plan.prefix_warmup,
        ),
        budget=budget,
        checker=services.checker,
        schemas=SchemaCache(services.checker),
        attachments=services.attachments,
        finished_turns=services.store.reader.turns,
        wall_clock=services.wall_clock,
        jitter=services.jitter,
    )
    horizons = Horizons(run=run.horizon, lineage_start=run.now, now=run.started_at)
    return Session(
        run_id=run.id,
        requests=services.requests(plan.defaults, horizons),
        services=step_services,
        journal=journal,
        reuse=Reuse(services.store.reader) if services.store.reusable else None,
        replayer=services.replayer,
        refresh=refresh,
        nursery=nursery,
        concurrency=plan.concurrency,
        clock=trio.current_time,
        executor=executor,
        at_rest=at_rest,
    )


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
