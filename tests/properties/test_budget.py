"""Invariant, in every scope, at every moment: paid + reserved <= limit, under every interleaving."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.engine.budget import SMALLEST_OUTPUT, Budget, Margins, Need, Reservation, Scope
from vibe_workflows.engine.errors import BudgetExceeded, SetupError
from vibe_workflows.engine.model import Usage
from vibe_workflows.engine.ports import Limits


@dataclass(frozen=True)
class Call:
    scope: int
    prompt: int
    most: int
    priced: bool
    share: float  # of its reservation that it uses
    starts: float
    lasts: float
    cancelled: bool


calls = st.lists(
    st.builds(
        Call,
        scope=st.integers(0, 3),
        prompt=st.integers(0, 400),
        most=st.integers(1, 600),
        priced=st.just(True),
        share=st.floats(0, 1),
        starts=st.floats(0, 5),
        lasts=st.floats(0, 5),
        cancelled=st.booleans(),
    ),
    max_size=12,
)
limits = st.builds(
    Limits,
    tokens=st.none() | st.integers(0, 2_000),
    microusd=st.none() | st.integers(0, 6_000),
    steps=st.none() | st.integers(0, 12),
)


def _check(scopes: list[Scope]) -> None:
    for scope in scopes:
        assert scope.reserved_tokens >= 0
        assert scope.reserved_microusd >= 0
        if scope.limits.tokens is not None:
            assert scope.spent_tokens + scope.reserved_tokens <= scope.limits.tokens
        if scope.limits.microusd is not None:
            assert scope.spent_microusd + scope.reserved_microusd <= scope.limits.microusd


@given(st.tuples(limits, limits, limits, limits), calls)
def test_spent_plus_reserved_never_passes_a_limit_and_nobody_waits_forever(
    own: tuple[Limits, Limits, Limits, Limits], wanted: list[Call]
) -> None:
    async def main() -> None:
        budget = Budget(own[0], own[1], clock=trio.current_time)
        inner = budget.open("inner", own[2], budget.run)
        innermost = budget.open("innermost", own[3], inner)
        scopes = [budget.invocation, budget.run, inner, innermost]
        turned_away: list[Call] = []

        async def one(call: Call) -> None:
            await trio.sleep(call.starts)
            scope = scopes[call.scope]
            need = Need(prompt_tokens=call.prompt, max_tokens=call.most, input_price=1.5, output_price=3.0)
            try:
                reservation = await budget.reserve(scope, need)
            except BudgetExceeded:
                turned_away.append(call)
                return
            _check(scopes)
            assert min(call.most, SMALLEST_OUTPUT) <= reservation.max_tokens <= call.most
            assert reservation.clamped == (reservation.max_tokens < call.most)
            await trio.sleep(call.lasts)
            if call.cancelled:
                reservation.release()
            else:
                used = int(reservation.tokens * call.share)
                cost = int(reservation.microusd * call.share)
                reservation.settle(Usage(input_tokens=used, cost_microusd=cost))
            _check(scopes)

        with trio.fail_after(1_000):
            async with trio.open_nursery() as nursery:
                for call in wanted:
                    nursery.start_soon(one, call)
        assert all(scope.reserved_tokens == 0 and scope.reserved_microusd == 0 for scope in scopes)
        for call in turned_away:  # nobody is turned away from a scope that has no limit at all
            assert any(
                each.limits.tokens is not None or each.limits.microusd is not None
                for each in scopes[call.scope].chain()
            )

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def _reserve(budget: Budget, prompt: int, most: int) -> Reservation:
    need = Need(prompt_tokens=prompt, max_tokens=most, input_price=0.0, output_price=0.0)
    return await budget.reserve(budget.run, need)


def test_a_call_that_does_not_fit_waits_for_room_instead_of_being_clamped() -> None:
    async def main() -> None:
        budget = Budget(Limits(tokens=1_000), Limits(), clock=trio.current_time)
        first = await _reserve(budget, 100, 700)
        seen: list[int] = []

        async def second() -> None:
            reservation = await _reserve(budget, 100, 500)
            seen.append(reservation.max_tokens)
            reservation.release()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(second)
            await trio.testing.wait_all_tasks_blocked()
            assert seen == []
            first.settle(Usage(input_tokens=100, output_tokens=100))
        assert seen == [500]

    trio.run(main)


def test_the_last_call_is_clamped_to_what_is_left_and_the_one_after_is_turned_away() -> None:
    async def main() -> None:
        budget = Budget(Limits(tokens=1_000), Limits(), clock=trio.current_time)
        reservation = await _reserve(budget, 100, 16_000)
        assert reservation.clamped
        assert reservation.max_tokens == 900
        reservation.settle(Usage(input_tokens=100, output_tokens=850))
        with pytest.raises(BudgetExceeded) as caught:
            await _reserve(budget, 100, 16_000)
        assert caught.value.unit == "tokens"
        assert "50 left of 1,000; raise --budget" in caught.value.message

    trio.run(main)


def test_usage_above_its_reservation_is_booked_and_closes_the_scope() -> None:
    async def main() -> None:
        budget = Budget(Limits(tokens=1_000), Limits(), clock=trio.current_time)
        reservation = await _reserve(budget, 100, 100)
        assert reservation.settle(Usage(input_tokens=2_000)) is True
        assert budget.run.spent_tokens == 2_000
        with pytest.raises(BudgetExceeded):
            await _reserve(budget, 1, 1)

    trio.run(main)


def test_steps_are_counted_stored_ones_too_and_the_invocation_counts_only_what_is_paid() -> None:
    budget = Budget(Limits(steps=2), Limits(microusd=10), clock=lambda: 0.0)
    budget.book_stored(budget.run, Usage(input_tokens=5, cost_microusd=50))
    budget.start_step(budget.run)
    with pytest.raises(BudgetExceeded) as caught:
        budget.start_step(budget.run)
    assert caught.value.unit == "steps"
    assert budget.invocation.spent_microusd == 0
    assert budget.run.spent_microusd == 50


def test_seconds_end_with_the_clock_of_the_scope() -> None:
    now = [100.0]
    budget = Budget(Limits(), Limits(), clock=lambda: now[0])
    scope = budget.open("slow", Limits(seconds=5), budget.run)
    budget.check_time(scope)
    now[0] = 105.0
    with pytest.raises(BudgetExceeded) as caught:
        budget.check_time(scope)
    assert caught.value.unit == "seconds"
    budget.check_time(budget.run)


def test_a_dollar_limit_refuses_a_model_without_a_price() -> None:
    async def main() -> None:
        need = Need(prompt_tokens=1, max_tokens=1, input_price=None, output_price=None)
        priced = Budget(Limits(microusd=100), Limits(), clock=trio.current_time)
        with pytest.raises(SetupError, match="price of this model is not known"):
            await priced.reserve(priced.run, need)
        default_ceiling = Budget(Limits(), Limits(microusd=100), clock=trio.current_time)
        (await default_ceiling.reserve(default_ceiling.run, need)).release()

    trio.run(main)


def test_margins_start_wide_and_follow_what_a_model_really_counts() -> None:
    margins = Margins()
    assert margins.bound("m", 100) == 125
    for _ in range(3):
        margins.learn("m", 100, 100)
    assert margins.bound("m", 100) == 111  # 1.1 above the largest ratio seen, rounded up
    margins.learn("m", 100, 180)
    assert margins.bound("m", 100) == 199
