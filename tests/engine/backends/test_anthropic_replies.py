"""litellm against a real server in Anthropic's format: what goes out, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from trio.testing import trio_test

from tests.support.behaviours import Answer, Call, Thought, Tokens
from tests.support.model_calls import ask, open_litellm
from tests.support.model_server import ModelServer
from vibe_workflows.engine.errors import AgentError, ContextTooLong, ProviderError, SetupError
from vibe_workflows.engine.model import FinishReason, Message, ModelReply, Role, ToolRequest, ToolSpec, Usage

# pytest undoes the filters that litellm sets for what pydantic says of its types.
pytestmark = pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)")

CLAUDE = "anthropic/claude-sonnet-4-5"  # thinks with a budget
ADAPTIVE = "anthropic/claude-opus-4-6"  # thinks as much as it finds right
THOUGHTLESS = "anthropic/claude-3-haiku-20240307"
GREP = ToolSpec(name="grep", description="Search.", parameters={"type": "object", "properties": {}})
THOUGHTS = (
    Thought(text="Where is it? \u2028 ä", signature="c2ln/+=="),
    Thought(signature="", redacted="aGlkZGVu+/=="),
)


@trio_test
async def test_a_reply_has_text_calls_and_finish_and_its_text_came_in_order(model_server: ModelServer) -> None:
    calls = (Call(name="grep", arguments='{"pattern": "a\\"b"}', id="x1"), Call(name="grep", arguments='{"p', id="x2"))
    model_server.behave(Answer(text="Let me look.", calls=calls, finish="tool_calls", piece=5))
    pieces: list[str] = []
    async with open_litellm(model_server.url) as backend:
        reply = await backend.complete(ask(model=CLAUDE, tools=(GREP,)), pieces.append)
    assert pieces == ["Let m", "e loo", "k."]
    assert (reply.text, reply.finish, reply.model) == ("Let me look.", FinishReason.TOOL_CALLS, CLAUDE)
    assert [(call.id, call.name, call.arguments) for call in reply.tool_requests] == [
        ("x1", "grep", '{"pattern": "a\\"b"}'),
        ("x2", "grep", '{"p'),
    ]
    assert model_server.requests[0].path == "/v1/messages"


@trio_test
async def test_tokens_of_the_cache_are_part_of_the_input_and_cost_their_own_price(model_server: ModelServer) -> None:
    tokens = Tokens(prompt=10_000, completion=1000, cached=6000, written=3000, reasoning=400)
    model_server.behave(Answer(text="x", usage=tokens))
    async with open_litellm(model_server.url) as backend:
        reply = await backend.complete(ask(model=CLAUDE))
    # 1,000 tokens at 3, 6,000 read at 0.3, 3,000 written at 3.75, 1,000 of output at 15 micro-dollars
    assert reply.usage == Usage(
        input_tokens=10_000,
        output_tokens=1000,
        cached_tokens=6000,
        cache_write_tokens=3000,
        reasoning_tokens=400,
        cost_microusd=3000 + 1800 + 11_250 + 15_000,
    )


@trio_test
async def test_a_provider_that_reports_no_usage_is_silent_and_thinking_that_it_shows_is_counted(
    model_server: ModelServer,
) -> None:
    model_server.behave(
        Answer(text="x", usage=None),
        Answer(text="x", usage=Tokens()),
        Answer(text="x", thinking=(Thought(text="t" * 35),), usage=Tokens(prompt=50, completion=40)),
    )
    async with open_litellm(model_server.url) as backend:
        replies = [await backend.complete(ask(model="anthropic/claude-next")) for _ in range(3)]
    assert [reply.usage for reply in replies[:2]] == [None, None]
    assert replies[2].usage == Usage(input_tokens=50, output_tokens=40, reasoning_tokens=10, cost_microusd=None)


def _answered(reply: ModelReply) -> tuple[Message, ...]:
    """The conversation after `reply` asked for one tool."""
    said = Message(role=Role.ASSISTANT, text=reply.text, tool_requests=reply.tool_requests, thinking=reply.thinking)
    result = Message(role=Role.TOOL, text="found", tool_call_id=reply.tool_requests[0].id)
    return (*ask("Look.").messages, said, result)


async def _thought_and_called(server: ModelServer, model: str, then: str | None = None) -> dict[str, Any]:
    """What the second turn of a conversation sends back as the first reply; `then` is its model, if another one."""
    server.behave(Answer(text="So.", thinking=THOUGHTS, calls=(Call(name="grep", id="c1"),), finish="tool_calls"))
    async with open_litellm(server.url) as backend:
        reply = await backend.complete(ask("Look.", model=model, tools=(GREP,), effort="low", max_tokens=4000))
        again = ask(model=then or model, messages=_answered(reply), tools=(GREP,), effort="low", max_tokens=4000)
        await backend.complete(again)
    said: dict[str, Any] = next(one for one in server.requests[-1].body["messages"] if one["role"] == "assistant")
    return said


@trio_test
async def test_signed_thinking_goes_back_byte_for_byte_before_the_text_and_the_calls(model_server: ModelServer) -> None:
    said = await _thought_and_called(model_server, CLAUDE)
    assert [block["type"] for block in said["content"]] == ["thinking", "redacted_thinking", "text", "tool_use"]
    seen = next(one for one in model_server.requests[1].conversation().messages if one.role == "assistant")
    assert seen.thinking == THOUGHTS
    assert (seen.text, [call.id for call in seen.calls]) == ("So.", ["c1"])


@trio_test
async def test_thinking_between_which_there_was_text_goes_back_in_its_order(model_server: ModelServer) -> None:
    blocks: tuple[dict[str, object], ...] = (
        {"type": "thinking", "thinking": "a", "signature": "s0"},
        {"type": "text", "text": "one "},
        {"type": "thinking", "thinking": "b", "signature": "s2"},
    )
    call = ToolRequest(id="c1", name="grep", arguments="{}")
    said = ModelReply(
        text="one two", finish=FinishReason.TOOL_CALLS, usage=None, tool_requests=(call,), thinking=blocks
    )
    async with open_litellm(model_server.url) as backend:
        await backend.complete(ask(model=CLAUDE, messages=_answered(said), effort="low", max_tokens=4000))
    content = model_server.requests[0].body["messages"][1]["content"]
    assert content[:4] == [*blocks, {"type": "text", "text": "two"}]
    assert content[4]["type"] == "tool_use"


@pytest.mark.parametrize("then", ["openai/test-model", "deepseek/test", THOUGHTLESS])
def test_signed_thinking_never_goes_to_a_model_that_could_not_have_thought_it(
    model_server: ModelServer, then: str
) -> None:
    @trio_test
    async def scenario() -> None:
        said = await _thought_and_called(model_server, CLAUDE, then)
        assert "c2ln" not in json.dumps(said)
        assert "aGlkZGVu" not in json.dumps(said)

    scenario()


@pytest.mark.parametrize(
    ("model", "then", "wanted"),
    [
        ("deepseek/test", "deepseek/test", "Where is it? \u2028 ä"),
        ("deepseek/test", "openai/test-model", None),
        ("openai/test-model", "openai/test-model", None),
    ],
)
def test_unsigned_thinking_goes_back_only_to_those_who_want_it(
    model_server: ModelServer, model: str, then: str, wanted: str | None
) -> None:
    @trio_test
    async def scenario() -> None:
        said = await _thought_and_called(model_server, model, then)
        assert said.get("reasoning_content") == wanted
        assert "thinking_blocks" not in said

    scenario()


@trio_test
async def test_an_answer_that_is_none_has_its_error_and_a_refusal_is_a_content_filter(
    model_server: ModelServer,
) -> None:
    faults: dict[str, tuple[type[AgentError], bool]] = {
        "pause_turn": (ProviderError, True),
        "model_context_window_exceeded": (ContextTooLong, False),
    }
    reasons = {
        "end_turn": FinishReason.STOP,
        "stop_sequence": FinishReason.STOP,
        "max_tokens": FinishReason.LENGTH,
        "refusal": FinishReason.CONTENT_FILTER,
    }
    model_server.behave(*(Answer(text="some", finish=reason) for reason in (*reasons, *faults)))
    async with open_litellm(model_server.url) as backend:
        replies = [await backend.complete(ask(model=CLAUDE)) for _ in reasons]
        for fault, retryable in faults.values():
            with pytest.raises(fault) as caught:
                await backend.complete(ask(model=CLAUDE))
            assert caught.value.retryable is retryable
    assert [reply.finish for reply in replies] == list(reasons.values())


@trio_test
async def test_effort_is_a_budget_that_leaves_room_for_the_answer(model_server: ModelServer) -> None:
    async with open_litellm(model_server.url) as backend:
        for effort, max_tokens in (("low", 5000), ("high", 5000), ("high", 4096), ("high", 1500)):
            await backend.complete(ask(model=CLAUDE, effort=effort, max_tokens=max_tokens))
        await backend.complete(ask(model=ADAPTIVE, effort="high", max_tokens=500))
        await backend.complete(ask(model=THOUGHTLESS, effort="high", max_tokens=500))
        with pytest.raises(SetupError, match=r"thinks with 1,024 tokens at least, and max_tokens is 1,024; raise"):
            await backend.complete(ask(model=CLAUDE, effort="low", max_tokens=1024))
    bodies = [seen.body for seen in model_server.requests]
    assert [body["thinking"]["budget_tokens"] for body in bodies[:4]] == [1024, 4096, 2048, 1024]
    assert [body["max_tokens"] for body in bodies[:4]] == [5000, 5000, 4096, 1500]
    assert bodies[4]["thinking"]["type"] == "adaptive"
    assert bodies[4]["output_config"] == {"effort": "high"}
    assert not {"thinking", "reasoning_effort"} & bodies[5].keys()
    assert len(bodies) == 6


@trio_test
async def test_who_takes_over_a_turn_that_another_model_began_goes_on_without_thinking(
    model_server: ModelServer,
) -> None:
    """Anthropic refuses thinking in a turn whose tool calls were made without it."""
    await _thought_and_called(model_server, "openai/test-model", CLAUDE)
    await _thought_and_called(model_server, "openai/test-model", ADAPTIVE)
    asked = [seen.body for seen in model_server.requests if seen.path == "/v1/messages"]
    assert "thinking" not in asked[0]
    assert asked[1]["thinking"]["type"] == "adaptive"  # which may think, and need not


@trio_test
async def test_a_schema_is_asked_for_natively_only_where_that_leaves_the_tools_usable(
    model_server: ModelServer,
) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with open_litellm(model_server.url) as backend:
        assert (await backend.info(CLAUDE)).native_schema
        assert not (await backend.info(THOUGHTLESS)).native_schema
        replies = [await backend.complete(ask(model=model, schema=schema)) for model in (CLAUDE, THOUGHTLESS)]
    assert [json.loads(reply.text) for reply in replies] == [{"n": 0}, {"n": 0}]
    assert [reply.finish for reply in replies] == [FinishReason.STOP, FinishReason.STOP]
    assert [reply.tool_requests for reply in replies] == [(), ()]
    assert [seen.conversation().schema is not None for seen in model_server.requests] == [True, True]


@trio_test
async def test_a_connection_serves_the_next_call_too_and_is_closed_at_the_end(model_server: ModelServer) -> None:
    async with open_litellm(model_server.url) as backend:
        for timeout_s in (20.0, 30.0, 20.0):
            await backend.complete(ask(model=CLAUDE, timeout_s=timeout_s))
        await backend.aclose()
        await backend.complete(ask(model=CLAUDE))
    assert [seen.connection for seen in model_server.requests] == [1, 1, 1, 2]
    assert {close.by for close in await model_server.until_closed(2)} == {"client"}
