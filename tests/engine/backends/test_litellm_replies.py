"""litellm against a real server: what comes back as a reply."""

from __future__ import annotations

import json

import pytest
from trio.testing import trio_test

from tests.support.behaviours import Answer, Call, Tokens
from tests.support.model_calls import TEST_MODEL, ask, open_litellm
from tests.support.model_server import ModelServer
from vibe_workflows.engine.model import FinishReason, Message, Role, ToolRequest, ToolSpec, Usage

# pytest undoes the filters that litellm sets for what pydantic says of its types.
pytestmark = pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)")

GREP = ToolSpec(name="grep", description="Search.", parameters={"type": "object", "properties": {}})


@trio_test
async def test_text_arrives_whole_and_piece_by_piece_in_order(model_server: ModelServer) -> None:
    model_server.behave(Answer(text="one two three four five six", piece=4))
    pieces: list[str] = []
    async with open_litellm(model_server.url) as backend:
        reply = await backend.complete(ask(), pieces.append)
    assert reply.text == "one two three four five six"
    assert pieces == ["one ", "two ", "thre", "e fo", "ur f", "ive ", "six"]
    assert (reply.finish, reply.model, reply.tool_requests) == (FinishReason.STOP, TEST_MODEL, ())


@trio_test
async def test_one_call_is_one_streamed_request_with_what_was_asked(model_server: ModelServer) -> None:
    async with open_litellm(model_server.url) as backend:
        await backend.complete(ask("hi", temperature=0.5, tools=(GREP,), max_tokens=77))
    [seen] = model_server.requests
    assert seen.path == "/v1/chat/completions"
    assert seen.body["model"] == "test-model"
    assert seen.body["messages"] == [{"role": "user", "content": "hi"}]
    assert (seen.body["temperature"], seen.body["max_tokens"]) == (0.5, 77)
    assert seen.body["stream"] is True
    assert seen.body["stream_options"] == {"include_usage": True}
    assert [tool["function"]["name"] for tool in seen.body["tools"]] == ["grep"]
    assert "response_format" not in seen.body


@trio_test
async def test_several_tool_calls_keep_ids_order_and_broken_arguments(model_server: ModelServer) -> None:
    calls = (
        Call(name="grep", arguments='{"pattern": "a\\"b"}', id="x1"),
        Call(name="read", arguments='{"path": ', id="x2"),
    )
    model_server.behave(Answer(text="Let me look.", calls=calls, finish="tool_calls", piece=3))
    async with open_litellm(model_server.url) as backend:
        reply = await backend.complete(ask(tools=(GREP,)))
    assert reply.finish is FinishReason.TOOL_CALLS
    assert reply.text == "Let me look."
    assert reply.tool_requests == (
        ToolRequest(id="x1", name="grep", arguments='{"pattern": "a\\"b"}'),
        ToolRequest(id="x2", name="read", arguments='{"path": '),
    )


@trio_test
async def test_a_conversation_with_tool_results_goes_out_in_order(model_server: ModelServer) -> None:
    messages = (
        Message(role=Role.SYSTEM, text="Be brief."),
        Message(role=Role.USER, text="Look."),
        Message(role=Role.ASSISTANT, text="", tool_requests=(ToolRequest(id="c1", name="grep", arguments="{bad"),)),
        Message(role=Role.TOOL, text="arguments are no JSON", tool_call_id="c1"),
    )
    async with open_litellm(model_server.url) as backend:
        await backend.complete(ask(messages=messages, tools=(GREP,)))
    sent = model_server.requests[0].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    assert sent[2]["tool_calls"][0]["function"] == {"name": "grep", "arguments": "{bad"}
    assert (sent[3]["tool_call_id"], sent[3]["content"]) == ("c1", "arguments are no JSON")


@trio_test
async def test_usage_has_cached_and_reasoning_tokens_and_no_price_for_an_unknown_model(
    model_server: ModelServer,
) -> None:
    model_server.behave(Answer(text="x", usage=Tokens(prompt=100, completion=20, cached=64, reasoning=8)))
    async with open_litellm(model_server.url) as backend:
        reply = await backend.complete(ask())
    expected = Usage(input_tokens=100, output_tokens=20, cached_tokens=64, reasoning_tokens=8, cost_microusd=None)
    assert reply.usage == expected


@trio_test
async def test_a_listed_model_has_a_price_in_which_cached_tokens_are_cheaper(model_server: ModelServer) -> None:
    model_server.behave(
        Answer(text="x", usage=Tokens(prompt=1000, completion=100)),
        Answer(text="x", usage=Tokens(prompt=1000, completion=100, cached=1000)),
    )
    async with open_litellm(model_server.url) as backend:
        info = await backend.info("openai/gpt-4o")
        full = await backend.complete(ask(model="openai/gpt-4o"))
        cached = await backend.complete(ask(model="openai/gpt-4o"))
    assert info.input_price is not None
    assert info.output_price is not None
    assert full.usage is not None
    assert cached.usage is not None
    assert full.usage.cost_microusd == round(1000 * info.input_price + 100 * info.output_price)
    assert isinstance(cached.usage.cost_microusd, int)
    assert 0 < cached.usage.cost_microusd < full.usage.cost_microusd


@trio_test
async def test_missing_or_all_zero_usage_is_none(model_server: ModelServer) -> None:
    model_server.behave(Answer(text="x", usage=None), Answer(text="x", usage=Tokens()))
    async with open_litellm(model_server.url) as backend:
        assert [(await backend.complete(ask())).usage for _ in range(2)] == [None, None]


@trio_test
async def test_finish_reasons_are_returned_not_raised(model_server: ModelServer) -> None:
    reasons = {
        "stop": FinishReason.STOP,
        "length": FinishReason.LENGTH,
        "content_filter": FinishReason.CONTENT_FILTER,
        "eos": FinishReason.STOP,
    }
    model_server.behave(*(Answer(text="some", finish=reason) for reason in reasons))
    async with open_litellm(model_server.url) as backend:
        replies = [await backend.complete(ask()) for _ in reasons]
    assert [reply.finish for reply in replies] == list(reasons.values())
    assert {reply.text for reply in replies} == {"some"}


@trio_test
async def test_a_hundred_equal_chunks_are_an_answer_like_any_other(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-deepseek-0123456789")
    model_server.handler = lambda seen: Answer(text="---" * 150, piece=3)
    async with open_litellm(model_server.url) as backend:
        for model in (TEST_MODEL, "deepseek/test"):
            assert (await backend.complete(ask(model=model))).text == "---" * 150


@trio_test
async def test_after_closing_calls_go_on_over_new_connections(model_server: ModelServer) -> None:
    for _ in range(2):
        async with open_litellm(model_server.url) as backend:
            await backend.complete(ask())
            await backend.aclose()
            await backend.complete(ask())
    closed = await model_server.until_closed(4)
    assert {close.by for close in closed} == {"client"}
    assert len(model_server.requests) == 4


@trio_test
async def test_a_schema_goes_out_as_json_schema_mode_strict_only_where_it_can_be(model_server: ModelServer) -> None:
    closed = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    loose = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    async with open_litellm(model_server.url) as backend:
        first = await backend.complete(ask(schema=closed))
        second = await backend.complete(ask(schema=loose))
    forms = [seen.body["response_format"]["json_schema"] for seen in model_server.requests]
    assert [(form["schema"], form["strict"]) for form in forms] == [(closed, True), (loose, False)]
    assert (json.loads(first.text), json.loads(second.text)) == ({"n": 0}, {"n": 3})


@trio_test
async def test_effort_reaches_a_model_that_nobody_knows_and_not_one_that_cannot_think(
    model_server: ModelServer,
) -> None:
    async with open_litellm(model_server.url) as backend:
        await backend.complete(ask(effort="high"))
        await backend.complete(ask(effort="high", model="openai/gpt-4o"))
    assert [seen.body.get("reasoning_effort") for seen in model_server.requests] == ["high", None]


@trio_test
async def test_equal_requests_get_equal_answers_and_others_do_not(model_server: ModelServer) -> None:
    async with open_litellm(model_server.url) as backend:
        one, same, other = [(await backend.complete(ask(prompt))).text for prompt in ("a", "a", "b")]
    assert one == same != other


@trio_test
async def test_a_connection_serves_the_next_call_too(model_server: ModelServer) -> None:
    async with open_litellm(model_server.url) as backend:
        for _ in range(3):
            await backend.complete(ask(timeout_s=20.0))
            await backend.complete(ask(timeout_s=30.0))  # the limit of a call is no reason for a client of its own
    assert len({seen.connection for seen in model_server.requests}) == 1


@trio_test
async def test_providers_that_only_litellm_streams_give_the_same_reply(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-deepseek-0123456789")
    calls = (Call(name="grep", arguments="{bad", id="x1"), Call(name="grep", arguments="{}", id="x2"))
    model_server.behave(
        Answer(text="one two", calls=calls, finish="tool_calls", usage=Tokens(prompt=9, completion=4, cached=2)),
        Answer(text="x", usage=None),
    )
    pieces: list[str] = []
    async with open_litellm(None, api_bases={"deepseek": model_server.url}) as backend:
        reply = await backend.complete(ask(model="deepseek/test", tools=(GREP,)), pieces.append)
        silent = await backend.complete(ask(model="deepseek/test"))
    assert (reply.text, "".join(pieces), reply.finish) == ("one two", "one two", FinishReason.TOOL_CALLS)
    assert [(call.id, call.arguments) for call in reply.tool_requests] == [("x1", "{bad"), ("x2", "{}")]
    assert reply.usage == Usage(input_tokens=9, output_tokens=4, cached_tokens=2, cost_microusd=None)
    assert silent.usage is None
