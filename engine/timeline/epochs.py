"""The order of what steps saw and did: microseconds of the wall clock, made strictly increasing.

So processes that work on one project at a time agree on it without asking each other. Reuse is sound whatever the
epochs are: they say only in which order to verify.
"""

from __future__ import annotations

from collections.abc import Callable

from ..model import Observation


class Epochs:
    """`latest` is the highest epoch that the store holds. Each call of `next` gives a higher one."""

    def __init__(self, wall_clock: Callable[[], float], latest: int) -> None:
        self._wall_clock = wall_clock
        self._latest = latest

    def next(self) -> int:
        self._latest = max(self._latest + 1, int(self._wall_clock() * 1_000_000))
        return self._latest


class NewEpochs:
    """For all that a step saw: what it saw in one worktree keeps having one epoch; `first` is that of the first one."""

    def __init__(self, epochs: Epochs, first: int | None = None) -> None:
        self._epochs = epochs
        self._first = first
        self._snapshots: dict[int, int] = {}

    def of(self, seen: Observation) -> int:
        if not seen.aside:
            return self._epochs.next()
        if seen.epoch not in self._snapshots:
            first = self._first if not self._snapshots else None
            self._snapshots[seen.epoch] = self._epochs.next() if first is None else first
        return self._snapshots[seen.epoch]
