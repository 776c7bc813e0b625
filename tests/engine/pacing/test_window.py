"""The window of calls in flight: what narrows and widens it, who comes next, and that no place is ever lost."""

from __future__ import annotations

from contextlib import nullcontext

import trio
import trio.testing
from trio.testing import trio_test

from tests.support.allowed_rates import EveryThird, TokenBucket
from vibe_workflows.engine.pacing import ROUND, Outcome, Place, Window, backoff_s

ANSWER_S = 1.0
REFUSAL_S = 0.01


def narrowings() -> tuple[list[int], Window]:
    told: list[int] = []
    return told, Window(16, told.append)


async def _enter(window: Window, *, again: bool = False) -> Place:
    return await window.enter(nullcontext, again=again)


async def _together(window: Window, outcomes: list[Outcome]) -> None:
    """So many calls at the same time, each as long as its kind takes."""

    async def one(outcome: Outcome) -> None:
        place = await _enter(window)
        await trio.sleep(ANSWER_S if outcome is Outcome.THROUGH else REFUSAL_S)
        window.leave(place, outcome)

    async with trio.open_nursery() as nursery:
        for outcome in outcomes:
            nursery.start_soon(one, outcome)


THROUGH, AWAY, NEITHER = [Outcome.THROUGH], [Outcome.TURNED_AWAY], [Outcome.NEITHER]


@trio_test
async def test_a_round_of_which_more_than_half_is_turned_away_halves_the_window(
    autojump_clock: trio.testing.MockClock,
) -> None:
    told, window = narrowings()
    await _together(window, AWAY * 8 + THROUGH * 8)
    assert (window.width, told) == (16, [])
    await _together(window, AWAY * 9 + THROUGH * 7)
    assert (window.width, told) == (8, [8])


@trio_test
async def test_refusals_that_come_before_the_answers_of_their_round_decide_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """They take a hundredth of the time: what has come back first is no picture of the whole."""
    told, window = narrowings()
    await _together(window, THROUGH)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_together, window, THROUGH * 12)
        for _ in range(ROUND):
            await _together(window, AWAY)
        assert window.in_flight == 12
        assert told == []


@trio_test
async def test_as_many_calls_in_a_row_as_it_is_wide_widen_the_window_by_one_up_to_its_ceiling(
    autojump_clock: trio.testing.MockClock,
) -> None:
    _, window = narrowings()
    for expected in (8, 4, 2, 1, 1):
        await _together(window, AWAY * ROUND)
        assert window.width == expected
    for expected in (2, 2, 3, 3, 3, 4):
        await _together(window, THROUGH)
        assert window.width == expected
    for outcomes in (THROUGH * 3, AWAY, THROUGH * 3):
        await _together(window, outcomes)
    assert window.width == 4
    await _together(window, THROUGH * 500)
    assert window.width == 16


@trio_test
async def test_what_entered_before_the_window_was_narrowed_does_not_narrow_it_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    told, window = narrowings()
    places = [await _enter(window) for _ in range(16)]
    await trio.sleep(2.0)
    later: list[Place] = []
    for place in places[:15]:
        window.leave(place, Outcome.TURNED_AWAY)
        later.append(await _enter(window))
    window.leave(places[15], Outcome.TURNED_AWAY)
    assert told == [8]
    await trio.sleep(2.0)
    for place in later:
        window.leave(place, Outcome.TURNED_AWAY)
    await _together(window, AWAY)
    assert told == [8]


@trio_test
async def test_a_call_that_was_cancelled_or_failed_says_nothing_about_the_rate(
    autojump_clock: trio.testing.MockClock,
) -> None:
    told, window = narrowings()
    await _together(window, AWAY * 8 + NEITHER * 100)
    assert (window.width, told) == (16, [])


@trio_test
async def test_a_window_that_swings_between_two_widths_is_told_once(autojump_clock: trio.testing.MockClock) -> None:
    told, window = narrowings()
    for _ in range(10):
        await _together(window, AWAY * ROUND)
        await _together(window, THROUGH * 2)
    assert window.width == 2
    assert told == [8, 4, 2, 1]


@trio_test
async def test_those_who_were_turned_away_enter_before_those_who_never_tried_and_each_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    window = Window(1, lambda width: None)
    first = await _enter(window)
    entered: list[str] = []

    async def one(name: str, again: bool) -> None:
        place = await _enter(window, again=again)
        entered.append(name)
        await trio.sleep(1)
        window.leave(place, Outcome.THROUGH)

    async with trio.open_nursery() as nursery:
        for name, again in (("new 1", False), ("again 1", True), ("new 2", False), ("again 2", True)):
            nursery.start_soon(one, name, again)
            await trio.testing.wait_all_tasks_blocked()
        window.leave(first, Outcome.THROUGH)
    assert entered == ["again 1", "again 2", "new 1", "new 2"]
    assert window.in_flight == 0


@trio_test
async def test_cancelling_those_who_wait_or_were_just_let_in_takes_no_place(
    autojump_clock: trio.testing.MockClock,
) -> None:
    window = Window(1, lambda width: None)
    first = await _enter(window)

    async def one() -> None:
        place = await _enter(window)
        try:
            await trio.sleep_forever()
        finally:
            window.leave(place, Outcome.NEITHER)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        nursery.start_soon(one)
        await trio.testing.wait_all_tasks_blocked()
        window.leave(first, Outcome.THROUGH)  # lets one in, which has not run yet
        nursery.cancel_scope.cancel()
    assert window.in_flight == 0
    with trio.fail_after(1):
        await _enter(window)


@trio_test
async def test_a_guessed_rest_ends_when_a_call_gets_through_and_a_wait_that_was_asked_for_does_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    _, window = narrowings()
    ended: dict[str, float] = {}

    async def rest(name: str, fixed: bool) -> None:
        await window.rest(30.0, nullcontext, fixed=fixed)
        ended[name] = trio.current_time() - started

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rest, "guessed", False)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(rest, "guessed later", False)
        nursery.start_soon(rest, "asked for", True)
        await _together(window, THROUGH)
    assert ended == {"guessed": 1.0, "guessed later": 30.0, "asked for": 30.0}


def test_backoff_doubles_from_half_a_second_up_to_thirty_with_jitter_above_its_half() -> None:
    assert [backoff_s(times, 1.0) for times in range(1, 9)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert [backoff_s(times, 0.0) for times in (1, 2, 10_000)] == [0.25, 0.5, 15.0]


async def _serve(window: Window, allowed: TokenBucket | EveryThird, calls: int) -> float:
    """Get so many calls through, none gives up; how long it took."""
    started = trio.current_time()
    slots = trio.Semaphore(16)

    async def one() -> None:
        async with slots:
            times = 0
            while True:
                place = await _enter(window, again=times > 0)
                refused = allowed()
                await trio.sleep(ANSWER_S / 10 if refused is None else REFUSAL_S)
                window.leave(place, Outcome.THROUGH if refused is None else Outcome.TURNED_AWAY)
                if refused is None:
                    return
                times += 1
                await window.rest(backoff_s(times, 0.5), nullcontext, fixed=False)

    async with trio.open_nursery() as nursery:
        for _ in range(calls):
            nursery.start_soon(one)
    return trio.current_time() - started


@trio_test
async def test_under_a_token_bucket_the_window_settles_and_the_allowed_rate_is_used(
    autojump_clock: trio.testing.MockClock,
) -> None:
    told, window = narrowings()
    bucket = TokenBucket(40, 10, trio.current_time)
    taken = await _serve(window, bucket, 800)
    assert taken < 1.2 * (800 - 10) / 40
    assert told[0] == 8
    assert window.width < 16  # 4 are in flight at 40 a second and 0.1 s each
    assert bucket.refused <= 800


@trio_test
async def test_a_server_that_refuses_every_third_call_is_not_called_less(
    autojump_clock: trio.testing.MockClock,
) -> None:
    told, window = narrowings()
    taken = await _serve(window, EveryThird(), 800)
    assert told == []
    assert taken < 2 * 800 * ANSWER_S / 10 / 16
