"""How many calls of one model are in flight: a window that a provider's rate limit narrows and its answers widen.

The window looks at what its calls come to in rounds. Where more than half of a round was turned away it halves; where
as many calls in a row got through as it is wide, it grows by one. Between them it stays: then the allowed rate is used
to the full, and most calls get through. docs/decisions.md says what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

import trio
from msgspec import Struct

from .errors import RateLimited
from .time_limit import Paused

#: Ends the message of a rate limit, as long as it is not given up.
SLOWER: Final = "; lower --concurrency if this persists"

#: Outcomes of a round, where the window is not wider: what fewer say is chance.
ROUND: Final = 16
#: Of a round, turned away: above it the window halves.
TOO_MANY: Final = 0.5

# A call is turned away at once and answered late. So a round takes at least twice as long as an answer, or its first
# part, which holds only refusals, would count for the whole.
_ROUND_IN_ANSWERS: Final = 2.0
_SHORTEST_UNKNOWN_S: Final = 1.0  # while nothing has got through
_SHORTEST_S: Final = 10.0  # of the slowest models: refusals are not looked on at for longer
_SMOOTHING: Final = 1 / 8

_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_LEAST_S: Final = 0.1
_BACKOFF_CEILING_S: Final = 30.0

#: A provider that asks for more than this has stopped serving for now; no script waits that long unasked.
LONGEST_RETRY_AFTER_S: Final = 600.0
#: A call is given up when none of its model got through for so long (rates are allowed per minute, so one whole minute
#: has passed in between) ...
GIVE_UP_AFTER_S: Final = 120.0
#: ... and it was turned away so often meanwhile: a few long waits that a provider asked for are no reason.
GIVE_UP_TIMES: Final = 6


def backoff_s(times: int, jitter: float, first_s: float = _BACKOFF_FIRST_S) -> float:
    """The wait after the `times`-th failure, from 1: it doubles up to a ceiling, with full jitter above its half."""
    whole = min(first_s * 2.0 ** min(times - 1, 16), _BACKOFF_CEILING_S)
    return whole * (0.5 + jitter / 2)


class Outcome(Enum):
    """What a call that was in flight says about the rate of calls."""

    THROUGH = auto()
    TURNED_AWAY = auto()
    NEITHER = auto()  # cancelled, or failed for another reason


class Place(Struct, frozen=True):
    """A place in a window."""

    entered_at: float
    narrowings: int  # so many there had been


class Window:
    """The calls of one model in flight, and those that wait for their turn or rest after being turned away.

    Invariant: no call enters while in_flight >= width, and none waits while in_flight < width.
    """

    def __init__(self, ceiling: int, narrowed: Callable[[int], None]) -> None:
        """`narrowed` is told the width where it is less than ever since the window was wide open."""
        self._ceiling = ceiling
        self._narrowed = narrowed
        self.width = ceiling
        self.in_flight = 0
        self.through_at = -math.inf  # when a call got through last
        self._told = ceiling
        self._narrowings = 0
        self._in_a_row = 0  # calls that got through
        self._busy_since = 0.0  # no call was in flight before, or a round began
        self._outcomes = 0  # of this round, by calls that entered since the window was narrowed
        self._turned_away = 0
        self._answer_s: float | None = None  # how long a call takes that gets through
        # Waking a parked task and counting it in are one step, so that a place cannot be lost in between.
        self._again = trio.lowlevel.ParkingLot()  # were turned away before, and come first
        self._fresh = trio.lowlevel.ParkingLot()
        self._resting = trio.lowlevel.ParkingLot()

    async def enter(self, paused: Paused, *, again: bool) -> Place:
        """Take a place, to be given back with `leave`. First come, first served; those with `again` before others."""
        if self.in_flight < self.width:
            self.in_flight += 1
        else:
            # It ends: the calls in flight do, each within the time limit of its step.
            with paused():
                await (self._again if again else self._fresh).park()
        now = trio.current_time()
        if self.in_flight == 1:
            self._busy_since = now
        return Place(now, self._narrowings)

    def leave(self, place: Place, outcome: Outcome) -> None:
        self.in_flight -= 1
        now = trio.current_time()
        if outcome is Outcome.THROUGH:
            self.through_at = now
            taken = now - place.entered_at
            self._answer_s = taken if self._answer_s is None else self._answer_s + (taken - self._answer_s) * _SMOOTHING
        # What entered before the window was narrowed says nothing about what that brought.
        if outcome is not Outcome.NEITHER and place.narrowings == self._narrowings:
            self._count(outcome)
        while self.in_flight < self.width and (waiting := self._again or self._fresh):
            self.in_flight += 1
            waiting.unpark()
        if outcome is Outcome.THROUGH and self.in_flight < self.width:
            self._resting.unpark()

    @property
    def first_rest_s(self) -> float:
        """Of a call whose provider named no wait: no longer than an answer takes, or a quick model idles at the end."""
        if self._answer_s is None:
            return _BACKOFF_FIRST_S
        return min(max(self._answer_s, _BACKOFF_LEAST_S), _BACKOFF_FIRST_S)

    async def rest(self, wait_s: float, paused: Paused, *, fixed: bool) -> None:
        """Wait after being turned away. Unless `fixed`, a call that gets through ends the longest rest early.

        A wait that the provider named is fixed. Any other is a guess, and an answer is better evidence than a guess.
        """
        with paused(), trio.move_on_after(wait_s):
            if fixed:
                await trio.sleep_forever()
            await self._resting.park()

    def _count(self, outcome: Outcome) -> None:
        self._outcomes += 1
        if outcome is Outcome.TURNED_AWAY:
            self._turned_away += 1
            self._in_a_row = 0
        elif self.width < self._ceiling:
            self._in_a_row += 1
            if self._in_a_row >= self.width:
                self._resize(self.width + 1)
        if self._outcomes >= max(self.width, ROUND) and self._representative():
            if self._turned_away > TOO_MANY * self._outcomes and self.width > 1:
                self._resize(self.width // 2)
            self._outcomes = self._turned_away = 0
            self._busy_since = trio.current_time()

    def _representative(self) -> bool:
        """Whether the answers to the calls of this round are in, and not only what turned calls away."""
        if self.in_flight == 0:
            return True
        answer_s = self._answer_s
        least_s = _SHORTEST_UNKNOWN_S if answer_s is None else min(_ROUND_IN_ANSWERS * answer_s, _SHORTEST_S)
        return trio.current_time() - self._busy_since >= least_s

    def _resize(self, width: int) -> None:
        self._in_a_row = 0
        narrower = width < self.width
        self.width = width
        if narrower:
            self._narrowings += 1
            if width < self._told:
                self._told = width
                self._narrowed(width)
        elif width == self._ceiling:  # one that swings between two widths is not news each time
            self._told = width


class Patience:
    """How long one call goes on trying that is turned away."""

    def __init__(self, model: str, window: Window) -> None:
        self._model = model
        self._window = window
        self._times = 0  # turned away, ever
        self._lately = 0  # since a call of the model got through ...
        self._since = 0.0  # ... the first of them

    @property
    def tried(self) -> bool:
        return self._times > 0

    def wait_s(self, error: RateLimited, jitter: float) -> float:
        """How long to wait before the next try. Raises RateLimited when it is given up."""
        now = trio.current_time()
        self._times += 1
        if self._lately == 0 or self._window.through_at > self._since:
            self._lately, self._since = 0, now
        self._lately += 1
        asked = error.retry_after_s
        if asked is not None and asked > LONGEST_RETRY_AFTER_S:
            raise self._given_up(error, f"{asked:,.0f} s is longer than any call waits")
        if self._lately >= GIVE_UP_TIMES and now - self._since >= GIVE_UP_AFTER_S:
            raise self._given_up(
                error,
                f"turned away {self._lately} times within {now - self._since:,.0f} s, in which no call of "
                f"{self._model} got through",
            )
        return backoff_s(self._times, jitter, self._window.first_rest_s) if asked is None else asked

    def _given_up(self, error: RateLimited, why: str) -> RateLimited:
        said = error.message.removesuffix(SLOWER)
        text = f"{said}; given up: {why}; try again later, or give the step another model to fall back to"
        given_up = RateLimited(text, retryable=False, retry_after_s=error.retry_after_s)
        given_up.__cause__ = error
        return given_up
