"""A rate limit slows a fan-out and fails nobody; and it ends."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import pytest
import trio
import trio.testing
from trio.testing import trio_test

from tests.support.allowed_rates import EveryThird, TokenBucket
from tests.support.live_steps import Steps, attempts, prompt_of, scripted
from vibe_workflows.engine.backends.scripted import Scripted
from vibe_workflows.engine.errors import RateLimited
from vibe_workflows.engine.events import ModelSlowed, StepRetried
from vibe_workflows.engine.model import NO_USAGE, ModelRequest, StepStatus
from vibe_workflows.engine.ports import Limits


def refusing(allowed: Callable[[], float | None], *, retry_after: bool) -> Callable[[ModelRequest], Scripted]:
    """A model behind a limit. Retry-After is whole seconds, as most servers send it."""

    def answer(request: ModelRequest) -> Scripted:
        wait_s = allowed()
        if wait_s is None:
            return prompt_of(request).upper()
        return RateLimited("slow down", retry_after_s=math.ceil(wait_s) if retry_after else None)

    return answer


@pytest.mark.parametrize("retry_after", [False, True])
@pytest.mark.parametrize("concurrency", [16, 200])
@trio_test
async def test_a_fan_out_of_two_hundred_gets_through_a_token_bucket_and_none_fails(
    autojump_clock: trio.testing.MockClock, retry_after: bool, concurrency: int
) -> None:
    bucket = TokenBucket(40, 40, trio.current_time)
    backend = scripted(refusing(bucket, retry_after=retry_after), latency_s=0.05)
    steps = Steps(backend, concurrency=concurrency, jitter=random.Random(7).random)
    prompts = [f"item {number}" for number in range(200)]
    outcomes = await steps.fan_out(prompts, retries=0)
    assert [outcome.step.result for outcome in outcomes] == [f'"{prompt.upper()}"' for prompt in prompts]
    assert bucket.refused > 50
    assert trio.current_time() < 2 * (200 - 40) / 40
    assert steps.told(ModelSlowed)
    assert len(steps.told(StepRetried)) == bucket.refused


@trio_test
async def test_two_hundred_steps_of_which_a_third_is_turned_away_are_two_hundred_results(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps = Steps(scripted(refusing(EveryThird(), retry_after=False), latency_s=0.05), concurrency=200)
    outcomes = await steps.fan_out([f"item {number}" for number in range(200)], retries=0)
    assert {outcome.step.status for outcome in outcomes} == {StepStatus.COMPLETED}
    assert steps.budget.run.reserved_tokens == 0


@trio_test
@pytest.mark.parametrize(("answer_s", "first_s"), [(0.01, 0.1), (0.2, 0.2), (3.0, 0.5)])
async def test_a_model_that_answers_soon_is_asked_again_soon(
    autojump_clock: trio.testing.MockClock, answer_s: float, first_s: float
) -> None:
    limited = [RateLimited("slow down"), RateLimited("slow down")]

    async def answer(request: ModelRequest) -> Scripted:
        if prompt_of(request) == "second" and limited:
            return limited.pop()
        await trio.sleep(answer_s)
        return "fine"

    steps = Steps(scripted(answer))
    await steps.run("first")
    await steps.run("second")
    assert [each.wait_s for each in steps.told(StepRetried)] == pytest.approx([first_s, 2 * first_s])


@trio_test
async def test_a_wait_for_a_rate_limit_is_no_attempt_and_uses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    answers: Iterator[Scripted] = iter([*(RateLimited("slow down") for _ in range(4)), "fine"])
    steps = Steps(scripted(lambda request: next(answers)))
    outcome = await steps.run(retries=0)
    assert outcome.step.result == '"fine"'
    (attempt,) = attempts(outcome)
    assert (attempt.number, attempt.status, attempt.model) == (1, StepStatus.COMPLETED, "m")
    unhindered = await Steps(scripted(lambda request: "fine")).run()
    assert attempt.usage == outcome.step.usage == unhindered.step.usage != NO_USAGE
    assert outcome.step.usage.tokens == steps.budget.run.spent_tokens
    retried = steps.told(StepRetried)
    assert [(each.attempt, each.wait_s, each.error) for each in retried] == [
        (1, 0.5, "slow down"), (1, 1.0, "slow down"), (1, 2.0, "slow down"), (1, 4.0, "slow down"),
    ]  # fmt: skip
    assert trio.current_time() == 7.5


@trio_test
async def test_a_retry_after_is_waited_for_exactly_even_while_others_get_through(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked: list[tuple[float, str]] = []

    def answer(request: ModelRequest) -> Scripted:
        prompt = prompt_of(request)
        asked.append((trio.current_time(), prompt))
        refused = prompt == "held" and len(asked) == 1
        return RateLimited("slow down", retry_after_s=45.0) if refused else "ok"

    steps = Steps(scripted(answer))

    async def others() -> None:
        for _ in range(10):
            await steps.run("other")
            await trio.sleep(3)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(steps.run, "held")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(others)
    assert [at for at, prompt in asked if prompt == "held"] == [0.0, 45.0]


@trio_test
async def test_waits_in_queues_are_not_counted_against_the_time_limit_of_a_step(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Each takes 2 s of its 3 s; with one call at a time the last one waits for many times that."""
    refusals = iter([RateLimited("slow down", retry_after_s=60.0)] * 2)
    steps = Steps(scripted(lambda request: next(refusals, "ok"), latency_s=2.0), concurrency=1)
    outcomes = await steps.fan_out(["a", "b", "c", "d"], timeout_s=4.5)
    assert {outcome.step.status for outcome in outcomes} == {StepStatus.COMPLETED}
    assert trio.current_time() > 60


@trio_test
async def test_waiting_for_room_in_a_budget_is_not_counted_against_the_time_limit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps = Steps(scripted(lambda request: "ok", latency_s=2.0), limits=Limits(tokens=200))
    outcomes = await steps.fan_out(["a", "b", "c", "d"], timeout_s=3.0)
    assert {outcome.step.status for outcome in outcomes} == {StepStatus.COMPLETED}
    assert trio.current_time() == 8.0


@trio_test
async def test_the_time_limit_of_a_step_holds_for_its_work_after_a_wait(autojump_clock: trio.testing.MockClock) -> None:
    refusals = iter([RateLimited("slow down", retry_after_s=60.0)])
    steps = Steps(scripted(lambda request: next(refusals, "ok"), latency_s=2.0))
    outcome = await steps.run(timeout_s=3.0)
    assert outcome.step.status is StepStatus.TIMED_OUT
    assert trio.current_time() == 63.0


@trio_test
async def test_a_call_that_waits_for_a_rate_limit_holds_no_budget_and_no_place(
    autojump_clock: trio.testing.MockClock,
) -> None:
    answers: dict[str, Iterator[Scripted]] = {
        "first": iter([RateLimited("slow down", retry_after_s=60.0), "ok"]),
        "second": iter(["ok"]),
    }
    steps = Steps(scripted(lambda request: next(answers[prompt_of(request)])), limits=Limits(tokens=300), concurrency=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(steps.run, "first")
        await trio.testing.wait_all_tasks_blocked()
        assert steps.budget.run.reserved_tokens == 0
        with trio.fail_after(1):
            assert (await steps.run("second")).step.status is StepStatus.COMPLETED


@trio_test
async def test_a_limit_that_lets_nothing_through_for_two_minutes_is_given_up_with_how_often_and_how_long(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps = Steps(scripted(lambda request: RateLimited("slow down")))
    outcome = await steps.run(retries=5)
    fault = outcome.step.fault
    assert fault is not None
    assert fault.type == "RateLimited"
    assert fault.message == (
        "slow down; given up: turned away 10 times within 122 s, in which no call of m got through; "
        "try again later, or give the step another model to fall back to"
    )
    assert trio.current_time() == 121.5
    assert len(attempts(outcome)) == 1  # a limit that was given up is not retried


@trio_test
async def test_a_limit_is_not_given_up_while_other_calls_get_through(autojump_clock: trio.testing.MockClock) -> None:
    started = trio.current_time()

    def answer(request: ModelRequest) -> Scripted:
        refused = prompt_of(request) == "unlucky" and trio.current_time() < started + 1_000
        return RateLimited("slow down") if refused else "ok"

    steps = Steps(scripted(answer))

    async def others() -> None:
        for _ in range(20):
            await steps.run("other")
            await trio.sleep(50)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        assert (await steps.run("unlucky")).step.status is StepStatus.COMPLETED


@trio_test
async def test_a_few_long_waits_that_were_asked_for_are_not_given_up(autojump_clock: trio.testing.MockClock) -> None:
    answers: Iterator[Scripted] = iter([*(RateLimited("slow down", retry_after_s=300.0) for _ in range(5)), "fine"])
    steps = Steps(scripted(lambda request: next(answers)))
    assert (await steps.run()).step.result == '"fine"'
    assert trio.current_time() == 1_500.0


@trio_test
async def test_a_retry_after_beyond_ten_minutes_is_given_up_at_once(autojump_clock: trio.testing.MockClock) -> None:
    steps = Steps(scripted(lambda request: RateLimited("slow down", retry_after_s=3_600.0)))
    outcome = await steps.run()
    assert outcome.step.fault is not None
    assert "given up: 3,600 s is longer than any call waits" in outcome.step.fault.message
    assert trio.current_time() == 0.0


@trio_test
async def test_each_model_has_a_window_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    backend = scripted(lambda request: RateLimited("no") if request.model == "slow" else "ok", latency_s=1.0)
    steps = Steps(backend, concurrency=16)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: steps.fan_out([f"s{number}" for number in range(32)], model="slow"))
        await trio.sleep(30)
        backend.peak = 0
        await steps.fan_out([f"f{number}" for number in range(16)], model="fast")
        assert backend.peak >= 16
        nursery.cancel_scope.cancel()
    assert {event.model for event in steps.told(ModelSlowed)} == {"slow"}
