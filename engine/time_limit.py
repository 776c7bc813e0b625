"""A step's time limit, which its waits in queues do not use up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import trio

#: A time limit of nothing is an error to those who take one.
_MOMENT_S = 0.001

#: Stops the clock of a time limit while its step waits in a queue.
Paused: TypeAlias = Callable[[], AbstractContextManager[object]]


class TimeLimit:
    """So many seconds of work: `with limit.running() as scope` ends what is inside when they are used up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._scope = trio.CancelScope()

    def running(self) -> trio.CancelScope:
        self._scope.deadline = trio.current_time() + self._seconds
        return self._scope

    def left_s(self) -> float:
        """Seconds of work that are left, at least a moment."""
        return max(self._scope.deadline - trio.current_time(), _MOMENT_S)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside does not count."""
        left = self._scope.deadline - trio.current_time()
        self._scope.deadline = math.inf
        try:
            yield
        finally:
            self._scope.deadline = trio.current_time() + left
