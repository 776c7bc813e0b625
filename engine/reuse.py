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


#: What ended a step from outside: its conversation is as good as ever. With any other failure it begins anew.
_FROM_OUTSIDE = frozenset(each.__name__ for each in (BudgetExceeded, ProviderError, RateLimited, Timeout))


class Pools(Protocol):
    """The part of a store's reader that reuse needs."""

    def pool(self, key: StepKey) -> list[StoredStep]: ...

    def cut_off(self, key: StepKey) -> list[CutOffStep]: ...


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


class _Pool:
    """The samples of one spec that this run may still use, by order of finishing."""

    __slots__ = ("alive", "by_place", "changed", "changed_cut_off", "cut_off", "ever")

    def __init__(self, samples: list[StoredStep], cut_off: list[CutOffStep]) -> None:
        self.cut_off = cut_off
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


class Reuse:
    """The pools of one run. Each is read once: what this run itself finishes is never offered to it."""

    def __init__(self, pools: Pools) -> None:
        self._read = pools
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

    def _pool(self, call: Asking) -> _Pool:
        pool = self._pools.get(call.canonical)
        if pool is None:
            samples = [sample for sample in self._read.pool(call.key) if sample.spec == call.canonical]
            cut_off = [
                step
                for step in self._read.cut_off(call.key)
                if step.spec == call.canonical and cut_off_from_outside(step.status, step.fault)
            ]
            pool = self._pools[call.canonical] = _Pool(samples, cut_off)
        return pool

    def _of_own_place(self, call: Asking, changed: Changed) -> StoredStep | None:
        """The latest sample of the call's own place: a step that ran again there left an older one behind."""
        for sample in self._pool(call).by_place.get(call.place, [])[::-1]:
            if _young(sample, call) and (taken := self._take(call, sample, changed)) is not None:
                return taken
        return None

    def _oldest(self, call: Asking, changed: Changed) -> StoredStep | None:
        pool = self._pool(call)
        while (sample := next((each for each in pool.alive.values() if _young(each, call)), None)) is not None:
            if (taken := self._take(call, sample, changed)) is not None:
                return taken
        return None

    def _take(self, call: Asking, sample: StoredStep, changed: Changed) -> StoredStep | None:
        pool = self._pool(call)
        observation = changed(sample.observations)
        pool.remove(sample)  # used now, or untrue for the whole run: replays are shared by all of its steps
        if observation is None:
            return sample
        pool.changed = (sample.id, observation)
        return None

    def _going_on(self, call: Asking, changed: Changed) -> Decision | None:
        """The first step that was cut off and still sees what it saw. Each is gone on with once."""
        pool = self._pool(call)
        for step in list(pool.cut_off):
            if not _young(step, call):
                continue
            pool.cut_off.remove(step)  # taken, or untrue for the whole run
            observation = changed(step.observations)
            if observation is None:
                turns = "1 turn" if step.turns == 1 else f"{step.turns} turns"
                reason = f"live: goes on with {step.id}, cut off after {turns}"
                grounds = Grounds(cause=Cause.GOES_ON, step=step.id)
                return Decision(stored=None, reason=reason, grounds=grounds, cut_off=step)
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


def _young(sample: StoredStep | CutOffStep, call: Asking) -> bool:
    return call.horizon is None or sample.finished_at >= call.horizon


def _hit(sample: StoredStep | None, cause: Cause) -> Decision | None:
    if sample is None:
        return None
    grounds = Grounds(cause=cause, step=sample.id)
    return Decision(stored=sample, reason="stored: nothing that it depends on has changed", grounds=grounds)


def cut_off_from_outside(status: StepStatus, fault: Fault | None) -> bool:
    """Whether what ended a step without an answer leaves its conversation as good as ever."""
    return status is not StepStatus.FAILED or (fault is not None and fault.type in _FROM_OUTSIDE)
