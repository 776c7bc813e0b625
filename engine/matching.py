"""Stored or live: finds what answers the calls that wait, while the script is quiet.

As long as nobody edits, what the replays found decides a whole batch without an await. Where steps edit files, each
answer that is given may make others hold or not: then the project is held meanwhile (`retracing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import trio

from .model import Cause, Grounds, Observation, StepId
from .observe import Replayer
from .open_calls import OpenCall
from .ports import StoredStep
from .retracing import Hit, Retracing, witness_of
from .reuse import Decision, Reuse
from .timeline.project import Project
from .timeline.timeline import Witness

_RETRACED = "stored: nothing that it depends on has changed"
_APPLIED = "stored: all that it saw is true now, and its edits were made again"
_UNKNOWN_ORIGIN = Decision(
    stored=None,
    reason="live: the origin of the store is not known, so it answers nothing",
    grounds=Grounds(cause=Cause.STORE_OF_UNKNOWN_ORIGIN),
)


class Calls(Protocol):
    """What is done with the calls of one script."""

    def is_open(self, call: OpenCall) -> bool:
        """False once it was cancelled."""
        ...

    @property
    def stored(self) -> int:
        """Stored answers given so far."""
        ...

    def answer_stored(self, call: OpenCall, step: StoredStep, witness: Witness, *, applied: bool = False) -> None: ...

    def start_live(self, call: OpenCall, decision: Decision, witness: Witness) -> None:
        """Begin the step that `witness` is of, which stands already."""
        ...

    def hand_over(self, last_call: int) -> None:
        """Let the script have stored answers; `last_call` was the last one that was looked up."""
        ...

    def at_rest(self) -> None:
        """Nothing stored is left to hand over, and the live steps have begun."""
        ...


class Matching:
    """Of one script. `reuse` is None where the store answers nothing."""

    def __init__(
        self,
        calls: Calls,
        *,
        reuse: Reuse | None,
        retracing: Retracing | None,
        replayer: Replayer,
        project: Project,
        nursery: trio.Nursery,
        next_step_id: Callable[[], StepId],
    ) -> None:
        self._calls = calls
        self._reuse = reuse
        self._retracing = retracing
        self._replayer = replayer
        self._project = project
        self._timeline = project.timeline
        self._nursery = nursery
        self._next_step_id = next_step_id
        self._live_next: list[OpenCall] = []  # found no stored answer, and start when none is left to hand over
        self._racing: list[OpenCall] = []  # calls in races, which found none of their own places
        self._time_passed = True  # since the last look at edited files: stored answers are given in no time

    def time_passed(self) -> None:
        """A live step was at work: a person may have edited files meanwhile."""
        self._time_passed = True

    def match(self, batch: list[OpenCall], taken: int, last_call: int, over: Callable[[], None]) -> bool:
        """Match new calls; `taken` stored answers were handed over, `last_call` is the latest that came.

        False: it takes a while, and calls `over` when it is done. Until then no other batch is to be given.
        """
        if not self._plain(batch):
            self._nursery.start_soon(self._retrace, batch, taken, last_call, over)
        elif self._unknown(batch):
            self._nursery.start_soon(self._look, batch, taken, last_call, over)
        else:
            self._plan(batch, taken, last_call)
            return True
        return False

    def _plain(self, batch: Sequence[OpenCall]) -> bool:
        """Whether nothing that may count for these calls, and those that are to start, has edited any file."""
        if self._reuse is None:
            return True
        if not self._timeline.plain or any(call.decision is None for call in self._live_next):
            return False  # such a call was left over where another one's results had edited files
        return not any(self._reuse.edited(call) for call in (*batch, *self._racing, *self._live_next))

    def _unknown(self, batch: Sequence[OpenCall]) -> list[tuple[Observation, ...]]:
        if self._reuse is None:
            return []
        return [
            observations
            for call in batch
            for observations in self._reuse.observations(call)
            if not self._replayer.knows(observations)
        ]

    async def _look(self, batch: list[OpenCall], taken: int, last_call: int, over: Callable[[], None]) -> None:
        """Find out what a plan needs to know of the workspace; then plan."""
        async with self._project.lock.shared():
            for observations in self._unknown(batch):
                await self._replayer.holds(observations)
        if not self._plain(batch):  # a live step has edited something while this waited
            await self._retrace(batch, taken, last_call, over)
            return
        self._plan(self._still_open(batch), taken, last_call)
        over()

    async def _retrace(self, batch: list[OpenCall], taken: int, last_call: int, over: Callable[[], None]) -> None:
        """As `_plan`, where steps edit files: with each answer that is given, others may come to hold or not."""
        assert self._reuse is not None
        assert self._retracing is not None
        async with AsyncExitStack() as held:
            arrived = [*self._live_next, *self._racing, *batch]
            if self._may_write(arrived):
                await held.enter_async_context(self._project.quiet.alone())
            await held.enter_async_context(self._project.lock.alone())
            if self._time_passed and arrived:
                self._time_passed = False
                await self._project.refresh()
            racing, self._racing = self._racing, []
            waiting = self._still_open([*self._undecided(self._reuse), *racing, *batch])
            for call, hit in await self._retracing.hits(waiting, {call.number for call in waiting if call.racing}):
                self._answer_hit(call, hit)
            left = self._still_open(waiting)
            if taken >= self._calls.stored and any(call.racing for call in left):
                for call, hit in await self._retracing.hits(left):
                    self._answer_hit(call, hit)
                left = self._still_open(left)
            if taken >= self._calls.stored:
                left = await self._start(self._retracing, left)
        self._live_next = [*left, *self._live_next]
        if taken < self._calls.stored:
            self._calls.hand_over(last_call)
        else:
            self._calls.at_rest()
        over()

    def _may_write(self, calls: Sequence[OpenCall]) -> bool:
        """Whether edits of what may answer these calls may have to be made again: then no command is to run."""
        return self._reuse is not None and any(self._reuse.edited(call) for call in calls)

    def _undecided(self, reuse: Reuse) -> list[OpenCall]:
        """The calls that were to start next, for another decision; what they were to go on with is to be had again."""
        calls, self._live_next = self._live_next, []
        for call in reversed(calls):
            if call.decision is not None and call.decision.cut_off is not None:
                reuse.give_back(call, call.decision.cut_off)
            call.decision = None
        return calls

    async def _start(self, retracing: Retracing, calls: list[OpenCall]) -> list[OpenCall]:
        """Start these calls, until one finds an answer after all. Gives those that are left."""
        for number, call in enumerate(calls):
            if not self._calls.is_open(call):
                continue
            step = self._next_step_id()
            started = await retracing.start(call, step, calls[number + 1 :])
            if isinstance(started, Hit):
                self._answer_hit(call, started)
                return calls[number + 1 :]
            decision, witness = started
            self._calls.start_live(call, decision, witness)
        return []

    def _answer_hit(self, call: OpenCall, hit: Hit) -> None:
        if self._calls.is_open(call):
            call.reason = _APPLIED if hit.applied else _RETRACED
            call.grounds = Grounds(
                cause=Cause.SAME_PLACE if hit.stored.place == call.place else Cause.OLDEST, step=hit.stored.id
            )
            self._calls.answer_stored(call, hit.stored, hit.witness, applied=hit.applied)

    def _plan(self, batch: list[OpenCall], taken: int, last_call: int) -> None:
        """Answer what the store can, and let the child hand that over; start the others when nothing of it is left.

        Live steps wait for that moment, or they would take samples from calls that a stored answer leads to.
        """
        racing = [] if self._reuse is None else [call for call in batch if call.racing]
        self._racing += self._answer_own_places(racing)
        self._answer_or_queue([call for call in batch if not call.racing] if racing else batch)
        if taken < self._calls.stored:
            self._calls.hand_over(last_call)
            return
        if self._racing:
            racing, self._racing = self._still_open(self._racing), []
            self._answer_or_queue(racing)
            if taken < self._calls.stored:
                self._calls.hand_over(last_call)
                return
        starting, self._live_next = self._still_open(self._live_next), []
        for call in starting:
            assert call.decision is not None
            seen = () if call.decision.cut_off is None else call.decision.cut_off.observations
            witness = Witness(self._next_step_id(), call.past, seen, number=call.number, label=call.label)
            self._timeline.stand(witness)
            self._calls.start_live(call, call.decision, witness)
        self._calls.at_rest()

    def _answer_own_places(self, calls: Sequence[OpenCall]) -> list[OpenCall]:
        """Answer those of a race that were answered where they stand. Gives the others.

        A loser has no result of its own. Any other could be one that the winner asks for a moment later, and would
        decide the race otherwise: so it gets none while something stored is left to hand over.
        """
        if self._reuse is None or not calls:
            return []
        left: list[OpenCall] = []
        for call, decision in zip(calls, self._reuse.decide_own(calls, self._replayer.changed), strict=True):
            if decision is None:
                left.append(call)
            else:
                self._answer_stored(call, decision)
        return left

    def _answer_or_queue(self, calls: Sequence[OpenCall]) -> None:
        for call, decision in zip(calls, self._decide(calls), strict=True):
            call.decision = decision
            if decision.stored is None:
                self._live_next.append(call)
            else:
                self._answer_stored(call, decision)

    def _answer_stored(self, call: OpenCall, decision: Decision) -> None:
        assert decision.stored is not None
        call.decision, call.reason, call.grounds = decision, decision.reason, decision.grounds
        witness = witness_of(call, decision.stored)
        self._timeline.stand(witness)
        self._calls.answer_stored(call, decision.stored, witness)

    def _still_open(self, calls: Sequence[OpenCall]) -> list[OpenCall]:
        """Those that nobody has cancelled meanwhile."""
        return [call for call in calls if self._calls.is_open(call)]

    def _decide(self, batch: Sequence[OpenCall]) -> list[Decision]:
        if self._reuse is None:
            return [_UNKNOWN_ORIGIN] * len(batch)
        return self._reuse.decide(batch, self._replayer.changed)
