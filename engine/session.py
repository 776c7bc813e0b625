"""The host side of the primitives: serves the calls of one script.

A call becomes a spec; reuse finds a stored answer or the executor runs the step. Frames are handled in their order and
without an await, so that the order of what a script sees is decided in one place. Only a look at the workspace takes
time (a replay of observations): meanwhile the calls of that batch wait, and what comes in queues up behind them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import msgspec
import trio

from .answers import Answers, detailed
from .budget import NO_LIMITS, Budget
from .budget import Scope as BudgetScope
from .ending import traced_fault
from .errors import SandboxError, StepFault
from .executors.local import LocalExecutor
from .journal import Journal
from .live_step import LiveStep, StepOutcome, StepServices
from .matching import Matching
from .merges import Merges
from .model import NO_USAGE, RunId, Step, StepId, StepKey, StepStatus
from .observe import Replayer
from .open_calls import OpenCall
from .ports import AnswerSink, Executor, Limits, LimitsShape, OwnStep, StoredStep
from .refresh import Refresh
from .requests import StepRequests
from .retracing import Retracing
from .reuse import Decision, Reuse
from .scopes import ScopeTree
from .timeline.timeline import Witness
from .works import Works

#: Makes an executor from a nursery, a capacity, and what runs an item.
MakeExecutor: TypeAlias = Callable[[trio.Nursery, int, Callable[[LiveStep], Awaitable[None]]], Executor[LiveStep]]


class Session:
    """Implements `ports.ScriptCalls` for one script of one run."""

    def __init__(
        self,
        *,
        run_id: RunId,
        requests: StepRequests,
        services: StepServices,
        works: Works,
        journal: Journal,
        reuse: Reuse | None,
        own_steps: Sequence[OwnStep],
        replayer: Replayer,
        refresh: Refresh,
        nursery: trio.Nursery,
        concurrency: int,
        clock: Callable[[], float],
        next_step_id: Callable[[], StepId],
        executor: MakeExecutor = LocalExecutor,
        at_rest: Callable[[], None] = lambda: None,
    ) -> None:
        """`at_rest` is called when nothing stored is left to hand over and the live steps have been submitted."""
        self._run_id = run_id
        self._requests = requests
        self._works = works
        self._journal = journal
        self._project = services.project
        self._refresh = refresh
        self._wall_clock = services.wall_clock
        self._answers = Answers(clock)
        self._budget: Budget = services.budget
        self._tree = ScopeTree(services.budget)
        self._executor = executor(nursery, concurrency, self._run_live)
        self._tell_rest = at_rest
        self._matching = Matching(
            self,
            reuse=reuse,
            retracing=None if reuse is None else Retracing(reuse, services.project, own_steps),
            replayer=replayer,
            project=services.project,
            nursery=nursery,
            next_step_id=next_step_id,
        )
        self._open: dict[int, OpenCall] = {}
        self._begun = 0  # of them
        self._waiting: list[OpenCall] = []  # calls since the last ones were matched
        self._merges = Merges()
        self._places: dict[tuple[str, StepKey], int] = {}
        self._looking = False
        self._quiet_again: int | None = None  # an `idle` that came during a look at the workspace
        self._last_call = 0  # the latest that came

    # ------------------------------------------------------------ frames

    def started(self, sink: AnswerSink) -> None:
        self._answers.started(sink)

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None:
        where = self._tree[scope]
        self._last_call = call
        try:
            if method == "agent":
                request = self._requests.agent(params, phase=where.phase, phase_model=where.model)
            elif method == "tool":
                request = self._requests.tool(params)
            elif method == "merge":
                request = self._requests.merge(params, self._merges)
            else:
                raise SandboxError(f"the script's process called {method!r}, which no script can")
            if where.racing:
                from .racing import require_bystander  # few scripts race

                require_bystander(request)
            self._merges.begin(request.spec, line)
        except msgspec.DecodeError as error:
            raise SandboxError(f"the script's process sent a call that no script makes: {error}") from error
        except StepFault as error:
            self._answers.refuse(call, error.to_fault())
            return
        for note in request.notes:
            self._journal.warn_once(note)
        opened = OpenCall(
            number=call,
            scope=where,
            line=line,
            request=request,
            trail=where.branch.trail,
            past=where.branch.past,
            requested_at=self._wall_clock(),
        )
        self._place(opened)
        where.calls.add(call)
        self._open[call] = opened
        self._waiting.append(opened)

    def open(
        self,
        scope: int,
        parent: int,
        kind: str,
        branches: int,
        limits: LimitsShape | None,
        title: str | None,
        model: str | None,
        line: int,
    ) -> None:
        own = NO_LIMITS
        if limits is not None:
            own = Limits(tokens=limits.tokens, microusd=limits.microusd, steps=limits.steps, seconds=limits.seconds)
        self._tree.open(scope, parent, kind, branches, own, title or "", model or "")
        if kind == "phase" and title:
            self._journal.phase(title, scope)

    def close(self, scope: int) -> None:
        for number in self._tree.close(scope):
            self.cancel_call(number)

    def cancel_call(self, call: int) -> None:
        opened = self._open.pop(call, None)
        if opened is None:
            return
        self._forget(opened)
        self._merges.came_to_nothing(opened.request.spec)
        self._executor.cancel(call)

    def log(self, scope: int, line: int, message: str, fields: Mapping[str, Any]) -> None:
        self._journal.log(message, self._tree[scope].phase, fields)

    def idle(self, taken: int) -> None:
        if self._looking:
            self._quiet_again = taken
            return
        batch, self._waiting = [call for call in self._waiting if self.is_open(call)], []
        self._looking = not self._matching.match(batch, taken, self._last_call, self._looked)

    def _looked(self) -> None:
        self._looking = False
        if self._quiet_again is not None:
            taken, self._quiet_again = self._quiet_again, None
            self.idle(taken)

    def _place(self, call: OpenCall) -> None:
        """Where a call stands: what its branch was answered so far, and the how-manieth call of the spec there."""
        where = call.trail, call.key
        count = self._places.get(where, 0)
        self._places[where] = count + 1
        call.place = f"{call.trail}.{count}"
        if self._refresh.covers(call.key, call.request.label, call.phase):
            call.refreshed_since = self._refresh.since

    # ------------------------------------------------------------ what matching does with a call

    def is_open(self, call: OpenCall) -> bool:
        return call.number in self._open

    @property
    def stored(self) -> int:
        return self._answers.stored

    def hand_over(self, last_call: int) -> None:
        self._answers.hand_over(last_call)

    def at_rest(self) -> None:
        self._tell_rest()

    def answer_stored(self, call: OpenCall, step: StoredStep, witness: Witness, *, applied: bool = False) -> None:
        try:
            self._budget.book_stored(self._budget_scope(call), step.usage)
        except StepFault as error:
            self._journal.turned_away(call, error)
            self._close_call(call)
            self._merges.came_to_nothing(call.request.spec)
            self._answers.fail(call.number, error.to_fault(), NO_USAGE, steps=0)
            return
        self._close_call(call)
        call.scope.answered(step.id, witness.latest)
        self._journal.stored(call, step, applied=applied)
        self._answers.stored += 1
        self._give(call, step, step.result, order=step.finished_seq)

    def start_live(self, call: OpenCall, decision: Decision, witness: Witness) -> None:
        self._matching.time_passed()
        request = call.request
        call.reason, call.grounds, call.witness = decision.reason, decision.grounds, witness
        if adopted := self._project.adoptions.adopted_in(decision.grounds):
            self._journal.runs_again(witness.id, adopted)
        item = LiveStep(
            number=call.number,
            id=witness.id,
            key=request.key,
            spec=request.spec,
            canonical=request.canonical,
            label=request.label,
            phase=call.phase,
            tools=request.tools,
            budget=self._budget_scope(call),
            max_tokens=request.max_tokens,
            max_turns=request.max_turns,
            timeout_s=request.timeout_s,
            retries=request.retries,
            gate_tool=request.gate_tool,
            witness=witness,
            cut_off=decision.cut_off,
            attempt_after=None if decision.attempt_after is None else decision.attempt_after.id,
            reason=call.reason,
        )
        self._executor.submit(call.number, item)

    # ------------------------------------------------------------ live steps

    async def _run_live(self, item: LiveStep) -> None:
        call = self._open.get(item.number)
        if call is None:  # cancelled between its start and its first moment
            self._project.timeline.fell_silent(item.id)
            return
        call.begun = True
        self._begun += 1
        self._journal.started(item, waiting=len(self._open) - self._begun)
        work = self._works.of(item)
        try:
            outcome = await work.run()
        except BaseException as error:
            if _is_cancellation(error):
                self._project.timeline.fell_silent(item.id)
                cancelled = work.cancelled()
                self._journal.finished(call, cancelled, partial(self._deliver, call, cancelled))
            raise
        self._journal.finished(call, outcome, partial(self._deliver, call, outcome))

    def _deliver(self, call: OpenCall, outcome: StepOutcome) -> None:
        """The step is durable: tell the script, unless it no longer waits."""
        self._matching.time_passed()
        if call.number not in self._open:
            return
        self._close_call(call)
        step = outcome.step
        call.scope.answered(step.id, 0 if call.witness is None else call.witness.latest)
        if step.status is StepStatus.COMPLETED and step.result is not None:
            self._give(call, step, step.result, order=None)
        elif step.fault is not None:
            self._merges.came_to_nothing(call.request.spec)
            fault = traced_fault(step.fault, call.number, call.request.label, call.phase, outcome)
            self._answers.fail(call.number, fault, step.usage, steps=1 if outcome.counted else 0)

    def _give(self, call: OpenCall, step: Step | StoredStep, result: str, *, order: int | None) -> None:
        request = call.request
        self._merges.answered(step.id, request.spec, request.label)
        value = result.encode()
        if request.detail:
            value = detailed(value, step, request.spec.merge, cached=order is not None)
        self._answers.give(call.number, value, step.usage, order=order)

    def _budget_scope(self, call: OpenCall) -> BudgetScope:
        limits = call.request.limits
        scope = call.scope.budget
        return scope if limits == NO_LIMITS else self._budget.open(f"step {call.request.label!r}", limits, scope)

    def _close_call(self, call: OpenCall) -> None:
        del self._open[call.number]
        self._forget(call)

    def _forget(self, call: OpenCall) -> None:
        call.scope.calls.discard(call.number)
        self._begun -= call.begun


def _is_cancellation(error: BaseException) -> bool:
    """Also of several tasks at once, of which trio makes a group."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)
