"""Plays the script of a run: once, or from its start again where edits were adopted that its answers stood on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from .agents.schema_cache import SchemaCache
from .budget import Budget, Margins
from .ending import Ending, ending_of_script, fault_of, known_error
from .errors import StoreError
from .events import ScriptRestarted
from .executors.local import LocalExecutor
from .grants import may_edit
from .journal import Journal
from .live_step import StepServices
from .metering import MeteredBackend
from .model import Run, RunStatus, StepId
from .plan import RunPlan, RunServices
from .ports import Limits, OwnStep, ScriptCalls, ScriptStart, StartedOver, StoreReader
from .refresh import Refresh
from .requests import Horizons
from .reuse import Reuse
from .session import MakeExecutor, Session
from .timeline.opening import open_project
from .timeline.project import Project
from .works import Works


class Front(Protocol):
    """What stands between the script's process and the session of one pass."""

    @property
    def executor(self) -> MakeExecutor: ...

    def at_rest(self) -> None: ...

    def serving(self, session: Session) -> ScriptCalls: ...


class NoFront:
    executor: MakeExecutor = LocalExecutor

    def at_rest(self) -> None:
        return None

    def serving(self, session: Session) -> ScriptCalls:
        return session


class Playing:
    """One run's script, over all passes. `front` makes what stands before the session of a pass.

    `rehearsed`: nothing is written, to no file and to no store.
    """

    def __init__(
        self,
        plan: RunPlan,
        services: RunServices,
        run: Run,
        journal: Journal,
        refresh: Refresh,
        *,
        front: Callable[[], Front] = NoFront,
        rehearsed: bool = False,
    ) -> None:
        self._plan = plan
        self._services = services
        self._run = run
        self._journal = journal
        self._refresh = refresh
        self._front = front
        self._rehearsed = rehearsed
        self._steps = 0
        self._pass = trio.CancelScope()
        self._over_again: ScriptRestarted | None = None

    async def play(self, scope: trio.CancelScope) -> Ending | None:
        """Run the script to its end; None where `scope` was cancelled before that. Raises StoreError."""
        with scope:
            return await self._play()
        return None

    async def _play(self) -> Ending | None:
        services = self._services
        opened = await open_project(
            run_id=self._run.id,
            store=services.store,
            files=services.files,
            replayer=services.replayer,
            journal=self._journal,
            wall_clock=services.wall_clock,
            own_steps=self._own_steps,
            may_edit=may_edit(self._plan.granted),
            start_over=self._start_over,
            rehearsed=self._rehearsed,
            bench=services.bench,
            tree=services.tree,
        )
        step_services = self._step_services(opened.project)
        works = Works(step_services, services.isolation)
        own_steps = opened.own_steps
        while True:
            ending = await self._one_pass(step_services, works, own_steps)
            if self._over_again is None:
                return ending
            await self._begin_again(step_services, self._over_again)
            if not self._rehearsed:  # then none of its steps have edited anything
                reader = services.store.reader
                own_steps = tuple(reader.own_steps(self._run.path, self._run.args_digest, self._run.id))

    def _own_steps(self, reader: StoreReader) -> list[OwnStep]:
        if self._plan.fresh or self._plan.accept:
            return []
        return reader.own_steps(self._run.path, self._run.args_digest)

    def _start_over(self, told: ScriptRestarted) -> None:
        self._over_again = told
        self._pass.cancel()

    async def _begin_again(self, services: StepServices, told: ScriptRestarted) -> None:
        self._over_again = None
        self._journal.start_over()
        await self._journal.commit([StartedOver(run_id=self._run.id)], [told])
        services.budget.start_over()
        self._services.replayer.forget()
        await services.project.refresh()
        services.project.timeline.begin()

    async def _one_pass(self, services: StepServices, works: Works, own_steps: tuple[OwnStep, ...]) -> Ending | None:
        ending: Ending | None = None
        front = self._front()
        self._pass = trio.CancelScope()
        try:
            with self._pass:
                async with trio.open_nursery() as nursery:
                    session = self._session(services, works, own_steps, front, nursery)
                    end = await self._services.host.run(self._script_start(), front.serving(session))
                    ending = ending_of_script(end, self._plan.filename)
                    if ending.status is RunStatus.COMPLETED:
                        await services.project.adopt_rest()
                    # What the script left open is of no use to anyone.
                    nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            error = known_error(group)
            if error is None or isinstance(error, StoreError):
                raise error or group from None
            ending = Ending(status=RunStatus.FAILED, exit_code=error.exit_code, fault=fault_of(error))
        return ending

    def _script_start(self) -> ScriptStart:
        plan, run = self._plan, self._run
        return ScriptStart(
            source=plan.source,
            filename=plan.filename,
            args=plan.args.decode(),
            now=run.now,
            seed=run.seed,
            has_model=not plan.offline,
            limits=plan.budget,
        )

    def _step_services(self, project: Project) -> StepServices:
        plan, services = self._plan, self._services
        budget = Budget(plan.budget, Limits(microusd=plan.max_microusd), clock=trio.current_time)
        return StepServices(
            run_id=self._run.id,
            journal=self._journal,
            backend=MeteredBackend(
                services.backend,
                budget,
                Margins(),
                concurrency=plan.concurrency,
                tell=self._journal.events,
                wall_clock=services.wall_clock,
                jitter=services.jitter,
                prefix_warmup=plan.prefix_warmup,
            ),
            budget=budget,
            checker=services.checker,
            schemas=SchemaCache(services.checker),
            attachments=services.attachments,
            project=project,
            finished_turns=services.store.reader.turns,
            agents=services.agents,
            wall_clock=services.wall_clock,
            jitter=services.jitter,
        )

    def _session(
        self,
        services: StepServices,
        works: Works,
        own_steps: tuple[OwnStep, ...],
        front: Front,
        nursery: trio.Nursery,
    ) -> Session:
        run = self._run
        horizons = Horizons(run=run.horizon, lineage_start=run.now, now=run.started_at)
        store = self._services.store
        return Session(
            run_id=run.id,
            requests=self._services.requests(self._plan.defaults, horizons),
            services=services,
            works=works,
            journal=self._journal,
            reuse=Reuse(store.reader) if store.reusable else None,
            own_steps=own_steps,
            replayer=self._services.replayer,
            refresh=self._refresh,
            nursery=nursery,
            concurrency=self._plan.concurrency,
            clock=trio.current_time,
            next_step_id=self._next_step_id,
            executor=front.executor,
            at_rest=front.at_rest,
        )

    def _next_step_id(self) -> StepId:
        self._steps += 1
        return StepId(f"{self._run.id}-{self._steps}")
