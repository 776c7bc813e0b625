"""May a stored result answer this call? The part for steps that edit nothing.

A stored result answers if its spec is the same, byte for byte, it is not yet used in this run, it is not older than
the horizon, and everything that it saw holds now. Results of one spec form a pool of samples: a call takes the one of
its own place first, then the oldest, and never one that another waiting call stands at. So three identical voters keep
their three answers, and items can be inserted, removed and reordered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from .model import Observation, StepId, StepKey
from .ports import StoredStep

#: The first of some observations that does not hold now. They have been replayed: this only looks up.
Changed = Callable[[Iterable[Observation]], Observation | None]


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


class Decision(Struct, frozen=True, kw_only=True):
    """`stored` answers the call, or it runs live; `reason` says why, for the trace."""

    stored: StoredStep | None
    reason: str


class _Pool:
    """The samples of one spec that this run may still use, by order of finishing."""

    __slots__ = ("alive", "by_place", "changed", "ever")

    def __init__(self, samples: list[StoredStep]) -> None:
        self.ever = bool(samples)
        self.alive = {sample.id: sample for sample in samples}
        self.by_place: dict[str, list[StoredStep]] = {}
        for sample in samples:
            self.by_place.setdefault(sample.place, []).append(sample)
        self.changed: tuple[StepId, Observation] | None = None  # an example, for the reason

    def remove(self, sample: StoredStep) -> None:
        del self.alive[sample.id]
        self.by_place[sample.place].remove(sample)


class Reuse:
    """The pools of one run. Each is read once: what this run itself finishes is never offered to it."""

    def __init__(self, read_pool: Callable[[StepKey], list[StoredStep]]) -> None:
        self._read_pool = read_pool
        self._pools: dict[str, _Pool] = {}  # by canonical spec: a key alone may collide

    def observations(self, call: Asking) -> list[tuple[Observation, ...]]:
        """What must be replayed before `decide` can judge the call's candidates."""
        return [sample.observations for sample in self._pool(call).alive.values() if sample.observations]

    def decide(self, calls: Sequence[Asking], changed: Changed) -> list[Decision]:
        """One decision a call, in their order; what is taken is never offered again."""
        own = [self._of_own_place(call, changed) for call in calls]
        return [
            _hit(sample or self._oldest(call, changed)) or self._miss(call)
            for call, sample in zip(calls, own, strict=True)
        ]

    def _pool(self, call: Asking) -> _Pool:
        pool = self._pools.get(call.canonical)
        if pool is None:
            samples = [sample for sample in self._read_pool(call.key) if sample.spec == call.canonical]
            pool = self._pools[call.canonical] = _Pool(samples)
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

    def _miss(self, call: Asking) -> Decision:
        pool = self._pool(call)
        if not pool.ever:
            reason = "live: no stored result for this input"
        elif pool.changed is not None:
            step, observation = pool.changed
            reason = f"live: what {step} saw has changed: {observation.tool} {observation.arguments}"
        elif pool.alive:
            reason = "live: the stored results are older than asked for"
        else:
            reason = "live: every stored result for this input is in use"
        return Decision(stored=None, reason=reason)


def _young(sample: StoredStep, call: Asking) -> bool:
    return call.horizon is None or sample.finished_at >= call.horizon


def _hit(sample: StoredStep | None) -> Decision | None:
    return None if sample is None else Decision(stored=sample, reason="stored: nothing that it depends on has changed")
