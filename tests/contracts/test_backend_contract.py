"""What every ModelBackend keeps: the fake ones and the real one pass the same suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio

from tests.support.behaviours import Hang
from tests.support.model_calls import TEST_MODEL, ask, open_litellm
from tests.support.model_server import ModelServer
from tests.support.model_server_plugin import model_server as model_server
from vibe_workflows.engine.backends.offline import OfflineBackend
from vibe_workflows.engine.backends.priced import PricedBackend
from vibe_workflows.engine.backends.remembering import RememberingBackend
from vibe_workflows.engine.backends.router import BackendRouter
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.model import FinishReason, ModelInfo, ModelRequest
from vibe_workflows.engine.ports import ModelBackend
from vibe_workflows.engine.prices import ModelPrice

# pytest undoes the filters that litellm sets for what pydantic says of its types.
pytestmark = pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)")

Opened = AbstractAsyncContextManager[tuple[ModelBackend, str]]
Open = Callable[[], Opened]


@asynccontextmanager
async def _offline() -> AsyncIterator[tuple[ModelBackend, str]]:
    yield OfflineBackend(), "offline/any"


@asynccontextmanager
async def _scripted() -> AsyncIterator[tuple[ModelBackend, str]]:
    async def script(request: ModelRequest) -> str:
        if "stay silent" in request.messages[-1].text:
            await trio.sleep_forever()
        return f"answer to {request.messages[-1].text}"

    yield ScriptedBackend(script), "scripted"


@asynccontextmanager
async def _routed() -> AsyncIterator[tuple[ModelBackend, str]]:
    async with _scripted() as (backend, _):
        routed = BackendRouter({"x": backend}, OfflineBackend())
        price = ModelPrice(input=1, output=1, cached=1, cache_write=1)
        yield RememberingBackend(PricedBackend(routed, {"x/model": price})), "x/model"  # as a run has it


@pytest.fixture(params=["offline", "scripted", "router", TEST_MODEL, "deepseek/test", "anthropic/claude-sonnet-4-5"])
def opened(request: pytest.FixtureRequest, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Open:
    model: str = request.param

    @asynccontextmanager
    async def litellm() -> AsyncIterator[tuple[ModelBackend, str]]:
        monkeypatch.setenv(f"{model.partition('/')[0].upper()}_API_KEY", "sk-test-0123456789abcdef")
        model_server.handler = lambda seen: Hang(text="x") if "stay silent" in str(seen.body) else None
        async with open_litellm(model_server.url) as backend:
            yield backend, model

    kinds: dict[str, Open] = {"offline": _offline, "scripted": _scripted, "router": _routed}
    return kinds.get(model, litellm)


def test_a_call_gives_a_whole_reply_and_its_text_in_order(opened: Open) -> None:
    async def scenario() -> None:
        async with opened() as (backend, model):
            pieces: list[str] = []
            reply = await backend.complete(ask("question", model=model), pieces.append)
            assert reply.text
            assert "".join(pieces) == reply.text
            assert reply.finish is FinishReason.STOP
            assert reply.tool_requests == ()
            assert reply.usage is None or reply.usage.tokens > 0
            assert (await backend.complete(ask("question", model=model))).text == reply.text

    trio.run(scenario)


def test_many_calls_at_once_keep_their_answers_apart(opened: Open) -> None:
    async def scenario() -> None:
        texts: dict[str, str] = {}
        async with opened() as (backend, model):

            async def call(prompt: str) -> None:
                texts[prompt] = (await backend.complete(ask(prompt, model=model))).text

            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(call, f"prompt {number}")
        assert len(set(texts.values())) == 20

    trio.run(scenario)


def test_what_is_known_of_a_model_and_a_count_come_without_a_call(opened: Open, model_server: ModelServer) -> None:
    async def scenario() -> None:
        async with opened() as (backend, model):
            assert isinstance(backend.name, str)
            assert isinstance(await backend.info(model), ModelInfo)
            short, long = ask("a", model=model), ask("a" * 1000, model=model)
            assert 0 < await backend.count_tokens(short) < await backend.count_tokens(long)
        assert model_server.requests == []

    trio.run(scenario)


def test_a_cancelled_call_ends_and_leaves_the_backend_usable(opened: Open) -> None:
    async def scenario() -> None:
        async with opened() as (backend, model):
            with trio.CancelScope() as scope:
                scope.cancel()
                await backend.complete(ask("stay silent", model=model))
            assert scope.cancelled_caught
            assert (await backend.complete(ask("go on", model=model))).text

    trio.run(scenario)


def test_a_call_that_waits_can_be_cancelled(opened: Open) -> None:
    async def scenario() -> None:
        async with opened() as (backend, model):
            if backend.name == "offline":
                return  # it answers at once, whatever it is asked
            with trio.move_on_after(0.05) as scope:
                await backend.complete(ask("stay silent", model=model))
            assert scope.cancelled_caught

    trio.run(scenario)


def test_closing_is_safe_before_any_call_and_twice(opened: Open) -> None:
    async def scenario() -> None:
        async with opened() as (backend, model):
            await backend.aclose()
            await backend.complete(ask(model=model))
            await backend.aclose()
            await backend.aclose()

    trio.run(scenario)
