"""Addresses by provider: what is sent where, and that a misspelt provider sends nothing anywhere."""

from __future__ import annotations

import pytest
from trio.testing import trio_test

from tests.support.model_calls import ask, open_litellm
from tests.support.model_server import ModelServer
from vibe_workflows.engine.errors import SetupError

# pytest undoes the filters that litellm sets for what pydantic says of its types.
pytestmark = pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)")


@trio_test
async def test_the_address_of_a_provider_goes_before_the_one_for_all(model_server: ModelServer) -> None:
    async with open_litellm("http://127.0.0.1:9/v1", api_bases={"openai": model_server.url}) as backend:
        assert (await backend.complete(ask())).text
    assert len(model_server.requests) == 1


@trio_test
async def test_an_address_for_a_provider_that_does_not_exist_stops_every_call(model_server: ModelServer) -> None:
    async with open_litellm(model_server.url, api_bases={"opnai": "http://127.0.0.1:9/v1"}) as backend:
        for ask_something in (lambda: backend.info("openai/x"), lambda: backend.complete(ask())):
            with pytest.raises(SetupError, match="no provider is called `opnai`; did you mean `openai`"):
                await ask_something()
    assert model_server.requests == []
