"""litellm against a real server: every way to fail, and the type that it becomes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from email.utils import formatdate
from pathlib import Path

import pytest
from trio.testing import trio_test

from tests.engine.backends.conftest import TEST_KEY
from tests.support.behaviours import Behaviour, Fail, Hang, Raw
from tests.support.error_table import FAILURES
from tests.support.model_calls import TEST_MODEL, ask, open_litellm
from tests.support.model_server import ModelServer
from vibe_workflows.engine.backends.litellm import LitellmBackend
from vibe_workflows.engine.errors import (
    ContextTooLong,
    ProviderError,
    RateLimited,
    SetupError,
    StepFault,
)

# pytest undoes the filters that litellm sets for what pydantic says of its types.
pytestmark = pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)")

#: A model of each way in which streams are read (by the OpenAI client, by litellm alone, as Anthropic's events), and
#: the format that it is served in.
MODELS = {"openai/test-model": "openai", "deepseek/test": "openai", "anthropic/claude-sonnet-4-5": "anthropic"}


async def _failure(backend: LitellmBackend, model: str, *, hangs: bool) -> StepFault:
    with pytest.raises(StepFault) as caught:
        await backend.complete(ask(model=model, timeout_s=0.4 if hangs else 20.0))
    return caught.value


async def _failures(
    server: ModelServer, behaviours: Iterable[Behaviour], model: str = TEST_MODEL, now: float = 0.0
) -> list[StepFault]:
    """The errors of one call each, of which each is one request."""
    errors: list[StepFault] = []
    before = len(server.requests)
    async with open_litellm(None, api_bases={model.partition("/")[0]: server.url}, now=now) as backend:
        for number, behaviour in enumerate(behaviours, before + 1):
            server.behave(behaviour)
            errors.append(await _failure(backend, model, hangs=isinstance(behaviour, Hang)))
            while isinstance(behaviour, Hang) and len(server.requests) < number:
                # On a busy machine the time was up before the request had arrived.
                errors[-1] = await _failure(backend, model, hangs=True)
            assert len(server.requests) == number
    return errors


@trio_test
async def test_each_failure_of_the_table_has_its_type_whatever_reads_the_stream(model_server: ModelServer) -> None:
    for model, form in MODELS.items():
        rows = [(row, behaviour) for row in FAILURES if (behaviour := row.behaviour(form)) is not None]
        errors = await _failures(model_server, [behaviour for _, behaviour in rows], model)
        found = [(type(error), error.kind, getattr(error, "retryable", False)) for error in errors]
        named = dict(zip([row.name for row, _ in rows], found, strict=True))
        assert named == {row.name: (row.error, row.kind, row.retried) for row, _ in rows}, model
        place = f"{model} ({model.partition('/')[0]} at 127.0.0.1:{model_server.port}): "
        assert [error.message for error in errors if not error.message.startswith(place)] == []


def test_a_setup_error_is_never_retryable_and_no_two_rows_share_a_name() -> None:
    assert len({failure.name for failure in FAILURES}) == len(FAILURES)
    assert not [failure.name for failure in FAILURES if failure.error is SetupError and failure.retried]


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
    for model in MODELS:
        fails = [Fail(status=429, headers=headers) for headers, _ in forms]
        errors = await _failures(model_server, fails, model, now=NOW)
        waits = [getattr(error, "retry_after_s", "no such field") for error in errors]
        assert waits == [wait_s for _, wait_s in forms], model


@trio_test
async def test_a_retry_after_of_an_overloaded_server_is_kept_too(model_server: ModelServer) -> None:
    for model, status in ((TEST_MODEL, 503), ("anthropic/claude-sonnet-4-5", 529)):
        [error] = await _failures(model_server, [Fail(status=status, headers={"Retry-After": "4"})], model)
        assert isinstance(error, ProviderError)
        assert error.retry_after_s == 4.0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("nowhere", ["127.0.0.1", "nowhere.invalid"], ids=["refused", "no such host"])
def test_a_server_that_is_not_there_is_a_provider_error_that_says_so(model: str, nowhere: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        port = unused.getsockname()[1]

        @trio_test
        async def scenario() -> None:
            async with open_litellm(f"http://{nowhere}:{port}/v1") as backend:
                with pytest.raises(ProviderError, match="could not be reached") as caught:
                    await backend.complete(ask(model=model))
            assert caught.value.retryable

        scenario()


@trio_test
async def test_a_key_that_a_provider_echoes_is_not_in_the_message(model_server: ModelServer) -> None:
    fails = [Fail(status=status, message=f"your key {TEST_KEY} did not do") for status in (400, 404, 429, 500, 401)]
    for model in ("openai/test-model", "anthropic/claude-sonnet-4-5"):
        errors = await _failures(model_server, fails, model)
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
        "groq/llama3": "set GROQ_API_KEY",
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
async def test_a_schema_beside_tools_is_left_to_the_submit_tool_where_the_server_refuses_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "none")
    names = ("gemini/gemini-2.5-pro", "gemini/gemini-flash-latest", "gemini/gemini-3-pro-preview", "openai/gpt-4o")
    async with open_litellm(None) as backend:
        known = [await backend.info(name) for name in names]
    assert [info.native_schema for info in known] == [True] * 4
    assert [info.schema_beside_tools for info in known] == [False, False, True, True]


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


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("azure/gpt-4o", "Missing credentials"),
        ("azure_ai/claude-sonnet-4-5", "Set `api_base` or the AZURE_AI_API_BASE env var"),
        ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", "credentials are missing"),
        ("watsonx/ibm/granite", "credentials are missing"),
    ],
)
def test_what_a_cloud_needs_and_lacks_is_a_matter_of_setup(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: str, words: str
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "WATSONX_", "WX_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))

    @trio_test
    async def scenario() -> None:
        async with open_litellm(None) as backend:
            with pytest.raises(SetupError, match=words):
                await backend.complete(ask(model=model))

    scenario()


@trio_test
async def test_claude_in_a_cloud_fails_by_the_same_types(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_AI_API_KEY", TEST_KEY)
    failures = [failure for failure in FAILURES if failure.anthropic is not None and "stream" in failure.name]
    behaviours = [failure.anthropic for failure in failures if failure.anthropic is not None]
    async with open_litellm(model_server.url.removesuffix("/v1")) as backend:
        for failure, behaviour in zip(failures, behaviours, strict=True):
            model_server.behave(behaviour)
            with pytest.raises(failure.error):
                await backend.complete(ask(model="azure_ai/claude-sonnet-4-5"))


@trio_test
async def test_an_error_event_of_a_gateway_is_known_by_the_status_in_it(model_server: ModelServer) -> None:
    event = 'data: {"error": {"code": 429, "message": "slow down"}, "choices": [{"delta": {"content": ""}}]}\n\n'
    for model in ("openai/test-model", "deepseek/test"):
        [error] = await _failures(model_server, [Raw(body=event)], model)
        assert type(error) is RateLimited


@pytest.mark.parametrize("model", ["nvidia_nim/test", "groq/test", "openrouter/test", "xai/test"])
def test_no_provider_gets_more_than_one_request_a_call(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """litellm's own default is two more, for those of which it does not know that they can be told."""
    monkeypatch.setenv(f"{model.partition('/')[0].upper()}_API_KEY", TEST_KEY)

    @trio_test
    async def scenario() -> None:
        model_server.handler = lambda _seen: Fail(status=500)
        await _failures(model_server, [Fail(status=500)], model)

    scenario()


@trio_test
async def test_a_prompt_that_is_too_long_is_known_by_its_words_with_every_provider(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", TEST_KEY)  # which litellm reads like any other bad request
    words = "This model's maximum context length is 9 tokens"
    [error] = await _failures(model_server, [Fail(status=400, message=words)], "openrouter/test")
    assert type(error) is ContextTooLong
