"""The host side of the primitives: serves the calls of one script.

A call becomes a spec; reuse finds a stored answer or the executor runs the step. Frames are handled in their order and
without an await, so that the order of what a script sees is decided in one place. Only a look at the workspace takes
time (a replay of observations): meanwhile the calls of that batch wait, and what comes in queues up behind them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import msgspec
import trio

from .budget import NO_LIMITS, Budget
from .budget import Scope as BudgetScope
from .ending import traced_fault
from .errors import SandboxError, StepFault
from .executors.local import LocalExecutor
from .journal import Journal, usage_json
from .keys import canonical_json
from .model import NO_USAGE, Cause, Fault, Grounds, Observation, RunId, StepId, StepKey, StepStatus, Usage
from .observe import Replayer
from .ports import AnswerSink, Executor, Limits, LimitsShape, OwnStep, StoredStep
from .refresh import Refresh
from .requests import StepRequest, StepRequests
from .retracing import Hit, Retracing
from .reuse import Decision, Reuse
from .scopes import Scope, ScopeTree
from .step import LiveStep, StepOutcome, StepServices, StepWork
from .timeline.order import Past
from .timeline.timeline import Witness

_RETRACED = "stored: nothing that it depends on has changed"
_APPLIED = "stored: all that it saw is true now, and its edits were made again"

#: Makes an executor from a nursery, a capacity, and what runs an item.
MakeExecutor: TypeAlias = Callable[[trio.Nursery, int, Callable[[LiveStep], Awaitable[None]]], Executor[LiveStep]]


@dataclass(eq=False, slots=True)
class OpenCall:
    """A call that has no answer yet."""

    number: int
    scope: Scope
    line: int
    request: StepRequest
    trail: str  # of its branch, when it came
    requested_at: float
    past: Past  # likewise
    place: str = ""  # known with the key
    reason: str = ""
    grounds: Grounds | None = None
    decision: Decision | None = None  # how it is to run live, where no step that counts for it has edited files
    witness: Witness | None = None  # of the step that answers it
    refreshed_since: float | None = None  # set where a person asked to run it again

    @property
    def key(self) -> StepKey:
        return self.request.key

    @property
    def canonical(self) -> str:
        return self.request.canonical

    @property
    def label(self) -> str:
        return self.request.label

    @property
    def horizon(self) -> float | None:
        asked, since = self.request.horizon, self.refreshed_since
        return asked if since is None else max(since, asked or since)

    @property
    def refreshed(self) -> bool:
        return self.refreshed_since is not None

    @property
    def phase(self) -> str:
        return self.request.phase or self.scope.phase


class Session:
    """Implements `ports.ScriptCalls` for one script of one run."""

    def __init__(
        self,
        *,
        run_id: RunId,
        requests: StepRequests,
        services: StepServices,
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
        self._services = services
        self._journal = journal
        self._reuse = reuse
        self._project = services.project
        self._timeline = services.project.timeline
        self._retracing = None if reuse is None else Retracing(reuse, services.project, own_steps)
        self._replayer = replayer
        self._refresh = refresh
        self._nursery = nursery
        self._clock = clock
        self._next_step_id = next_step_id
        self._wall_clock = services.wall_clock
        self._started_at = clock()
        self._budget: Budget = services.budget
        self._tree = ScopeTree(services.budget)
        self._executor = executor(nursery, concurrency, self._run_live)
        self._at_rest = at_rest
        self._sink: AnswerSink | None = None
        self._open: dict[int, OpenCall] = {}
        self._waiting: list[OpenCall] = []  # calls since the last plan
        self._live_next: list[OpenCall] = []  # found no stored answer, and start when none is left to hand over
        self._places: dict[tuple[str, StepKey], int] = {}
        self._looking = False
        self._quiet_again: int | None = None  # an `idle` that came during a look at the workspace
        self._last_call = 0  # the latest that came
        self._stored_sent = 0  # stored answers given to the child so far

    # ------------------------------------------------------------ frames

    def started(self, sink: AnswerSink) -> None:
        self._sink = sink

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None:
        where = self._tree[scope]
        self._last_call = call
        try:
            if method == "agent":
                request = self._requests.agent(params, phase=where.phase, phase_model=where.model)
            elif method == "tool":
                request = self._requests.tool(params)
            else:
                raise SandboxError(f"the script's process called {method!r}, which no script can")
        except msgspec.DecodeError as error:
            raise SandboxError(f"the script's process sent a call that no script makes: {error}") from error
        except StepFault as error:
            self._fault(call, error.to_fault(), NO_USAGE, steps=0)
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
        opened.scope.calls.discard(call)
        self._executor.cancel(call)

    def log(self, scope: int, line: int, message: str, fields: Mapping[str, Any]) -> None:
        self._journal.log(message, self._tree[scope].phase, fields)

    def idle(self, taken: int) -> None:
        if self._looking:
            self._quiet_again = taken
            return
        batch, self._waiting = self._still_open(self._waiting), []
        if not self._plain(batch):
            self._looking = True
            self._nursery.start_soon(self._retrace, batch, taken, self._last_call)
        elif self._unknown(batch):
            self._looking = True
            self._nursery.start_soon(self._look, batch, taken, self._last_call)
        else:
            self._plan(batch, taken, self._last_call)

    # ------------------------------------------------------------ stored or live

    def _place(self, call: OpenCall) -> None:
        """Where a call stands: what its branch was answered so far, and the how-manieth call of the spec there."""
        where = call.trail, call.key
        count = self._places.get(where, 0)
        self._places[where] = count + 1
        call.place = f"{call.trail}.{count}"
        if self._refresh.covers(call.key, call.request.label, call.phase):
            call.refreshed_since = self._refresh.since

    def _plain(self, batch: Sequence[OpenCall]) -> bool:
        """Whether nothing that may count for these calls, and those that are to start, has edited any file."""
        if self._reuse is None:
            return True
        if not self._timeline.plain or any(call.decision is None for call in self._live_next):
            return False  # such a call was left over where another one's results had edited files
        return not any(self._reuse.edited(call) for call in (*batch, *self._live_next))

    def _unknown(self, batch: Sequence[OpenCall]) -> list[tuple[Observation, ...]]:
        if self._reuse is None:
            return []
        return [
            observations
            for call in batch
            for observations in self._reuse.observations(call)
            if not self._replayer.knows(observations)
        ]

    async def _look(self, batch: list[OpenCall], taken: int, last_call: int) -> None:
        """Find out what a plan needs to know of the workspace; then plan."""
        async with self._project.lock.shared():
            for observations in self._unknown(batch):
                await self._replayer.holds(observations)
        if not self._plain(batch):  # a live step has edited something while this waited
            await self._retrace(batch, taken, last_call)
            return
        self._looking = False
        self._plan(self._still_open(batch), taken, last_call)
        self._idle_again()

    def _idle_again(self) -> None:
        if self._quiet_again is not None:
            taken, self._quiet_again = self._quiet_again, None
            self.idle(taken)

    async def _retrace(self, batch: list[OpenCall], taken: int, last_call: int) -> None:
        """As `_plan`, where steps edit files: with each answer that is given, others may come to hold or not."""
        assert self._retracing is not None
        async with self._project.lock.alone():
            await self._project.refresh()
            waiting, self._live_next = self._still_open([*self._live_next, *batch]), []
            for call, hit in await self._retracing.hits(waiting):
                self._answer_hit(call, hit)
            left = self._still_open(waiting)
            if taken >= self._stored_sent:
                left = await self._start(self._retracing, left)
        self._looking = False
        self._live_next = [*left, *self._live_next]
        if taken < self._stored_sent:
            self._hand_over(last_call)
        else:
            self._at_rest()
        self._idle_again()

    async def _start(self, retracing: Retracing, calls: list[OpenCall]) -> list[OpenCall]:
        """Start these calls, until one finds an answer after all. Gives those that are left."""
        for number, call in enumerate(calls):
            if call.number not in self._open:
                continue
            step = self._next_step_id()
            started = await retracing.start(call, step)
            if isinstance(started, Hit):
                self._answer_hit(call, started)
                return calls[number + 1 :]
            decision, witness = started
            self._start_live(call, decision, witness)
        return []

    def _answer_hit(self, call: OpenCall, hit: Hit) -> None:
        if call.number in self._open:
            call.reason = _APPLIED if hit.applied else _RETRACED
            call.grounds = Grounds(
                cause=Cause.SAME_PLACE if hit.stored.place == call.place else Cause.OLDEST, step=hit.stored.id
            )
            self._answer_stored(call, hit.stored, hit.witness, applied=hit.applied)

    def _hand_over(self, last_call: int) -> None:
        assert self._sink is not None
        self._sink.go(last_call)

    def _plan(self, batch: list[OpenCall], taken: int, last_call: int) -> None:
        """Answer what the store can, and let the child hand that over; start the others when nothing of it is left.

        Live steps wait for that moment, or they would take samples from calls that a stored answer leads to.
        """
        for call, decision in zip(batch, self._decide(batch), strict=True):
            call.decision = decision
            if (stored := decision.stored) is not None:
                call.reason, call.grounds = decision.reason, decision.grounds
                witness = Witness(stored.id, call.past, stored.observations, number=call.number, label=call.label)
                self._timeline.stand(witness)
                self._answer_stored(call, stored, witness)
            else:
                self._live_next.append(call)
        if taken < self._stored_sent:
            self._hand_over(last_call)
            return
        starting, self._live_next = self._still_open(self._live_next), []
        for call in starting:
            assert call.decision is not None
            seen = () if call.decision.cut_off is None else call.decision.cut_off.observations
            witness = Witness(self._next_step_id(), call.past, seen, number=call.number, label=call.label)
            self._timeline.stand(witness)
            self._start_live(call, call.decision, witness)
        self._at_rest()

    def _still_open(self, calls: Sequence[OpenCall]) -> list[OpenCall]:
        """Those that nobody has cancelled meanwhile."""
        return [call for call in calls if call.number in self._open]

    def _decide(self, batch: list[OpenCall]) -> list[Decision]:
        if self._reuse is None:
            reason = "live: the origin of the store is not known, so it answers nothing"
            grounds = Grounds(cause=Cause.STORE_OF_UNKNOWN_ORIGIN)
            return [Decision(stored=None, reason=reason, grounds=grounds)] * len(batch)
        return self._reuse.decide(batch, self._replayer.changed)

    def _answer_stored(self, call: OpenCall, step: StoredStep, witness: Witness, *, applied: bool = False) -> None:
        try:
            self._budget.book_stored(self._budget_scope(call), step.usage)
        except StepFault as error:
            self._journal.turned_away(call, error)
            self._close_call(call)
            self._fault(call.number, error.to_fault(), NO_USAGE, steps=0)
            return
        self._close_call(call)
        call.scope.answered(step.id, witness.latest)
        self._journal.stored(call, step, applied=applied)
        value = step.result.encode()
        if call.request.detail:
            value = _detail(value, step.usage, step.turns, step.model, step.id, cached=True)
        self._stored_sent += 1
        self._answer(call.number, value, step.usage, order=step.finished_seq)

    # ------------------------------------------------------------ live steps

    def _start_live(self, call: OpenCall, decision: Decision, witness: Witness) -> None:
        """Begin the step that `witness` is of, which stands already."""
        request = call.request
        call.reason, call.grounds, call.witness = decision.reason, decision.grounds, witness
        if adopted := self._project.adopted_in(decision.grounds):
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
            witness=witness,
            cut_off=decision.cut_off,
            attempt_after=None if decision.attempt_after is None else decision.attempt_after.id,
            reason=call.reason,
        )
        self._executor.submit(call.number, item)

    async def _run_live(self, item: LiveStep) -> None:
        call = self._open[item.number]
        self._journal.started(item)
        work = StepWork(item, self._services)
        try:
            outcome = await work.run()
        except BaseException as error:
            if _is_cancellation(error):
                self._timeline.fell_silent(item.id)
                cancelled = work.cancelled()
                self._journal.finished(call, cancelled, partial(self._deliver, call, cancelled))
            raise
        self._journal.finished(call, outcome, partial(self._deliver, call, outcome))

    def _deliver(self, call: OpenCall, outcome: StepOutcome) -> None:
        """The step is durable: tell the script, unless it no longer waits."""
        if call.number not in self._open:
            return
        self._close_call(call)
        step = outcome.step
        call.scope.answered(step.id, 0 if call.witness is None else call.witness.latest)
        if step.status is StepStatus.COMPLETED and step.result is not None:
            value = step.result.encode()
            if call.request.detail:
                value = _detail(value, step.usage, step.turns, step.model, step.id, cached=False)
            self._answer(call.number, value, step.usage, order=None)
        elif step.fault is not None:
            fault = traced_fault(step.fault, call.number, call.request.label, call.phase, outcome)
            self._fault(call.number, fault, step.usage, steps=1 if outcome.counted else 0)

    def _budget_scope(self, call: OpenCall) -> BudgetScope:
        limits = call.request.limits
        scope = call.scope.budget
        return scope if limits == NO_LIMITS else self._budget.open(f"step {call.request.label!r}", limits, scope)

    def _close_call(self, call: OpenCall) -> None:
        del self._open[call.number]
        call.scope.calls.discard(call.number)

    # ------------------------------------------------------------ answers

    def _answer(self, number: int, value: bytes, usage: Usage, *, order: int | None) -> None:
        assert self._sink is not None
        self._sink.answer(
            number,
            value,
            order=order,
            tokens=usage.tokens,
            microusd=usage.cost_microusd or 0,
            seconds=self._clock() - self._started_at,
        )

    def _fault(self, number: int, fault: Fault, usage: Usage, *, steps: int) -> None:
        assert self._sink is not None
        self._sink.fault(
            number,
            fault.type,
            fault.message,
            fault.kind,
            fault.fields,
            tokens=usage.tokens,
            microusd=usage.cost_microusd or 0,
            steps=steps,
            seconds=self._clock() - self._started_at,
        )


def _is_cancellation(error: BaseException) -> bool:
    """Also of several tasks at once, of which trio makes a group."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)


def _detail(value: bytes, usage: Usage, turns: int, model: str, step: StepId, *, cached: bool) -> bytes:
    """The answer of a step with `detail=True`: the fields of StepResult."""
    return canonical_json(
        {
            "value": msgspec.Raw(value),
            "patch": None,
            "files": [],
            "usage": usage_json(usage),
            "turns": turns,
            "model": model,
            "step": step,
            "cached": cached,
        }
    )
