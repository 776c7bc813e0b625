"""One call of a fan-out is sent ahead where its calls share a long prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import trio
import trio.testing
from trio.testing import trio_test

from tests.support.live_steps import Steps, prompt_of, scripted
from vibe_workflows.engine.backends.scripted import Scripted, ScriptedBackend
from vibe_workflows.engine.errors import ProviderError, RateLimited
from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, StepStatus, ToolRequest

LONG = "All work and no play. " * 250  # about 1,570 tokens
FIRST_PIECE_S = 2.0
WHOLE_S = 10.0


class Streaming(ScriptedBackend):
    """The first piece of an answer arrives after 2 s, the rest after 10."""

    def __init__(self, *, broken: int = 0) -> None:
        """The first `broken` calls give nothing, and fail in the end."""
        super().__init__(self._answer, latency_s=WHOLE_S - FIRST_PIECE_S)
        self._broken = broken
        self._failures = broken
        self.times: list[float] = []  # when calls came

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        self.times.append(trio.current_time())
        broken = len(self.times) <= self._broken
        await trio.sleep(FIRST_PIECE_S)
        if on_text is not None and not broken:
            on_text("piece")
        return await super().complete(request, on_text)

    def _answer(self, request: ModelRequest) -> Scripted:
        self._failures -= 1
        return ProviderError("503") if self._failures >= 0 else "answer"


@trio_test
async def test_the_first_call_goes_ahead_and_the_others_follow_its_first_piece(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backend = Streaming()
    await Steps(backend).fan_out(list("abcd"), context=LONG)
    assert backend.times == [0.0, FIRST_PIECE_S, FIRST_PIECE_S, FIRST_PIECE_S]


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        ({}, {"context": LONG[:3_000]}),  # too short for a cache
        ({}, {"context": ""}),
        ({"prefix_warmup": False}, {"context": LONG}),
    ],
    ids=["short", "none", "off"],
)
@trio_test
async def test_nobody_waits_where_nothing_is_to_be_gained_or_it_is_switched_off(
    autojump_clock: trio.testing.MockClock, options: dict[str, bool], spec: dict[str, str]
) -> None:
    backend = Streaming()
    await Steps(backend, **options).fan_out(list("abcd"), **spec)  # type: ignore[arg-type]
    assert backend.times == [0.0] * 4


@trio_test
async def test_the_system_prompt_counts_towards_the_length_and_is_part_of_the_prefix(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backend = Streaming()
    steps = Steps(backend)

    async def pair(system: str) -> None:
        await steps.fan_out(["a", "b"], context=LONG[:3_000], system=system)

    async with trio.open_nursery() as nursery:
        for system in ("x" * 3_000, "y" * 3_000):
            nursery.start_soon(pair, system)
    assert sorted(backend.times) == [0.0, 0.0, FIRST_PIECE_S, FIRST_PIECE_S]


@trio_test
async def test_another_model_or_context_is_another_prefix(autojump_clock: trio.testing.MockClock) -> None:
    backend = Streaming()
    steps = Steps(backend)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: steps.run("a", context=LONG))
        nursery.start_soon(lambda: steps.run("b", context=LONG, model="other"))
        nursery.start_soon(lambda: steps.run("c", context=LONG + "!"))
    assert backend.times == [0.0] * 3


@trio_test
async def test_a_prefix_stays_warm_for_four_minutes_after_its_last_use(autojump_clock: trio.testing.MockClock) -> None:
    backend = Streaming()
    steps = Steps(backend)
    for pause in (0.0, 200.0, 229.0, 241.0):
        await trio.sleep(pause)
        backend.times.clear()
        before = trio.current_time()
        await steps.fan_out(list("abc"), context=LONG)
        cold = pause in (0.0, 241.0)
        assert [at - before for at in backend.times] == ([0.0, 2.0, 2.0] if cold else [0.0, 0.0, 0.0])


@trio_test
async def test_an_answer_that_only_asks_for_tools_warms_the_prefix_at_its_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asks = ModelReply(
        text="",
        finish=FinishReason.TOOL_CALLS,
        usage=None,
        tool_requests=(ToolRequest(id="t1", name="no_such_tool", arguments="{}"),),
    )
    backend = scripted(lambda request: asks if len(request.messages) == 1 else "fine", latency_s=5.0)
    await Steps(backend).fan_out(["a", "b", "c"], context=LONG)
    assert len(backend.requests) == 6
    assert trio.current_time() == 15.0  # one turn of the first, then two of the others


@trio_test
async def test_when_the_one_ahead_fails_the_next_goes_ahead(autojump_clock: trio.testing.MockClock) -> None:
    backend = Streaming(broken=2)
    outcomes = await Steps(backend).fan_out(list("abcd"), context=LONG, retries=0)
    assert backend.times == [0.0, 10.0, 20.0, 22.0]
    assert sorted(outcome.step.status.value for outcome in outcomes) == ["completed", "completed", "failed", "failed"]


@trio_test
async def test_when_the_one_ahead_is_turned_away_the_next_goes_ahead(autojump_clock: trio.testing.MockClock) -> None:
    answers: Iterator[Scripted] = iter([RateLimited("slow down", retry_after_s=60.0)])
    backend = scripted(lambda request: next(answers, "fine"), latency_s=1.0)
    outcomes = await Steps(backend).fan_out(list("abc"), context=LONG)
    assert {outcome.step.status for outcome in outcomes} == {StepStatus.COMPLETED}
    asked = [prompt_of(request)[-1] for request in backend.requests]
    assert asked[0] == asked[-1]
    assert len(set(asked[1:])) == 3
    assert trio.current_time() == 62.0


@trio_test
async def test_when_the_one_ahead_is_cancelled_the_next_goes_ahead(autojump_clock: trio.testing.MockClock) -> None:
    backend = scripted(lambda request: "fine", latency_s=5.0)
    steps = Steps(backend)
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def ahead() -> None:
            with scope:
                await steps.run("a", context=LONG)

        nursery.start_soon(ahead)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(lambda: steps.fan_out(["b", "c"], context=LONG))
        await trio.testing.wait_all_tasks_blocked()
        assert len(backend.requests) == 1
        await trio.sleep(1)
        scope.cancel()
    assert trio.current_time() == 1.0 + 5.0 + 5.0


@trio_test
async def test_waiting_for_a_prefix_is_not_counted_against_the_time_limit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backend = scripted(lambda request: "fine", latency_s=5.0)
    outcomes = await Steps(backend).fan_out(list("abc"), context=LONG, timeout_s=6.0)
    assert {outcome.step.status for outcome in outcomes} == {StepStatus.COMPLETED}
    assert trio.current_time() == 10.0


@trio_test
async def test_a_call_without_others_never_waits(autojump_clock: trio.testing.MockClock) -> None:
    backend = scripted(lambda request: "fine", latency_s=5.0)
    await Steps(backend).run("a", context=LONG)
    assert trio.current_time() == 5.0
