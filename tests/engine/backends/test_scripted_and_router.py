"""The scripted model on a fake clock, and the choice of a backend by a model's name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
import trio.testing
from trio.testing import trio_test

from tests.support.model_calls import ask
from vibe_workflows.engine.backends.offline import OfflineBackend
from vibe_workflows.engine.backends.router import BackendRouter
from vibe_workflows.engine.backends.scripted import Scripted, ScriptedBackend
from vibe_workflows.engine.errors import RateLimited
from vibe_workflows.engine.model import FinishReason, ModelInfo, ModelReply, ModelRequest


@trio_test
async def test_a_script_gives_texts_replies_and_errors_and_sees_every_request() -> None:
    whole = ModelReply(text="", finish=FinishReason.LENGTH, usage=None)
    answers: Iterator[Scripted] = iter(["text", whole, RateLimited("slow down")])
    backend = ScriptedBackend(lambda request: next(answers))
    pieces: list[str] = []
    first = await backend.complete(ask("one"), pieces.append)
    assert (first.text, first.finish, pieces) == ("text", FinishReason.STOP, ["text"])
    assert first.usage is not None
    assert first.usage.cost_microusd == first.usage.input_tokens + 2 * first.usage.output_tokens
    assert await backend.complete(ask("two"), pieces.append) is whole
    with pytest.raises(RateLimited):
        await backend.complete(ask("three"))
    assert pieces == ["text"]
    assert [request.messages[0].text for request in backend.requests] == ["one", "two", "three"]


@trio_test
async def test_a_script_may_be_async_and_may_raise() -> None:
    async def script(request: ModelRequest) -> str:
        await trio.lowlevel.checkpoint()
        if request.messages[0].text == "bad":
            raise RateLimited("slow down")
        return "good"

    backend = ScriptedBackend(script)
    assert (await backend.complete(ask())).text == "good"
    with pytest.raises(RateLimited):
        await backend.complete(ask("bad"))
    assert backend.in_flight == 0


@trio_test
async def test_latency_passes_on_a_fake_clock_and_calls_overlap(autojump_clock: trio.testing.MockClock) -> None:
    backend = ScriptedBackend(lambda request: "x", latency_s=3600.0)
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(backend.complete, ask())
    assert trio.current_time() - started == 3600.0
    assert (backend.peak, backend.in_flight) == (50, 0)


@pytest.fixture
def autojump_clock() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=0)


@trio_test
async def test_the_router_goes_by_the_first_part_of_the_name() -> None:
    live, local = ScriptedBackend(lambda request: "live"), ScriptedBackend(lambda request: "local")
    router = BackendRouter({"offline": OfflineBackend(), "local": local}, live)
    texts = {}
    for model in ("offline", "offline/x", "offliner", "local/m", "openai/gpt-5", "gpt-5", "openai/local"):
        texts[model] = (await router.complete(ask(model=model))).text.split()[0]
    assert texts == {
        "offline": "[offline]",
        "offline/x": "[offline]",
        "offliner": "live",
        "local/m": "local",
        "openai/gpt-5": "live",
        "gpt-5": "live",
        "openai/local": "live",
    }
    assert (await router.info("offline")).input_price == 0.0
    assert await router.count_tokens(ask(model="offline")) == await OfflineBackend().count_tokens(ask(model="offline"))


@trio_test
async def test_closing_the_router_closes_every_backend_also_when_one_fails() -> None:
    class Failing(ScriptedBackend):
        async def aclose(self) -> None:
            raise OSError("no")

    one, two = ScriptedBackend(lambda request: ""), ScriptedBackend(lambda request: "")
    with pytest.raises(OSError, match="no"):
        await BackendRouter({"a": one, "b": Failing(lambda request: ""), "c": one}, two).aclose()
    assert one.closed
    assert two.closed


@trio_test
async def test_a_scripted_model_without_prices_has_no_cost() -> None:
    backend = ScriptedBackend(lambda request: "x", info=ModelInfo(input_price=None, output_price=None))
    reply = await backend.complete(ask())
    assert reply.usage is not None
    assert reply.usage.cost_microusd is None
