"""May a stored result answer a call of a script whose steps edit files?

Stored answers first, in the order of `reuse`: of the call's own place before others, retraced before true now, then by
their order of finishing. What is left runs live: it goes on with a step that was cut off, inherits the edits of an
earlier attempt, or begins anew. Everything here happens while nobody edits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from .errors import ToolDenied, ToolFailed
from .events import AdoptionCause
from .model import Cause, Edit, Grounds, StepId, StepKey
from .ports import CutOffStep, OwnStep, StoredStep
from .reuse import Asking, Decision, Reuse, going_on
from .timeline.order import Past
from .timeline.project import Project
from .timeline.timeline import Doubt, Witness


class Waiting(Asking, Protocol):
    @property
    def number(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def past(self) -> Past: ...


Call = TypeVar("Call", bound=Waiting)


class Hit(Struct, frozen=True, kw_only=True):
    """A stored answer for a call; the step stands from now on."""

    stored: StoredStep
    witness: Witness
    applied: bool  # its edits were made again


class Retracing:
    """Of one pass of a script. `own_steps` are those whose edits are the workflow's own so far."""

    def __init__(self, reuse: Reuse, project: Project, own_steps: Sequence[OwnStep]) -> None:
        self._reuse = reuse
        self._project = project
        self._timeline = project.timeline
        self._stood: dict[str, list[tuple[StepId, StepKey]]] = {}  # by place: steps that edited, or may do so
        for own in own_steps:
            self._stood.setdefault(own.place, []).append((own.id, own.key))
        self._doubts: dict[str, tuple[StepId, Doubt]] = {}  # the latest of each spec that says most, for the reason

    # ------------------------------------------------------------ stored answers

    async def hits(self, calls: Sequence[Call], patient: Collection[int] = ()) -> list[tuple[Call, Hit]]:
        """All stored answers for these calls. What is given is used.

        Calls whose numbers are `patient` get none but those of their own places.
        """
        found: list[tuple[Call, Hit]] = []
        left = list(calls)
        while left:
            some = await self._some_hits(left, patient)
            if not some:
                break
            found += some
            answered = {call.number for call, _ in some}
            left = [call for call in left if call.number not in answered]
        return found

    async def _some_hits(self, calls: Sequence[Call], patient: Collection[int]) -> list[tuple[Call, Hit]]:
        for own_place in (True, False):
            asking = calls if own_place else [call for call in calls if call.number not in patient]
            for judge in (self._timeline.retraced, self._true_now):
                if found := await self._sweep(asking, judge, own_place=own_place):
                    return found
        return []

    async def _sweep(
        self, calls: Sequence[Call], judge: Callable[[Witness], Awaitable[Doubt | None]], *, own_place: bool
    ) -> list[tuple[Call, Hit]]:
        found: list[tuple[Call, Hit]] = []
        answered: set[int] = set()
        used: set[StepId] = set()
        for call, sample in self._pairs(calls, own_place=own_place):
            if call.number in answered or sample.id in used:
                continue
            witness = witness_of(call, sample)
            doubt = await judge(witness)
            applied = judge == self._true_now
            if doubt is None and (not applied or await self._apply(call, witness)):
                self._stand(call, sample, witness)
                answered.add(call.number)
                used.add(sample.id)
                found.append((call, Hit(stored=sample, witness=witness, applied=applied and bool(witness.edits))))
            elif doubt is not None and not (applied and call.canonical in self._doubts):
                self._doubts[call.canonical] = sample.id, doubt
        return found

    def _pairs(self, calls: Sequence[Call], *, own_place: bool) -> Iterator[tuple[Call, StoredStep]]:
        """Calls with what may answer them; of a call's own place the latest first, else the oldest first."""
        pairs = [
            (call, sample)
            for call in calls
            for sample in self._reuse.samples(call)
            if (sample.place == call.place) is own_place
        ]
        if not own_place:
            yield from sorted(pairs, key=lambda pair: pair[1].finished_seq)
            return
        by_call: dict[int, list[tuple[Call, StoredStep]]] = {}
        for call, sample in pairs:
            by_call.setdefault(call.number, []).insert(0, (call, sample))
        for own in sorted(by_call.values(), key=lambda each: each[0][1].finished_seq):
            yield from own

    async def _true_now(self, witness: Witness) -> Doubt | None:
        return await self._timeline.true_now(witness, self._timeline.pending)

    async def _apply(self, call: Waiting, witness: Witness) -> bool:
        try:
            await self._project.apply(witness, call.number)
        except (ToolFailed, ToolDenied):
            return False  # then it runs live, and its agent sees why
        return True

    def _stand(self, call: Waiting, sample: StoredStep, witness: Witness) -> None:
        self._reuse.use(call, sample)
        self._timeline.stand(witness)
        if witness.edits:
            self._stood.setdefault(call.place, []).append((sample.id, call.key))

    # ------------------------------------------------------------ live

    async def start(
        self, call: Waiting, step: StepId, behind: Sequence[Waiting] = ()
    ) -> Hit | tuple[Decision, Witness]:
        """How a call without a hit runs live, as `step`, which stands from now on. `behind` are calls that start next.

        It may be answered all the same: by a result that is true now but for pending edits, which are then adopted.
        """
        keys = {call.key, *(each.key for each in behind)}  # branches of a fan-out begin at the same place
        others = [each for each, key in self._stood.get(call.place, ()) if key not in keys]
        if replaced := self._timeline.left_over(others):
            await self._project.adoptions.adopt(replaced, AdoptionCause.REPLACED, call.number, call.label)
        late = await self._late(call)
        if late is not None:
            return late
        decision, inherited = await self._live(call)
        seen = decision.cut_off.observations if decision.cut_off is not None else ()
        witness = Witness(step, call.past, seen, inherited, number=call.number, label=call.label)
        made = [edit for look in seen if (edit := look.edit) is not None]
        self._timeline.own.inherit(step, inherited, made)
        self._timeline.stand(witness)
        self._stood.setdefault(call.place, []).append((step, call.key))
        return decision, witness

    async def _late(self, call: Waiting) -> Hit | None:
        samples = sorted(self._reuse.samples(call), key=lambda each: (each.place != call.place, each.finished_seq))
        for sample in samples:
            witness = witness_of(call, sample)
            if await self._timeline.true_now(witness, ()) is not None:
                continue
            touched = {path for seen in sample.observations for path in self._timeline.touched(seen)}
            await self._project.adoptions.adopt(touched, AdoptionCause.TRUE_NOW, call.number, call.label)
            if await self._apply(call, witness):
                self._stand(call, sample, witness)
                return Hit(stored=sample, witness=witness, applied=bool(witness.edits))
        return None

    async def _live(self, call: Waiting) -> tuple[Decision, tuple[Edit, ...]]:
        for step in self._reuse.cut_off_steps(call):
            witness = witness_of(call, step)
            doubt = await self._timeline.retraced(witness)
            if doubt is None:
                self._reuse.take(call, step)
                return going_on(step), step.inherited
            self._doubts.setdefault(call.canonical, (step.id, doubt))
        decision = self._miss(call)
        attempt = self._attempt(call)
        if attempt is None:
            return decision, ()
        self._reuse.take(call, attempt)
        own = [edit for seen in attempt.observations if (edit := seen.edit) is not None]
        decision = Decision(stored=None, reason=decision.reason, grounds=decision.grounds, attempt_after=attempt)
        return decision, (*attempt.inherited, *own)

    def _attempt(self, call: Waiting) -> CutOffStep | None:
        """The first attempt all of whose edits are own edits still, and fit into the script's order."""
        for step in self._reuse.attempts(call):
            witness = witness_of(call, step)
            if self._timeline.own.own(witness.edits) and self._timeline.in_order(witness):
                return step
        return None

    def _miss(self, call: Waiting) -> Decision:
        step, doubt = self._doubts.get(call.canonical, (None, Doubt(cause=Cause.OTHER)))
        grounds = Grounds(cause=doubt.cause, step=step, observation=doubt.observation, path=doubt.path)
        return self._reuse.miss(call, step, grounds)


def witness_of(call: Waiting, step: StoredStep | CutOffStep) -> Witness:
    """A step of the store as it would stand for a call."""
    return Witness(step.id, call.past, step.observations, step.inherited, number=call.number, label=call.label)
