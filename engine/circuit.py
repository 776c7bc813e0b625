"""Stops calls of a model whose provider is down, and sees by one call at a time whether it is up again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from .errors import ProviderError
from .time_limit import Paused

#: Failures in a row that mean an outage: more than the attempts of one step, so that no single step is a reason.
FAILURES: Final = 5
_COOL_DOWN_FIRST_S: Final = 5.0
_COOL_DOWN_CEILING_S: Final = 60.0
#: How long a call waits for what a probe under way comes to. One that hangs must not hold up all others.
_VERDICT_S: Final = 30.0


class Circuit:
    """Closed, calls pass. Open, they fail at once until the cool-down is over; then one, the probe, passes."""

    def __init__(
        self, model: str, *, went_down: Callable[[int, float, str], None], came_up: Callable[[], None]
    ) -> None:
        """`went_down` is told failures, cool-down and the last error, once an outage."""
        self._model = model
        self._went_down = went_down
        self._came_up = came_up
        self._failures = 0  # in a row
        self._last_error = ""
        self.open = False
        self._opened_at = 0.0
        self._due_at = 0.0  # when the probe may pass
        self._cool_down_s = _COOL_DOWN_FIRST_S
        self._probing = False
        self._verdict = trio.lowlevel.ParkingLot()

    async def admit(self, paused: Paused, *, patient: bool) -> bool:
        """Whether the call is the probe, which ends with `probed`. Raises ProviderError where no call is made.

        While a probe is under way others wait for what it comes to, or fail at once if they are not `patient`: steps
        that were told when to ask again come at the same moment, and all but one would fail for nothing.
        """
        while self.open:
            if trio.current_time() < self._due_at or (self._probing and not patient):
                raise self.down()
            if not self._probing:
                self._probing = True
                return True
            with paused(), trio.move_on_after(_VERDICT_S) as waiting:
                await self._verdict.park()
            if waiting.cancelled_caught:
                raise self.down()
        return False

    def probed(self) -> None:
        """The probe is over, whatever it came to: if nothing was learned, the next call is one."""
        self._probing = False
        self._verdict.unpark_all()

    def answered(self) -> None:
        """The provider said something, be it a refusal: it is there."""
        self._failures = 0
        if self.open:
            self.open = False
            self._cool_down_s = _COOL_DOWN_FIRST_S
            self._came_up()

    def failed(self, error: str, *, probe: bool) -> None:
        self._last_error = error
        self._failures += 1
        if probe and self.open:
            self._cool_down_s = min(2 * self._cool_down_s, _COOL_DOWN_CEILING_S)
            self._due_at = trio.current_time() + self._cool_down_s
        elif not self.open and self._failures >= FAILURES:
            self.open = True
            self._opened_at = trio.current_time()
            self._due_at = self._opened_at + self._cool_down_s
            self._went_down(self._failures, self._cool_down_s, error)

    def down(self) -> ProviderError:
        """The error of a call that is not made."""
        now = trio.current_time()
        rest = max(0.0, self._due_at - now)
        again = f"it is asked again in {rest:.0f} s" if rest else "it is being asked again"
        return ProviderError(
            f"{self._model} has been down for {now - self._opened_at:.0f} s, so it was not called; {again}; "
            f"the last of {self._failures} failures in a row: {self._last_error}",
            retryable=True,
            retry_after_s=rest,
        )
