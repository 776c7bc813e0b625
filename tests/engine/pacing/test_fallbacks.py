"""A model that failed a step for good is followed by the next one, which goes on with the same conversation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing
from trio.testing import trio_test

from tests.support.live_steps import Steps, attempts, scripted
from vibe_workflows.engine.backends.router import BackendRouter
from vibe_workflows.engine.backends.scripted import Scripted, ScriptedBackend
from vibe_workflows.engine.errors import (
    AgentError,
    BudgetExceeded,
    ContextTooLong,
    ProviderError,
    RateLimited,
    Refused,
    SchemaMismatch,
    SetupError,
    Timeout,
    Truncated,
    TurnLimit,
)
from vibe_workflows.engine.events import ModelDown, StepFellBack, StepRetried, Warned
from vibe_workflows.engine.live_step import StepOutcome
from vibe_workflows.engine.model import (
    FinishReason,
    ModelInfo,
    ModelReply,
    ModelRequest,
    Role,
    StepStatus,
    ToolRequest,
    Turn,
)


def by_model(**answers: Callable[[], Scripted]) -> Callable[[ModelRequest], Scripted]:
    return lambda request: answers[request.model]()


def says(error: AgentError) -> Callable[[], Scripted]:
    return lambda: error


def ok() -> Scripted:
    return "ok"


def _fault(outcome: StepOutcome) -> str:
    assert outcome.step.fault is not None
    return outcome.step.fault.type


@trio_test
async def test_models_are_tried_in_order_each_with_fresh_attempts_and_rows_say_which(
    autojump_clock: trio.testing.MockClock,
) -> None:
    down = ProviderError("503", retryable=True)
    backend = scripted(by_model(a=says(down), b=says(Timeout("504", retryable=True)), c=ok))
    steps = Steps(backend)
    outcome = await steps.run(model="a", fallbacks=("b", "c"), retries=1)
    assert (outcome.step.status, outcome.step.model) == (StepStatus.COMPLETED, "c")
    assert [(each.number, each.model, each.status.value) for each in attempts(outcome)] == [
        (1, "a", "failed"), (2, "a", "failed"), (3, "b", "failed"), (4, "c", "completed"),
    ]  # fmt: skip
    (turn,) = [record for record in outcome.records if isinstance(record, Turn)]
    assert (turn.model, turn.attempt) == ("c", 4)
    fell = steps.told(StepFellBack)
    assert [(each.failed, each.model, each.error) for each in fell] == [("a", "b", "503"), ("b", "c", "504")]
    assert [(each.attempt, each.wait_s) for each in steps.told(StepRetried)] == [(1, 0.5)]


@trio_test
async def test_a_model_that_is_silent_leaves_time_for_each_of_the_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def silent(request: ModelRequest) -> Scripted:
        if request.model == "c":
            return "ok"
        await trio.sleep(request.timeout_s)
        return Timeout("no answer in time", retryable=True)

    outcome = await Steps(scripted(silent)).run(model="a", fallbacks=("b", "c"), timeout_s=90.0, retries=2)
    assert (outcome.step.status, outcome.step.model) == (StepStatus.COMPLETED, "c")
    assert [each.model for each in attempts(outcome)] == ["a", "b", "c"]
    assert trio.current_time() == pytest.approx(60)  # a third of all, then half of the rest


@trio_test
async def test_a_fallback_that_cannot_be_served_is_skipped_and_told_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class NoKey(ScriptedBackend):
        async def info(self, model: str) -> ModelInfo:
            if model == "b":
                raise SetupError("b: set B_API_KEY")
            return await super().info(model)

    backend = NoKey(by_model(a=says(ProviderError("503", retryable=False)), c=ok))
    steps = Steps(backend)
    for _ in range(2):
        assert (await steps.run(model="a", fallbacks=("b", "c"))).step.model == "c"
    (warned,) = steps.told(Warned)
    assert "b cannot be fallen back on" in warned.message
    last = await steps.run(model="a", fallbacks=("b",))
    assert last.step.fault is not None
    assert last.step.fault.message == "503"


@trio_test
async def test_the_next_model_goes_on_with_the_finished_turns(autojump_clock: trio.testing.MockClock) -> None:
    calls: list[ModelRequest] = []

    def answer(request: ModelRequest) -> Scripted:
        calls.append(request)
        if request.model == "b":
            return "ok"
        if len(calls) > 1:
            return ProviderError("503", retryable=False)
        asked = ToolRequest(id="call00001", name="no_such_tool", arguments="{}")
        return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=None, tool_requests=(asked,), model="a")

    outcome = await Steps(scripted(answer)).run(model="a", fallbacks=("b",))
    assert outcome.step.turns == 2
    assert [message.role for message in calls[-1].messages] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert [message.text for message in calls[-1].messages] == [message.text for message in calls[-2].messages]


@trio_test
async def test_a_rate_limit_that_was_given_up_falls_back(autojump_clock: trio.testing.MockClock) -> None:
    limited = RateLimited("slow down", retry_after_s=3_600.0)
    outcome = await Steps(scripted(by_model(a=says(limited), b=ok))).run(model="a", fallbacks=("b",))
    assert outcome.step.model == "b"
    assert trio.current_time() == 0.0


@trio_test
async def test_a_model_that_is_down_is_not_waited_for_where_another_can_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backend = scripted(by_model(a=says(ProviderError("503", retryable=True)), b=ok))
    steps = Steps(backend)
    await steps.fan_out(["x"] * 5, model="a", retries=0)
    assert steps.told(ModelDown)
    before = trio.current_time()
    outcome = await steps.run(model="a", fallbacks=("b",), retries=2)
    assert outcome.step.model == "b"
    assert trio.current_time() == before
    assert [each.model for each in attempts(outcome)] == ["a", "b"]
    assert [request.model for request in backend.requests].count("a") == 5


@trio_test
async def test_a_probe_under_way_is_not_waited_for_where_another_can_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def answer(request: ModelRequest) -> Scripted:
        if request.model == "b":
            return "ok"
        if trio.current_time() >= 5:
            await trio.sleep_forever()
        return ProviderError("503", retryable=True)

    steps = Steps(scripted(answer))
    await steps.fan_out(["x"] * 5, model="a", retries=0)
    await trio.sleep(5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: steps.run("probe", model="a"))
        await trio.testing.wait_all_tasks_blocked()
        before = trio.current_time()
        assert (await steps.run(model="a", fallbacks=("b",))).step.model == "b"
        assert trio.current_time() == before
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_model_that_goes_down_during_the_retries_is_left_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backend = scripted(by_model(a=says(ProviderError("503", retryable=True)), b=ok))
    outcomes = await Steps(backend).fan_out(["x"] * 16, model="a", fallbacks=("b",), retries=8)
    assert {outcome.step.model for outcome in outcomes} == {"b"}
    assert trio.current_time() < 1.0


@pytest.mark.parametrize(
    "error", [Refused("no"), Truncated("cut"), SchemaMismatch("x"), TurnLimit("30"), SetupError("no key")], ids=repr
)
@trio_test
async def test_an_error_that_another_model_would_not_mend_stays(
    autojump_clock: trio.testing.MockClock, error: Exception
) -> None:
    outcome = await Steps(scripted(by_model(a=lambda: error, b=ok))).run(model="a", fallbacks=("b",))
    assert _fault(outcome) == type(error).__name__
    assert outcome.step.model == "a"


@trio_test
async def test_a_budget_that_is_used_up_stays(autojump_clock: trio.testing.MockClock) -> None:
    exceeded = BudgetExceeded("no room", scope="x", unit="tokens", needed=1, left=0)
    outcome = await Steps(scripted(by_model(a=lambda: exceeded, b=ok))).run(model="a", fallbacks=("b",))
    assert _fault(outcome) == "BudgetExceeded"


@pytest.mark.parametrize(
    ("windows", "answers"),
    [
        ((1_000, 500, 2_000), "c"),  # the smaller one is passed over
        ((1_000, 1_000, None), "c"),
        ((1_000, None, 2_000), "b"),
        ((None, 500, 2_000), "b"),  # nobody knows that it is smaller
        ((1_000, 500, 1_000), None),
    ],
)
@trio_test
async def test_a_prompt_that_is_too_long_goes_to_a_model_that_may_take_more(
    autojump_clock: trio.testing.MockClock, windows: tuple[int | None, ...], answers: str | None
) -> None:
    def backend(name: str, window: int | None) -> tuple[str, object]:
        info = ModelInfo(input_price=1.0, output_price=1.0, max_input_tokens=window)
        return name, scripted(lambda request: ContextTooLong("too long") if name == "a" else "ok", info=info)

    routes = dict(backend(name, window) for name, window in zip("abc", windows, strict=True))
    outcome = await Steps(BackendRouter(routes, scripted(lambda request: "no"))).run(  # type: ignore[arg-type]
        model="a", fallbacks=("b", "c")
    )
    if answers is None:
        assert _fault(outcome) == "ContextTooLong"
    else:
        assert outcome.step.model == answers


@trio_test
async def test_the_last_error_is_the_steps_where_all_models_failed(autojump_clock: trio.testing.MockClock) -> None:
    backend = scripted(by_model(a=says(ProviderError("first")), b=says(ProviderError("second"))))
    outcome = await Steps(backend).run(model="a", fallbacks=("b",))
    assert outcome.step.fault is not None
    assert outcome.step.fault.message == "second"
    assert outcome.step.model == "b"
