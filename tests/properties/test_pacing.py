"""Calls of one model under random answers and cancellations: each ends, and none leaves a place taken."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.support.live_steps import Steps, prompt_of, scripted
from vibe_workflows.engine.backends.scripted import Scripted
from vibe_workflows.engine.errors import ProviderError, RateLimited, Refused, Timeout
from vibe_workflows.engine.model import ModelRequest, StepStatus
from vibe_workflows.engine.pacing import Outcome, Place, Window
from vibe_workflows.engine.ports import Limits
from vibe_workflows.engine.time_limit import Paused

LONG = "All work and no play. " * 250


@dataclass(frozen=True)
class Caller:
    starts: float
    cancelled_after: float | None
    timeout: float
    warmed: bool
    outcomes: tuple[tuple[str, float], ...]  # of its calls, and how long each takes; then it is answered


calls = st.tuples(
    st.sampled_from(["answer", "limited", "limited for 3 s", "503", "504", "refused"]),
    st.sampled_from([0.0, 0.1, 1.0, 5.0]),
)
callers = st.lists(
    st.builds(
        Caller,
        starts=st.sampled_from([0.0, 0.0, 0.5, 4.0]),
        cancelled_after=st.none() | st.sampled_from([0.0, 0.1, 1.0, 6.0]),
        timeout=st.sampled_from([0.5, 20.0]),
        warmed=st.booleans(),
        outcomes=st.lists(calls, max_size=4).map(tuple),
    ),
    min_size=1,
    max_size=24,
)


def _scripted(kind: str) -> Scripted:
    match kind:
        case "limited":
            return RateLimited("slow down")
        case "limited for 3 s":
            return RateLimited("slow down", retry_after_s=3.0)
        case "503":
            return ProviderError("503", retryable=True)
        case "504":
            return Timeout("504", retryable=True)
        case "refused":
            return Refused("no")
    return "answer"


@given(callers, st.integers(1, 6), st.sampled_from([None, 400, 3_000, 100_000]))
def test_every_step_is_answered_or_fails_by_its_type_and_nothing_stays_taken(
    wanted: list[Caller], concurrency: int, tokens: int | None
) -> None:
    async def main() -> None:
        left = [list(caller.outcomes) for caller in wanted]

        async def answer(request: ModelRequest) -> Scripted:
            mine = left[int(number)] if (number := prompt_of(request).rpartition(" ")[2]) else []
            kind, takes = mine.pop(0) if mine else ("answer", 1.0)
            await trio.sleep(takes)
            return _scripted(kind)

        backend = scripted(answer)
        steps = Steps(backend, concurrency=concurrency, limits=Limits(tokens=tokens))
        ended: dict[int, str] = {}

        async def one(number: int, caller: Caller) -> None:
            await trio.sleep(caller.starts)
            context = LONG if caller.warmed else ""
            with trio.move_on_after(caller.cancelled_after or 1_000.0) as scope:
                outcome = await steps.run(f"caller {number}", timeout_s=caller.timeout, context=context)
                fault = outcome.step.fault
                ended[number] = fault.type if fault is not None else outcome.step.status.value
            if scope.cancelled_caught:
                assert caller.cancelled_after is not None
                ended[number] = "cancelled"

        with trio.fail_after(2_000):
            async with trio.open_nursery() as nursery:
                for number, caller in enumerate(wanted):
                    nursery.start_soon(one, number, caller)
        assert len(ended) == len(wanted)
        kinds = {"cancelled", StepStatus.COMPLETED.value, "ProviderError", "Timeout", "Refused", "BudgetExceeded"}
        assert set(ended.values()) <= kinds
        assert backend.peak <= concurrency
        assert backend.in_flight == 0
        run = steps.budget.run
        assert (run.reserved_tokens, run.reserved_microusd) == (0, 0)
        await _still_serves(steps, concurrency)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def _still_serves(steps: Steps, concurrency: int) -> None:
    """After all that, so many calls can be in flight as the window is wide, the circuit is free and no prefix led."""
    model = await steps.metered.model("m")
    assert model.window.in_flight == 0
    assert 1 <= model.window.width <= concurrency
    await trio.sleep(100)
    steps.budget.run.limits = Limits()
    with trio.fail_after(100):
        for context in ("", LONG):
            outcomes = await steps.fan_out(["new "] * (concurrency + 1), context=context)
            assert {outcome.step.status for outcome in outcomes} == {StepStatus.COMPLETED}


class _Checked(Window):
    """Checks the invariant at each change: no call enters beyond the width, and none waits while there is room."""

    async def enter(self, paused: Paused, *, again: bool) -> Place:
        room = self.in_flight < self.width
        place = await super().enter(paused, again=again)
        assert not room or self.in_flight <= self.width
        return place

    def leave(self, place: Place, outcome: Outcome) -> None:
        before = self.in_flight
        super().leave(place, outcome)
        assert 0 <= self.in_flight <= max(self.width, before - 1)
        assert self.in_flight >= self.width or not (self._again or self._fresh)


@given(
    st.integers(1, 8),
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.0, 1.0, 2.5]),
            st.sampled_from([0.01, 0.5, 2.0]),
            st.sampled_from(list(Outcome)),
            st.none() | st.sampled_from([0.0, 0.5, 1.0]),
            st.booleans(),
        ),
        max_size=120,
    ),
)
def test_in_flight_never_exceeds_the_window_and_none_waits_while_there_is_room(
    ceiling: int, wanted: list[tuple[float, float, Outcome, float | None, bool]]
) -> None:
    async def main() -> None:
        window = _Checked(ceiling, lambda width: None)

        async def one(starts: float, takes: float, outcome: Outcome, cancelled: float | None, again: bool) -> None:
            await trio.sleep(starts)
            with trio.move_on_after(1_000 if cancelled is None else cancelled):
                place = await window.enter(nullcontext, again=again)
                try:
                    await trio.sleep(takes)
                finally:
                    window.leave(place, outcome)

        with trio.fail_after(2_000):
            async with trio.open_nursery() as nursery:
                for each in wanted:
                    nursery.start_soon(one, *each)
        assert window.in_flight == 0
        assert 1 <= window.width <= ceiling

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
