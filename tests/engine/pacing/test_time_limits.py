"""The seconds of a budget are a hard limit: nothing new starts, and nothing under way goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing
from trio.testing import trio_test

from tests.support.live_steps import Steps, attempts, scripted
from vibe_workflows.engine.errors import ProviderError, RateLimited
from vibe_workflows.engine.live_step import StepOutcome
from vibe_workflows.engine.model import ModelRequest, StepStatus
from vibe_workflows.engine.ports import Limits
from vibe_workflows.engine.time_limit import TimeLimit


def _out_of_seconds(outcome: StepOutcome) -> None:
    assert outcome.step.status is StepStatus.FAILED
    fault = outcome.step.fault
    assert fault is not None
    assert fault.type == "BudgetExceeded"
    assert fault.fields["unit"] == "seconds"
    assert "10.0 s have passed of 10.0 s" in fault.message


@trio_test
async def test_calls_in_flight_end_with_the_seconds_of_the_run_and_are_counted_as_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backend = scripted(lambda request: "late", latency_s=3_600.0)
    steps = Steps(backend, limits=Limits(seconds=10.0))
    for outcome in await steps.fan_out(list("abc")):
        _out_of_seconds(outcome)
    assert trio.current_time() == 10.0
    assert backend.in_flight == 0
    assert steps.budget.run.reserved_tokens == 0
    assert steps.budget.run.spent_tokens > 0
    _out_of_seconds(await steps.run())
    assert len(backend.requests) == 3


def _limited(request: ModelRequest) -> Exception:
    return RateLimited("slow down", retry_after_s=60.0)


def _failing(request: ModelRequest) -> Exception:
    return ProviderError("503", retryable=True, retry_after_s=60.0)


@pytest.mark.parametrize("answer", [_limited, _failing])
@trio_test
async def test_waits_end_with_the_seconds_too(
    autojump_clock: trio.testing.MockClock, answer: Callable[[ModelRequest], Exception]
) -> None:
    steps = Steps(scripted(answer), limits=Limits(seconds=10.0))
    _out_of_seconds(await steps.run())
    assert trio.current_time() == 10.0


@trio_test
async def test_the_queue_for_a_place_ends_with_the_seconds_too(autojump_clock: trio.testing.MockClock) -> None:
    steps = Steps(scripted(lambda request: "late", latency_s=3_600.0), limits=Limits(seconds=10.0), concurrency=1)
    for outcome in await steps.fan_out(list("abc")):
        _out_of_seconds(outcome)
    assert trio.current_time() == 10.0


@trio_test
async def test_the_nearest_end_of_all_scopes_counts_and_is_named(autojump_clock: trio.testing.MockClock) -> None:
    steps = Steps(scripted(lambda request: "late", latency_s=3_600.0), limits=Limits(seconds=1_000.0))
    phase = steps.budget.open("phase 'One'", Limits(seconds=10.0), steps.budget.run)
    inner = steps.budget.open("inner", Limits(seconds=500.0), phase)
    outcome = await steps.run(scope=inner)
    _out_of_seconds(outcome)
    assert outcome.step.fault is not None
    assert outcome.step.fault.fields["scope"] == "phase 'One'"
    assert (await steps.run(timeout_s=5.0)).step.status is StepStatus.TIMED_OUT  # the run's own go on


@trio_test
async def test_an_attempt_that_was_cut_off_is_a_row_that_ended_as_its_step_did(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps = Steps(scripted(lambda request: "late", latency_s=3_600.0), limits=Limits(seconds=10.0))
    for outcome in (await steps.run(timeout_s=5.0), await steps.run()):
        (attempt,) = attempts(outcome)
        assert (attempt.status, attempt.fault) == (outcome.step.status, outcome.step.fault)
        assert attempt.usage == outcome.step.usage
        assert attempt.usage.tokens > 0  # it was sent


@trio_test
async def test_a_time_limit_stands_still_while_it_is_paused(autojump_clock: trio.testing.MockClock) -> None:
    limit = TimeLimit(5.0)
    with limit.running() as scope:
        await trio.sleep(3)
        with limit.paused():
            await trio.sleep(100)
        await trio.sleep(3)
    assert scope.cancelled_caught
    assert trio.current_time() == 105.0
