"""Items run as many at a time as there is room for, in order, and one that is cancelled in time never begins."""

from __future__ import annotations

from collections.abc import Callable

import trio
from trio.testing import wait_all_tasks_blocked

from vibe_workflows.engine.executors.local import LocalExecutor


class _Works:
    """Items that wait until they are told to end."""

    def __init__(self, nursery: trio.Nursery, capacity: int) -> None:
        self.began: list[str] = []
        self.cancelled: list[str] = []
        self.executor = LocalExecutor(nursery, capacity, self._run)
        self._ends: dict[str, trio.Event] = {}

    def end(self, item: str) -> None:
        self._ends[item].set()

    async def _run(self, item: str) -> None:
        self.began.append(item)
        self._ends[item] = trio.Event()
        try:
            await self._ends[item].wait()
        except trio.Cancelled:
            self.cancelled.append(item)
            raise


def _in_nursery(body: Callable[[_Works, trio.Nursery], object], capacity: int = 2) -> _Works:
    """`body` submits and cancels in one go: no task of the nursery has run before it is over."""

    async def main() -> _Works:
        async with trio.open_nursery() as nursery:
            works = _Works(nursery, capacity)
            body(works, nursery)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return works

    return trio.run(main)


def test_an_item_that_is_cancelled_before_its_task_ran_never_begins() -> None:
    """A script may take a call back in the very moment in which its step has been started."""

    def body(works: _Works, nursery: trio.Nursery) -> None:
        works.executor.submit(1, "first")
        works.executor.submit(2, "second")
        works.executor.cancel(1)

    assert _in_nursery(body).began == ["second"]


def test_the_place_of_an_item_that_never_began_goes_to_the_next_one() -> None:
    def body(works: _Works, nursery: trio.Nursery) -> None:
        works.executor.submit(1, "first")
        works.executor.submit(2, "second")
        works.executor.submit(3, "third")
        works.executor.cancel(1)
        works.executor.cancel(2)

    assert _in_nursery(body, capacity=1).began == ["third"]


def test_nothing_begins_once_all_are_cancelled() -> None:
    def body(works: _Works, nursery: trio.Nursery) -> None:
        works.executor.submit(1, "first")
        works.executor.submit(2, "second")
        nursery.cancel_scope.cancel()

    assert _in_nursery(body, capacity=1).began == []


def test_a_running_item_is_cancelled_and_an_ended_one_makes_room() -> None:
    async def main() -> _Works:
        async with trio.open_nursery() as nursery:
            works = _Works(nursery, capacity=2)
            for number, item in enumerate(("first", "second", "third", "fourth"), 1):
                works.executor.submit(number, item)
            await wait_all_tasks_blocked()
            assert sorted(works.began) == ["first", "second"]
            works.executor.cancel(1)
            await wait_all_tasks_blocked()
            assert works.cancelled == ["first"]
            works.end("second")
            await wait_all_tasks_blocked()
            assert works.began[2:] == ["third", "fourth"]
            works.end("third")
            works.end("fourth")
        return works

    assert trio.run(main).cancelled == ["first"]
