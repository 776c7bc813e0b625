"""Runs steps in this process: one nursery, at most `capacity` at a time, the others wait in order."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

Item = TypeVar("Item")


class LocalExecutor(Generic[Item]):
    """Waiting items cost a dictionary entry, not a task: ten thousand of them are cheap.

    Invariant: running + waiting are the submitted items that are not over; running <= capacity.
    """

    def __init__(self, nursery: trio.Nursery, capacity: int, run: Callable[[Item], Awaitable[None]]) -> None:
        self._nursery = nursery
        self._capacity = capacity
        self._run = run
        self._waiting: OrderedDict[int, Item] = OrderedDict()
        self._running: dict[int, trio.CancelScope] = {}

    def submit(self, number: int, item: Item) -> None:
        """Start `item` now or when its turn comes. `number` is unique among the open ones."""
        if len(self._running) < self._capacity:
            self._start(number, item)
        else:
            self._waiting[number] = item

    def cancel(self, number: int) -> None:
        """Cancel an item. One that has not begun never does; a running one ends by itself, cancelled."""
        if (scope := self._running.get(number)) is not None:
            scope.cancel()
        else:
            self._waiting.pop(number, None)

    def _start(self, number: int, item: Item) -> None:
        scope = trio.CancelScope()
        self._running[number] = scope
        self._nursery.start_soon(self._work, number, item, scope)

    async def _work(self, number: int, item: Item, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await trio.lowlevel.checkpoint_if_cancelled()  # in the moment between its start and this one
                await self._run(item)
        finally:
            del self._running[number]
            cut_off = trio.current_effective_deadline() == -math.inf  # all of them: nothing may begin any more
            if not cut_off and self._waiting and len(self._running) < self._capacity:
                self._start(*self._waiting.popitem(last=False))
