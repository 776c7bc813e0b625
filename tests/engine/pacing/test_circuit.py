"""A provider that is down is asked now and then, says so once, and is never an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import trio
import trio.testing
from trio.testing import trio_test

from tests.support.live_steps import Steps, attempts, prompt_of, scripted
from vibe_workflows.engine.backends.scripted import Scripted
from vibe_workflows.engine.circuit import FAILURES, Circuit
from vibe_workflows.engine.errors import ContextTooLong, ProviderError, RateLimited, Refused, SetupError, Timeout
from vibe_workflows.engine.events import ModelDown, ModelUp
from vibe_workflows.engine.model import ModelRequest, StepStatus


class Outage:
    """A model that is down from the first call until `ends_at`."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self.asked: list[float] = []

    def __call__(self, request: ModelRequest) -> Scripted:
        self.asked.append(trio.current_time())
        if trio.current_time() < self.ends_at:
            return ProviderError("answered 503", retryable=True)
        return prompt_of(request)


@trio_test
async def test_while_a_model_is_down_its_server_sees_one_call_each_cool_down(
    autojump_clock: trio.testing.MockClock,
) -> None:
    outage = Outage(ends_at=200.0)
    steps = Steps(scripted(outage))

    async def ask_on() -> None:
        while trio.current_time() < 240:
            await steps.run(retries=0)
            await trio.sleep(0.5)

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(ask_on)
    down = [at for at in outage.asked if at < outage.ends_at]
    assert down[:16] == [0.0] * 16  # were on their way together
    assert down[16:] == [5.0, 15.0, 35.0, 75.0, 135.0, 195.0]  # the cool-down doubles up to a minute


@trio_test
async def test_going_down_and_coming_up_are_told_once_each(autojump_clock: trio.testing.MockClock) -> None:
    outage = Outage(ends_at=30.0)
    steps = Steps(scripted(outage))
    while not steps.told(ModelUp):
        await steps.run(retries=0)
        await trio.sleep(1)
    (down,) = steps.told(ModelDown)
    assert (down.model, down.failures, down.wait_s, down.error) == ("m", FAILURES, 5.0, "answered 503")
    (up,) = steps.told(ModelUp)
    assert up.model == "m"
    assert (await steps.run()).step.status is StepStatus.COMPLETED


@trio_test
async def test_a_call_that_is_not_made_fails_at_once_and_says_since_when_why_and_when_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps = Steps(scripted(Outage(ends_at=1_000.0)))
    await steps.fan_out(["x"] * FAILURES, retries=0)
    await trio.sleep(2)
    asked = trio.current_time()
    outcome = await steps.run(retries=0)
    assert trio.current_time() == asked
    assert outcome.step.status is StepStatus.FAILED
    assert outcome.step.result is None
    fault = outcome.step.fault
    assert fault is not None
    assert (fault.type, fault.kind) == ("ProviderError", "provider_error")
    assert fault.message == (
        "m has been down for 2 s, so it was not called; it is asked again in 3 s; "
        "the last of 5 failures in a row: answered 503"
    )


@trio_test
async def test_the_retries_of_all_steps_meet_the_probe_and_go_on_when_it_succeeds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    outage = Outage(ends_at=3.0)
    steps = Steps(scripted(outage, latency_s=0.5))
    outcomes = await steps.fan_out([f"item {number}" for number in range(16)], retries=2)
    assert {outcome.step.status for outcome in outcomes} == {StepStatus.COMPLETED}
    assert [attempt.number for attempt in attempts(outcomes[0])] == [1, 2, 3]
    assert len(outage.asked) == 16 + 1 + 15


def _circuit() -> tuple[Circuit, list[str]]:
    told: list[str] = []
    circuit = Circuit(
        "m",
        went_down=lambda failures, wait_s, error: told.append(f"down {failures} {wait_s:g}"),
        came_up=lambda: told.append("up"),
    )
    return circuit, told


async def _admit(circuit: Circuit, *, patient: bool = True) -> bool:
    return await circuit.admit(nullcontext, patient=patient)


@trio_test
async def test_one_call_is_the_probe_and_the_others_wait_for_what_it_comes_to(
    autojump_clock: trio.testing.MockClock,
) -> None:
    circuit, told = _circuit()
    for _ in range(FAILURES):
        circuit.failed("503", probe=False)
    with pytest.raises(ProviderError) as caught:
        await _admit(circuit)
    assert caught.value.retryable
    assert caught.value.retry_after_s == 5.0
    await trio.sleep(5)
    assert await _admit(circuit)
    outcomes: list[object] = []

    async def another(patient: bool) -> None:
        try:
            outcomes.append(await _admit(circuit, patient=patient))
        except ProviderError as error:
            outcomes.append(error.retry_after_s)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(another, True)
        nursery.start_soon(another, True)
        nursery.start_soon(another, False)
        await trio.testing.wait_all_tasks_blocked()
        assert outcomes == [0.0]  # the one that had another model to go to
        circuit.failed("503", probe=True)
        circuit.probed()
    assert outcomes == [0.0, 10.0, 10.0]
    assert told == ["down 5 5"]
    await trio.sleep(10)
    assert await _admit(circuit)
    circuit.answered()
    circuit.probed()
    assert not await _admit(circuit)
    assert told == ["down 5 5", "up"]


@trio_test
async def test_a_probe_that_was_cancelled_makes_the_next_call_one(autojump_clock: trio.testing.MockClock) -> None:
    circuit, _ = _circuit()
    for _ in range(FAILURES):
        circuit.failed("503", probe=False)
    await trio.sleep(5)
    assert await _admit(circuit)
    probes: list[bool] = []

    async def another() -> None:
        probes.append(await _admit(circuit))
        circuit.answered()
        circuit.probed()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(another)
        nursery.start_soon(another)
        await trio.testing.wait_all_tasks_blocked()
        circuit.probed()
    assert probes == [True, False]


@trio_test
async def test_nobody_waits_for_a_probe_that_hangs_for_longer_than_half_a_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    circuit, _ = _circuit()
    for _ in range(FAILURES):
        circuit.failed("503", probe=False)
    await trio.sleep(5)
    assert await _admit(circuit)
    with pytest.raises(ProviderError, match="it is being asked again"):
        await _admit(circuit)
    assert trio.current_time() == 35.0


@trio_test
async def test_a_step_whose_probe_is_cancelled_leaves_the_circuit_usable(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hangs = True

    async def answer(request: ModelRequest) -> Scripted:
        if prompt_of(request) == "fails":
            return ProviderError("503", retryable=True)
        if hangs:
            await trio.sleep_forever()
        return "ok"

    steps = Steps(scripted(answer))
    await steps.fan_out(["fails"] * FAILURES, retries=0)
    await trio.sleep(5)
    with trio.move_on_after(1):
        await steps.run("probe")
    hangs = False
    assert (await steps.run("probe")).step.status is StepStatus.COMPLETED


_ANSWERS: list[Scripted] = [
    "ok",
    Refused("no"),
    ContextTooLong("too long"),
    SetupError("no such model"),
    ProviderError("answered 418"),
    RateLimited("slow down", retry_after_s=0.0),
]


@pytest.mark.parametrize("answer", _ANSWERS, ids=lambda answer: type(answer).__name__)
@trio_test
async def test_only_failures_in_a_row_of_the_kinds_that_mean_an_outage_open_the_circuit(
    autojump_clock: trio.testing.MockClock, answer: Scripted
) -> None:
    failing: list[Scripted] = [ProviderError("503", retryable=True), Timeout("504", retryable=True)]
    answers: Iterator[Scripted] = iter([*(failing * 2), answer, *(failing * 2), "ok", *(failing * 3)])
    steps = Steps(scripted(lambda request: next(answers)))
    for _ in range(9):
        await steps.run(retries=0)
    assert steps.told(ModelDown) == []
    for _ in range(6):
        await steps.run(retries=0)
    assert steps.told(ModelDown) != []


@trio_test
async def test_a_call_that_waited_for_its_turn_while_the_circuit_opened_is_not_made(
    autojump_clock: trio.testing.MockClock,
) -> None:
    outage = Outage(ends_at=1_000.0)
    steps = Steps(scripted(outage, latency_s=1.0), concurrency=1)
    outcomes = await steps.fan_out([f"item {number}" for number in range(20)], retries=0)
    assert len(outage.asked) == FAILURES
    assert all(outcome.step.fault is not None for outcome in outcomes)
    assert steps.metered.is_down("m")
    assert steps.budget.run.reserved_tokens == 0
