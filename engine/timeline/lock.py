"""Looks share the project, an edit has it alone."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from msgspec import Struct


class _Waiter(Struct, eq=False):
    alone: bool
    event: trio.Event


class ProjectLock:
    """A readers-writer lock, first come, first served: a stream of looks never starves an edit, nor the reverse.

    Held over one call of a tool, one edit, or one decision about reuse; it cannot be taken twice by one task.
    """

    def __init__(self) -> None:
        self._looking = 0
        self._alone = False
        self._waiters: deque[_Waiter] = deque()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        await self._take(alone=False)
        try:
            yield
        finally:
            self._looking -= 1
            self._wake()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        await self._take(alone=True)
        try:
            yield
        finally:
            self._alone = False
            self._wake()

    def _fits(self, alone: bool) -> bool:
        return not self._alone and not (alone and self._looking)

    def _grant(self, alone: bool) -> None:
        if alone:
            self._alone = True
        else:
            self._looking += 1

    async def _take(self, *, alone: bool) -> None:
        if not self._waiters and self._fits(alone):
            self._grant(alone)
            return
        waiter = _Waiter(alone, trio.Event())
        self._waiters.append(waiter)
        try:
            await waiter.event.wait()  # bounded by what holds the lock: each tool and each edit has a limit of its own
            await trio.lowlevel.checkpoint_if_cancelled()  # since it was granted: nothing begins any more
        except trio.Cancelled:
            self._leave(waiter)
            raise

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.event.is_set():  # it was granted in the moment of the cancellation
            if waiter.alone:
                self._alone = False
            else:
                self._looking -= 1
        else:
            self._waiters.remove(waiter)
        self._wake()

    def _wake(self) -> None:
        while self._waiters and self._fits(self._waiters[0].alone):
            waiter = self._waiters.popleft()
            self._grant(waiter.alone)
            waiter.event.set()
