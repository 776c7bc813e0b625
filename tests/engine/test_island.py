"""The island: calls, cancellation, order, and what happens when its thread dies."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import random
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import pytest
import trio
import trio.testing

from vibe_workflows.engine.errors import InternalError
from vibe_workflows.engine.island import Island, IslandCancelled, IslandClosed, open_island

T = TypeVar("T")

color: contextvars.ContextVar[str] = contextvars.ContextVar("color", default="none")


def on_island(body: Callable[[Island], Awaitable[T]]) -> T:
    """Run a test's body with an island, as the product does; what was left open shows as a ResourceWarning."""

    async def main() -> T:
        with trio.fail_after(30):
            async with open_island() as island:
                return await body(island)

    result = trio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
    gc.collect()
    return result


async def add(a: int, *, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def stop_the_loop() -> None:
    asyncio.get_running_loop().stop()
    await forever()


def test_a_call_returns_what_the_coroutine_returns() -> None:
    assert on_island(lambda island: island.run(add, 2, b=3)) == 5


def test_a_call_runs_in_the_one_thread_of_the_island() -> None:
    async def thread() -> int:
        return threading.get_ident()

    async def body(island: Island) -> None:
        first, second = await island.run(thread), await island.run(thread)
        assert first == second != threading.get_ident()

    on_island(body)


def test_an_error_of_the_coroutine_is_raised_as_it_is() -> None:
    async def fail() -> None:
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing"):
        on_island(lambda island: island.run(fail))


def test_context_variables_travel_to_the_coroutine_and_not_back() -> None:
    async def repaint() -> str:
        before = color.get()
        color.set("red")
        return before

    async def body(island: Island) -> None:
        color.set("blue")
        assert await island.run(repaint) == "blue"
        assert color.get() == "blue"

    on_island(body)


def test_a_thousand_concurrent_calls_each_get_their_own_answer() -> None:
    async def body(island: Island) -> list[int]:
        answers = [0] * 1000

        async def call(number: int) -> None:
            answers[number] = await island.run(add, number, b=1)

        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(call, number)
        return answers

    assert on_island(body) == list(range(1, 1001))


def test_cancelling_waits_until_the_coroutine_has_cleaned_up() -> None:
    steps: list[str] = []

    async def hold(started: Callable[[], None]) -> None:
        started()
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            steps.append("cleaned up")

    async def body(island: Island) -> None:
        with trio.CancelScope() as scope:
            await island.run(hold, partial(island.post, scope.cancel))
        assert scope.cancelled_caught
        steps.append("cancelled")

    on_island(body)
    assert steps == ["cleaned up", "cancelled"]


def test_a_call_that_was_cancelled_before_it_began_never_begins() -> None:
    async def body(island: Island) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await island.run(add, 1, b=1)
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:  # cancelled after it was sent, before the loop has seen it
            nursery.start_soon(island.run, forever)
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    on_island(body)


def test_a_result_that_comes_in_spite_of_the_cancellation_is_kept() -> None:
    async def stubborn(started: Callable[[], None]) -> str:
        started()
        with contextlib.suppress(asyncio.CancelledError):
            await forever()
        return "done anyway"

    async def body(island: Island) -> str:
        with trio.CancelScope() as scope:
            return await island.run(stubborn, partial(island.post, scope.cancel))
        raise AssertionError

    assert on_island(body) == "done anyway"


def test_a_cancellation_that_is_not_trios_is_an_error() -> None:
    async def cancel_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await forever()

    with pytest.raises(IslandCancelled):
        on_island(lambda island: island.run(cancel_itself))


@pytest.mark.parametrize("exception", [SystemExit(0), KeyboardInterrupt()])
def test_an_exit_inside_a_call_is_an_error_of_that_call_and_the_loop_goes_on(exception: BaseException) -> None:
    async def leave() -> None:
        raise exception

    async def body(island: Island) -> int:
        with pytest.raises(InternalError, match=type(exception).__name__) as caught:
            await island.run(leave)
        assert caught.value.__cause__ is exception
        return await island.run(add, 1, b=1)

    assert on_island(body) == 2


# ---------------------------------------------------------------- posts


def test_posts_arrive_in_order_and_before_the_result() -> None:
    seen: list[tuple[str, object]] = []

    async def stream(island: Island, name: str) -> None:
        for number in range(200):
            island.post(seen.append, (name, number))
            if number % 7 == 0:
                await asyncio.sleep(0)

    async def body(island: Island) -> None:
        async def follow(name: str) -> None:
            await island.run(stream, island, name)
            seen.append((name, "result"))

        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(follow, name)

    on_island(body)
    for name in "abc":
        assert [what for who, what in seen if who == name] == [*range(200), "result"]


def test_posts_are_called_in_the_trio_thread() -> None:
    threads: set[int] = set()

    async def tell(island: Island) -> None:
        island.post(lambda: threads.add(threading.get_ident()))

    on_island(lambda island: island.run(tell, island))
    assert threads == {threading.get_ident()}


def test_an_error_of_a_posted_function_cancels_the_call_and_is_raised_by_it() -> None:
    async def tell(island: Island, fn: Callable[[], object]) -> None:
        island.post(fn)
        await forever()

    async def tell_and_end(island: Island, fn: Callable[[], object]) -> str:
        island.post(fn)
        return "a result"

    def fail() -> None:
        raise ZeroDivisionError

    async def body(island: Island) -> int:
        for coroutine in (tell, tell_and_end):
            with pytest.raises(ZeroDivisionError):
                await island.run(coroutine, island, fail)
        return await island.run(add, 1, b=1)

    assert on_island(body) == 2


def test_nothing_is_posted_for_a_cancelled_call() -> None:
    seen: list[str] = []

    async def tell(island: Island, cancel: Callable[[], None]) -> None:
        island.post(cancel)
        island.post(seen.append, "in the same burst")
        try:
            await forever()
        finally:
            island.post(seen.append, "while cleaning up")

    async def body(island: Island) -> None:
        with trio.CancelScope() as scope:
            await island.run(tell, island, scope.cancel)

    on_island(body)
    assert seen == []


def test_a_post_from_nowhere_is_refused() -> None:
    async def body(island: Island) -> None:
        with pytest.raises(InternalError, match="outside of a call"):
            island.post(print)

    on_island(body)


# ---------------------------------------------------------------- the end


@pytest.mark.usefixtures("tasks_are_cut_off")
def test_the_death_of_the_thread_fails_every_call_at_once() -> None:
    async def body(island: Island) -> list[BaseException]:
        errors: list[BaseException] = []

        async def wait() -> None:
            try:
                await island.run(forever)
            except IslandClosed as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(IslandClosed):
                await island.run(stop_the_loop)
        with pytest.raises(IslandClosed):
            await island.run(add, 1, b=1)
        return errors

    assert len(on_island(body)) == 20


@pytest.mark.usefixtures("tasks_are_cut_off")
def test_an_exit_in_a_callback_of_the_loop_kills_the_thread_and_is_named_as_the_cause() -> None:
    async def leave_later() -> None:
        asyncio.get_running_loop().call_soon(sys.exit, 3)
        await forever()

    async def body(island: Island) -> None:
        with pytest.raises(IslandClosed) as caught:
            await island.run(leave_later)
        assert isinstance(caught.value.__cause__, SystemExit)

    on_island(body)


def test_a_call_that_comes_while_the_island_closes_is_refused() -> None:
    """A task begun then would not be waited for."""
    refused = threading.Event()

    async def stubborn(island: Island, started: Callable[[], None], closing: Callable[[], None]) -> None:
        island.post(started)
        try:
            await forever()
        finally:
            island.post(closing)
            while not refused.is_set():  # noqa: ASYNC110 - it is set in another thread
                await asyncio.sleep(0)

    async def main() -> None:
        started, closing = trio.Event(), trio.Event()

        async def hold(island: Island) -> None:
            with pytest.raises(IslandClosed):
                await island.run(stubborn, island, started.set, closing.set)

        async def come_late(island: Island) -> None:
            await closing.wait()
            with pytest.raises(IslandClosed):
                await island.run(add, 1, b=1)
            refused.set()

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery, open_island() as island:
                nursery.start_soon(hold, island)
                nursery.start_soon(come_late, island)
                await started.wait()

    trio.run(main)


def test_a_thread_that_never_gets_a_loop_fails_the_calls_that_waited_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    called = threading.Event()

    def no_loop() -> asyncio.Runner:
        called.wait()
        raise OSError("no file descriptor is left")

    monkeypatch.setattr(asyncio, "Runner", no_loop)

    async def body(island: Island) -> None:
        async def call() -> None:
            with pytest.raises(IslandClosed) as caught:
                await island.run(add, 1, b=1)
            assert isinstance(caught.value.__cause__, OSError)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await trio.testing.wait_all_tasks_blocked()
            called.set()

    on_island(body)


def test_leaving_the_block_in_a_cancelled_scope_still_ends_the_thread() -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            async with open_island() as island:
                await island.run(add, 1, b=1)
                scope.cancel()
                await trio.lowlevel.checkpoint()

    before = threading.active_count()
    trio.run(main)
    assert threading.active_count() == before


@pytest.mark.usefixtures("tasks_are_cut_off")
def test_tasks_that_a_library_left_behind_are_cancelled_when_the_island_closes() -> None:
    ended: list[str] = []
    kept: set[asyncio.Task[None]] = set()

    async def linger() -> None:
        try:
            await forever()
        finally:
            ended.append("cancelled")

    async def leave_one() -> None:
        kept.add(asyncio.create_task(linger()))
        await asyncio.sleep(0)

    on_island(lambda island: island.run(leave_one))
    assert ended == ["cancelled"]


def test_the_switch_interval_is_short_while_it_is_open_and_restored_after() -> None:
    before = sys.getswitchinterval()

    async def body(island: Island) -> float:
        return sys.getswitchinterval()

    assert on_island(body) == pytest.approx(0.0005)
    assert sys.getswitchinterval() == pytest.approx(before)


def test_random_cancellations_lose_no_call_and_leave_none_behind() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    alive: set[int] = set()

    async def work(number: int, naps: int) -> int:
        alive.add(number)
        try:
            for _ in range(naps):
                await asyncio.sleep(0)
            return number
        finally:
            alive.discard(number)

    async def body(island: Island) -> None:
        results: dict[int, int | None] = {}

        async def call(number: int, naps: int, patience: int) -> None:
            results[number] = None
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(impatient, scope, patience)
                    results[number] = await island.run(work, number, naps)
                    nursery.cancel_scope.cancel()
            assert number not in alive

        async def impatient(scope: trio.CancelScope, patience: int) -> None:
            for _ in range(patience):
                await trio.lowlevel.checkpoint()
            scope.cancel()

        for round_ in range(20):
            async with trio.open_nursery() as nursery:
                for number in range(round_ * 50, round_ * 50 + 50):
                    nursery.start_soon(call, number, dice.randrange(10), dice.randrange(20))
        assert len(results) == 1000
        assert all(result in (None, number) for number, result in results.items())
        assert not island._calls

    on_island(body)
    assert not alive
