"""Cancelling a call: the connection is closed before the cancelled call returns."""

from __future__ import annotations

import psutil
import pytest
import trio
from trio.testing import trio_test

from tests.support.behaviours import Behaviour, Hang
from tests.support.model_calls import LITELLM_WARNINGS, ask, open_litellm
from tests.support.model_server import ModelServer
from vibe_workflows.engine.errors import ProviderError, Timeout

pytestmark = LITELLM_WARNINGS


MODELS = ["openai/test-model", "deepseek/test", "anthropic/claude-sonnet-4-5"]


def _connections_to(server: ModelServer) -> int:
    """This process's client sockets to the server, by the kernel's account at this moment."""
    mine = psutil.Process().net_connections("tcp")
    established = [one for one in mine if one.status == psutil.CONN_ESTABLISHED]  # the others may have no peer
    return sum(one.raddr.port == server.port for one in established)


@pytest.mark.parametrize("behaviour", [Hang(), Hang(text="a partial answer")], ids=["before headers", "in mid-stream"])
@pytest.mark.parametrize("model", MODELS)
def test_a_cancelled_call_has_closed_its_connection_when_it_returns(
    model_server: ModelServer, behaviour: Hang, model: str
) -> None:
    @trio_test
    async def scenario() -> None:
        model_server.behave(behaviour)
        heard = ""

        async def call() -> None:
            nonlocal heard

            def on_text(text: str) -> None:
                nonlocal heard
                heard += text
                if heard == behaviour.text:
                    complete.set()

            await backend.complete(ask(model=model), on_text)

        complete = trio.Event()
        async with open_litellm(model_server.url) as backend:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await model_server.until_requests(1)
                if behaviour.text:
                    await complete.wait()
                assert _connections_to(model_server) == 1
                nursery.cancel_scope.cancel()
            assert _connections_to(model_server) == 0
            [closed] = await model_server.until_closed(1)
        assert (closed.by, closed.request) == ("client", 1)

    scenario()


@pytest.mark.parametrize("model", MODELS)
def test_the_time_limit_of_a_request_closes_its_connection_too(model_server: ModelServer, model: str) -> None:
    @trio_test
    async def scenario() -> None:
        limits = (0.2, 2.0, 20.0)
        model_server.behave(*[Hang(text="partial")] * len(limits))
        async with open_litellm(model_server.url) as backend:
            for timeout_s in limits:
                with pytest.raises(Timeout, match="no answer within"):
                    await backend.complete(ask(model=model, timeout_s=timeout_s))
                if model_server.requests:  # else the time was up before the request arrived, on a busy machine
                    break
            assert _connections_to(model_server) == 0
            closes = await model_server.until_closed(1)
        assert {closed.by for closed in closes} == {"client"}

    scenario()


@pytest.mark.parametrize("model", MODELS)
def test_a_call_that_fails_in_mid_stream_closes_its_connection_too(model_server: ModelServer, model: str) -> None:
    @trio_test
    async def scenario() -> None:
        model_server.behave(Hang(events='data: {"type": "error", "error": {"message": "no"}, "choices": [7]}\n\n'))
        async with open_litellm(model_server.url) as backend:
            with pytest.raises(ProviderError):
                await backend.complete(ask(model=model))
            assert _connections_to(model_server) == 0
            [closed] = await model_server.until_closed(1)
        assert closed.by == "client"

    scenario()


@trio_test
async def test_cancelling_one_call_leaves_the_others_alone(model_server: ModelServer) -> None:
    replies: list[str] = []

    def answer(request: object) -> Behaviour | None:
        return Hang(text="x") if "stuck" in str(request) else None

    model_server.handler = answer
    async with open_litellm(model_server.url) as backend, trio.open_nursery() as nursery:

        async def call(prompt: str) -> None:
            replies.append((await backend.complete(ask(prompt))).text)

        async def stuck(scope: trio.CancelScope) -> None:
            with scope:
                await call("stuck")

        model_server.hold()
        scope = trio.CancelScope()
        nursery.start_soon(stuck, scope)
        for number in range(5):
            nursery.start_soon(call, f"prompt {number}")
        await model_server.until_requests(6)
        scope.cancel()
        [closed] = await model_server.until_closed(1)
        model_server.release()
    assert closed.by == "client"
    assert len(set(replies)) == 5


@pytest.mark.parametrize("model", MODELS)
def test_an_error_in_on_text_ends_the_call_and_closes_its_connection(model_server: ModelServer, model: str) -> None:
    def on_text(text: str) -> None:
        raise ZeroDivisionError(text)

    @trio_test
    async def scenario() -> None:
        model_server.behave(Hang(text="partial"))
        async with open_litellm(model_server.url) as backend:
            with pytest.raises(ZeroDivisionError):
                await backend.complete(ask(model=model), on_text)
            assert _connections_to(model_server) == 0

    scenario()
