"""May a stored result answer this call? The part for steps that edit nothing.

A stored result answers if its spec is the same, byte for byte, it is not yet used in this run, it is not older than
the horizon, and everything that it saw holds now. Results of one spec form a pool of samples: a call takes the one of
its own place first, then the oldest, and never one that another waiting call stands at. So three identical voters keep
their three answers, and items can be inserted, removed and reordered.

A step that was cut off (by the death of its process, a cancellation, a time limit, a budget, an outage) answers
nothing, but a call without an answer goes on where its finished turns left it, if all that they saw holds now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from .errors import BudgetExceeded, ProviderError, RateLimited, Timeout
from .looks import look_text
from .model import Cause, Fault, Grounds, Observation, StepId, StepKey, StepStatus
from .ports import CutOffStep, StoredStep

#: The first of some observations that does not hold now. They have been replayed: this only looks up.
Changed = Callable[[Iterable[Observation]], Observation | None]


#: Why a step that edited files does not answer, as a sentence.
_IN_THE_WAY = {
    Cause.EDITED_SINCE: "{0.step} edited {0.path}, and that edit counts as its own no longer",
    Cause.OUT_OF_ORDER: "the order of the script and that of the edits by {0.step} contradict each other",
}

#: What ended a step from outside: its conversation is as good as ever. With any other failure it begins anew.
_FROM_OUTSIDE = frozenset(each.__name__ for each in (BudgetExceeded, ProviderError, RateLimited, Timeout))


class Pools(Protocol):
    """The part of a store's reader that reuse needs."""

    def pool(self, key: StepKey) -> list[StoredStep]: ...

    def cut_off(self, key: StepKey) -> list[CutOffStep]: ...

    def attempts_with_edits(self, key: StepKey) -> list[CutOffStep]: ...

    def has_edits(self) -> bool: ...


class Asking(Protocol):
    """What reuse needs to know of a waiting call."""

    @property
    def key(self) -> StepKey: ...
    @property
    def canonical(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def horizon(self) -> float | None: ...
    @property
    def refreshed(self) -> bool:
        """Whether a person asked to run it again, which its horizon allows for."""
        ...


class Decision(Struct, frozen=True, kw_only=True):
    """`stored` answers the call, or it runs live, from the last turn of `cut_off` on; `reason` says why."""

    stored: StoredStep | None
    reason: str
    grounds: Grounds = Grounds()
    cut_off: CutOffStep | None = None
    attempt_after: CutOffStep | None = None  # an earlier attempt, whose edits a live step inherits


class _Pool:
    """The samples of one spec that this run may still use, by order of finishing."""

    __slots__ = ("alive", "attempts", "by_place", "changed", "changed_cut_off", "cut_off", "edited", "ever", "untrue")

    def __init__(
        self, samples: list[StoredStep], cut_off: list[CutOffStep], attempts: Sequence[CutOffStep] = ()
    ) -> None:
        self.cut_off = cut_off
        self.attempts = list(attempts)  # that came to no answer and edited files
        self.untrue: dict[StepId, StoredStep] = {}  # as long as nothing is edited
        self.edited = bool(attempts) or _edited(samples) or _edited(cut_off)
        self.ever = bool(samples)
        self.alive = {sample.id: sample for sample in samples}
        self.by_place: dict[str, list[StoredStep]] = {}
        for sample in samples:
            self.by_place.setdefault(sample.place, []).append(sample)
        self.changed: tuple[StepId, Observation] | None = None  # an example, for the reason
        self.changed_cut_off: tuple[StepId, Observation] | None = None  # the same, of steps without an answer

    def remove(self, sample: StoredStep) -> None:
        del self.alive[sample.id]
        self.by_place[sample.place].remove(sample)

    @property
    def left(self) -> list[StoredStep]:
        """All samples that are not used, by order of finishing."""
        if not self.untrue:
            return list(self.alive.values())
        return sorted((*self.alive.values(), *self.untrue.values()), key=lambda sample: sample.finished_seq)

    def use(self, sample: StoredStep) -> None:
        if self.untrue.pop(sample.id, None) is None:
            self.remove(sample)


class Reuse:
    """The pools of one run. Each is read once: what this run itself finishes is never offered to it."""

    def __init__(self, pools: Pools) -> None:
        self._read = pools
        self._has_edits = pools.has_edits()
        self._pools: dict[str, _Pool] = {}  # by canonical spec: a key alone may collide

    def observations(self, call: Asking) -> list[tuple[Observation, ...]]:
        """What must be replayed before `decide` can judge the call's candidates."""
        pool = self._pool(call)
        candidates: list[StoredStep | CutOffStep] = [*pool.alive.values(), *pool.cut_off]
        return [each.observations for each in candidates if each.observations]

    def decide(self, calls: Sequence[Asking], changed: Changed) -> list[Decision]:
        """One decision a call, in their order; what is taken is never offered again."""
        own = [self._of_own_place(call, changed) for call in calls]
        return [
            _hit(sample, Cause.SAME_PLACE)
            or _hit(self._oldest(call, changed), Cause.OLDEST)
            or self._going_on(call, changed)
            or self._miss(call)
            for call, sample in zip(calls, own, strict=True)
        ]

    def decide_own(self, calls: Sequence[Asking], changed: Changed) -> list[Decision | None]:
        """As `decide`, as far as results of the calls' own places go."""
        return [_hit(self._of_own_place(call, changed), Cause.SAME_PLACE) for call in calls]

    # ------------------------------------------------------------ where files were edited

    def edited(self, call: Asking) -> bool:
        """Whether a step that may count for the call has edited files: then `decide` cannot judge it."""
        return self._pool(call).edited

    def samples(self, call: Asking) -> list[StoredStep]:
        """All results that may answer it, by order of finishing."""
        return [sample for sample in self._pool(call).left if young(sample, call)]

    def use(self, call: Asking, sample: StoredStep) -> None:
        self._pool(call).use(sample)

    def cut_off_steps(self, call: Asking) -> list[CutOffStep]:
        """Steps that it may go on with."""
        return [step for step in self._pool(call).cut_off if young(step, call)]

    def attempts(self, call: Asking) -> list[CutOffStep]:
        """Attempts that came to no answer and edited files."""
        return list(self._pool(call).attempts)

    def take(self, call: Asking, step: CutOffStep) -> None:
        """It is gone on with, or its edits are inherited: nobody else may do so."""
        pool = self._pool(call)
        pool.cut_off = [each for each in pool.cut_off if each.id != step.id]
        pool.attempts = [each for each in pool.attempts if each.id != step.id]

    def give_back(self, call: Asking, step: CutOffStep) -> None:
        """It was to be gone on with, and that is to be decided once more."""
        self._pool(call).cut_off.insert(0, step)

    def miss(self, call: Asking, doubted: StepId | None, grounds: Grounds) -> Decision:
        """Why no stored answer was given, `grounds` being what was found of the step that is `doubted`."""
        pool = self._pool(call)
        if doubted is None or grounds.cause is Cause.CHANGED:
            if doubted is not None and grounds.observation is not None:
                pool.changed = pool.changed_cut_off = (doubted, grounds.observation)
            return self._miss(call)
        return Decision(stored=None, reason=f"live: {_IN_THE_WAY[grounds.cause].format(grounds)}", grounds=grounds)

    def _pool(self, call: Asking) -> _Pool:
        pool = self._pools.get(call.canonical)
        if pool is None:
            samples = [sample for sample in self._read.pool(call.key) if sample.spec == call.canonical]
            cut_off = [
                step
                for step in self._read.cut_off(call.key)
                if step.spec == call.canonical and cut_off_from_outside(step.status, step.fault)
            ]
            attempts: list[CutOffStep] = []
            if self._has_edits:
                attempts = [step for step in self._read.attempts_with_edits(call.key) if step.spec == call.canonical]
            pool = self._pools[call.canonical] = _Pool(samples, cut_off, attempts)
        return pool

    def _of_own_place(self, call: Asking, changed: Changed) -> StoredStep | None:
        """The latest sample of the call's own place: a step that ran again there left an older one behind."""
        for sample in self._pool(call).by_place.get(call.place, [])[::-1]:
            if young(sample, call) and (taken := self._take(call, sample, changed)) is not None:
                return taken
        return None

    def _oldest(self, call: Asking, changed: Changed) -> StoredStep | None:
        pool = self._pool(call)
        while (sample := next((each for each in pool.alive.values() if young(each, call)), None)) is not None:
            if (taken := self._take(call, sample, changed)) is not None:
                return taken
        return None

    def _take(self, call: Asking, sample: StoredStep, changed: Changed) -> StoredStep | None:
        pool = self._pool(call)
        observation = changed(sample.observations)
        pool.remove(sample)  # used now, or untrue as long as nobody edits: replays are shared by all steps
        if observation is None:
            return sample
        pool.untrue[sample.id] = sample
        pool.changed = (sample.id, observation)
        return None

    def _going_on(self, call: Asking, changed: Changed) -> Decision | None:
        """The first step that was cut off and still sees what it saw. Each is gone on with once."""
        pool = self._pool(call)
        for step in list(pool.cut_off):
            if not young(step, call):
                continue
            pool.cut_off.remove(step)  # taken, or untrue for the whole run
            observation = changed(step.observations)
            if observation is None:
                return going_on(step)
            pool.changed_cut_off = (step.id, observation)
        return None

    def _miss(self, call: Asking) -> Decision:
        pool = self._pool(call)
        changed = pool.changed if pool.ever else pool.changed_cut_off
        if call.refreshed and (pool.alive or pool.cut_off):  # what is left there is too old for it
            reason = "live: refreshed as asked"
            grounds = Grounds(cause=Cause.REFRESHED, step=next(reversed(pool.alive), None), horizon=call.horizon)
        elif changed is not None:
            step, observation = changed
            seen = look_text(observation.tool, observation.arguments)
            reason = f"live: what {step} saw has changed: {seen}"
            grounds = Grounds(cause=Cause.CHANGED, step=step, observation=observation)
        elif not pool.ever:
            reason = "live: no stored result for this input"
            grounds = Grounds(cause=Cause.NOTHING_STORED)
        elif pool.alive:
            reason = "live: the stored results are older than asked for"
            grounds = Grounds(cause=Cause.TOO_OLD, step=next(reversed(pool.alive)), horizon=call.horizon)
        else:
            reason = "live: every stored result for this input is in use"
            grounds = Grounds(cause=Cause.IN_USE)
        return Decision(stored=None, reason=reason, grounds=grounds)


def _edited(steps: Iterable[StoredStep] | Iterable[CutOffStep]) -> bool:
    return any(step.inherited or any(seen.change is not None for seen in step.observations) for step in steps)


def young(sample: StoredStep | CutOffStep, call: Asking) -> bool:
    return call.horizon is None or sample.finished_at >= call.horizon


def going_on(step: CutOffStep) -> Decision:
    turns = "1 turn" if step.turns == 1 else f"{step.turns} turns"
    reason = f"live: goes on with {step.id}, cut off after {turns}"
    return Decision(stored=None, reason=reason, grounds=Grounds(cause=Cause.GOES_ON, step=step.id), cut_off=step)


def _hit(sample: StoredStep | None, cause: Cause) -> Decision | None:
    if sample is None:
        return None
    grounds = Grounds(cause=cause, step=sample.id)
    return Decision(stored=sample, reason="stored: nothing that it depends on has changed", grounds=grounds)


def cut_off_from_outside(status: StepStatus, fault: Fault | None) -> bool:
    """Whether what ended a step without an answer leaves its conversation as good as ever."""
    return status is not StepStatus.FAILED or (fault is not None and fault.type in _FROM_OUTSIDE)
