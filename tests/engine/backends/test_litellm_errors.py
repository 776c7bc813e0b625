"""litellm against a real server: every way to fail, and the type that it becomes."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from email.utils import formatdate

import pytest
from trio.testing import trio_test

from tests.engine.backends.conftest import TEST_KEY
from tests.support.behaviours import Answer, Behaviour, Drop, Fail, Hang, Raw, StreamError
from tests.support.model_calls import TEST_MODEL, ask, open_litellm
from tests.support.model_server import ModelServer
from vibe_workflows.engine.errors import (
    AgentError,
    ContextTooLong,
    ProviderError,
    RateLimited,
    Refused,
    SetupError,
    StepFault,
    Timeout,
)

# pytest undoes the filters that litellm sets for what pydantic says of its types.
pytestmark = pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)")

BAD_REQUEST = "invalid_request_error"

#: Server behaviour, kind, retried or not (None: a SetupError, which nothing retries).
TABLE: list[tuple[Behaviour, type[StepFault], bool | None]] = [
    (Fail(status=429), RateLimited, True),
    (Fail(status=429, code="insufficient_quota"), SetupError, None),
    (StreamError(code="rate_limit_exceeded"), RateLimited, True),
    (Hang(), Timeout, True),
    (Hang(text="partial answer"), Timeout, True),
    (Fail(status=408), Timeout, True),
    (Fail(status=504), Timeout, True),
    (Fail(status=400, type=BAD_REQUEST, code="context_length_exceeded"), ContextTooLong, False),
    (
        Fail(status=400, type=BAD_REQUEST, message="This model's maximum context length is 9 tokens"),
        ContextTooLong,
        False,
    ),
    (Fail(status=413), ContextTooLong, False),
    (Fail(status=400, type=BAD_REQUEST, code="content_policy_violation"), Refused, False),
    (Fail(status=400, code="content_filter"), Refused, False),
    (Fail(status=400, type=BAD_REQUEST, message="temperature is above 2"), SetupError, None),
    (Fail(status=422), SetupError, None),
    (Fail(status=401), SetupError, None),
    (Fail(status=403), SetupError, None),
    (Fail(status=402), SetupError, None),
    (Fail(status=404), SetupError, None),
    (Fail(status=418, type="server_error"), ProviderError, False),
    (Fail(status=409), ProviderError, True),
    (Fail(status=500), ProviderError, True),
    (Fail(status=502), ProviderError, True),
    (Fail(status=503), ProviderError, True),
    (Fail(status=529), ProviderError, True),
    (Drop(), ProviderError, True),
    (Drop(text="partial answer"), ProviderError, True),
    (Drop(text="partial answer", reset=True), ProviderError, True),
    (StreamError(), ProviderError, True),
    (Answer(text="half an answ", finish=None), ProviderError, True),
    (Answer(text="half an answ", finish="error"), ProviderError, True),
    (Raw(body="data: {not json\n\n"), ProviderError, True),
    (Raw(body='data: {"choices": [7]}\n\n'), ProviderError, True),
    (Raw(body="<html>busy</html>", content_type="text/html"), ProviderError, True),
    (Raw(body='{"hello": "world"}', content_type="application/json"), ProviderError, True),
]


async def _failures(
    server: ModelServer, behaviours: Iterable[Behaviour], model: str = TEST_MODEL, now: float = 0.0
) -> list[StepFault]:
    """The errors of one call each, of which each is one request."""
    errors: list[StepFault] = []
    async with open_litellm(None, api_bases={model.partition("/")[0]: server.url}, now=now) as backend:
        for number, behaviour in enumerate(behaviours, 1):
            server.behave(behaviour)
            with pytest.raises(StepFault) as caught:
                await backend.complete(ask(model=model, timeout_s=0.2 if isinstance(behaviour, Hang) else 20.0))
            errors.append(caught.value)
            assert len(server.requests) == number
    return errors


def _outcome(error: StepFault) -> tuple[type[StepFault], bool | None]:
    return type(error), error.retryable if isinstance(error, AgentError) else None


@trio_test
async def test_each_failure_of_a_provider_has_its_type(model_server: ModelServer) -> None:
    errors = await _failures(model_server, [behaviour for behaviour, _, _ in TABLE])
    found = [(behaviour, *_outcome(error)) for (behaviour, _, _), error in zip(TABLE, errors, strict=True)]
    assert found == TABLE
    for error in errors:
        assert error.__cause__ is not error
        assert error.message.startswith(f"{TEST_MODEL} (openai at 127.0.0.1:{model_server.port}): ")


@trio_test
async def test_providers_that_only_litellm_streams_fail_by_the_same_types(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-deepseek-0123456789")
    # Here litellm turns the finish reason "error" into "stop", and drops the code of an error event.
    lost = (Answer(text="half an answ", finish="error"), StreamError(code="rate_limit_exceeded"))
    table = [row for row in TABLE if row[0] not in lost]
    errors = await _failures(model_server, [behaviour for behaviour, _, _ in table], model="deepseek/test")
    found = [(behaviour, *_outcome(error)) for (behaviour, _, _), error in zip(table, errors, strict=True)]
    assert found == table


NOW = 1_700_000_000.0


@trio_test
async def test_retry_after_is_read_in_every_form(model_server: ModelServer) -> None:
    forms: list[tuple[dict[str, str], float | None]] = [
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "inf"}, None),
        ({}, None),
    ]
    errors = await _failures(model_server, [Fail(status=429, headers=headers) for headers, _ in forms], now=NOW)
    assert [getattr(error, "retry_after_s", "no such field") for error in errors] == [wait_s for _, wait_s in forms]


@trio_test
async def test_a_retry_after_of_an_overloaded_server_is_kept_too(model_server: ModelServer) -> None:
    [error] = await _failures(model_server, [Fail(status=503, headers={"Retry-After": "4"})])
    assert isinstance(error, ProviderError)
    assert error.retry_after_s == 4.0


@trio_test
async def test_a_server_that_is_not_there_is_a_provider_error_that_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with open_litellm(f"http://127.0.0.1:{port}/v1") as backend:
        with pytest.raises(ProviderError, match="could not be reached") as caught:
            await backend.complete(ask())
    assert caught.value.retryable


@trio_test
async def test_a_key_that_a_provider_echoes_is_not_in_the_message(model_server: ModelServer) -> None:
    fails = [Fail(status=status, message=f"your key {TEST_KEY} did not do") for status in (400, 404, 429, 500, 401)]
    errors = await _failures(model_server, fails)
    assert all(TEST_KEY not in error.message for error in errors)
    assert all("your key *** did not do" in error.message for error in errors[:-1])


@trio_test
async def test_long_words_of_a_provider_are_cut(model_server: ModelServer) -> None:
    [error] = await _failures(model_server, [Fail(status=500, message="very\nbad " * 500)])
    assert len(error.message) < 500
    assert "\n" not in error.message


@trio_test
async def test_a_model_that_cannot_be_served_is_refused_before_anything_is_sent(model_server: ModelServer) -> None:
    refusals = {
        "gpt-oss-of-mine": "no provider is known",
        "": "no provider is known",
        "http://evil.example/v1": "may not carry an address",
        "openai/http://evil.example/v1": "may not carry an address",
        "anthropic/claude-sonnet-4-5": "set ANTHROPIC_API_KEY",
        "gemini/gemini-2.0-flash": "set GOOGLE_API_KEY or GEMINI_API_KEY",
    }
    async with open_litellm(model_server.url) as backend:
        for model, words in refusals.items():
            with pytest.raises(SetupError, match=words):
                await backend.info(model)
            with pytest.raises(SetupError, match=words):
                await backend.complete(ask(model=model))
    assert model_server.requests == []


@trio_test
async def test_without_a_key_openai_itself_is_refused_and_a_server_of_ones_own_is_asked(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    async with open_litellm(None) as backend:
        with pytest.raises(SetupError, match="set OPENAI_API_KEY"):
            await backend.complete(ask())
    async with open_litellm(model_server.url) as backend:
        assert (await backend.complete(ask())).text.startswith("answer ")


@trio_test
async def test_the_address_may_come_from_the_environment(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", model_server.url)
    async with open_litellm(None) as backend:
        await backend.complete(ask())
    assert len(model_server.requests) == 1


@trio_test
async def test_a_parameter_that_a_known_model_does_not_take_is_an_error_and_not_dropped(
    model_server: ModelServer,
) -> None:
    async with open_litellm(model_server.url) as backend:
        with pytest.raises(SetupError, match="temperature"):
            await backend.complete(ask(model="openai/o3-mini", temperature=0.3))
    assert model_server.requests == []
