"""Servers that allow so many calls and no more, as functions of the time: None lets a call through."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """`rate` calls a second, and `burst` at once after a rest. What a call that is too much gets: seconds to wait."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._level = burst
        self._at = clock()
        self.refused = 0

    def __call__(self) -> float | None:
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level >= 1 - 1e-9:
            self._level -= 1
            return None
        self.refused += 1
        return (1 - self._level) / self._rate


class EveryThird:
    """Refuses each third call, whatever the rate."""

    def __init__(self) -> None:
        self.calls = 0

    @property
    def refused(self) -> int:
        return self.calls // 3

    def __call__(self) -> float | None:
        self.calls += 1
        return 0.0 if self.calls % 3 == 0 else None
