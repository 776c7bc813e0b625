"""What providers cache: equal beginnings, byte for byte, and marks where a provider caches only up to them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import trio_test

from tests.support.behaviours import Answer, Call
from tests.support.model_calls import ask, open_litellm
from tests.support.model_server import ModelServer
from vibe_workflows.engine.backends.litellm import LitellmSettings
from vibe_workflows.engine.backends.litellm_wire import request_arguments
from vibe_workflows.engine.model import Message, Role, ToolRequest, ToolSpec

# pytest undoes the filters that litellm sets for what pydantic says of its types.
pytestmark = pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)")

CLAUDE = "anthropic/claude-sonnet-4-5"
MODELS = ["openai/test-model", "deepseek/test", CLAUDE]
CONTEXT = "Everything that the fan-out shares: \u2028 äöü " * 50
MARK = {"type": "ephemeral"}
TOOLS = tuple(
    ToolSpec(
        name=name,
        description=f"The tool {name}.",
        parameters={"type": "object", "properties": {"zeta": {"type": "string"}, "alpha": {"type": "integer"}}},
    )
    for name in ("read_file", "grep", "ask_a_person")
)


def _opening(prompt: str, context: str = CONTEXT) -> tuple[Message, ...]:
    text = f"{context}\n\n{prompt}"
    return (
        Message(role=Role.SYSTEM, text="You review code."),
        Message(role=Role.USER, text=text, context_chars=len(context)),
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_calls_of_a_fan_out_are_equal_byte_for_byte_but_for_their_own_prompts(
    model_server: ModelServer, model: str
) -> None:
    @trio_test
    async def scenario() -> None:
        async with open_litellm(model_server.url) as backend, trio.open_nursery() as nursery:
            for number in range(8):
                request = ask(model=model, messages=_opening(f"<<{number}>>"), tools=TOOLS)
                nursery.start_soon(backend.complete, request)
        bodies = [seen.raw.decode() for seen in model_server.requests]
        assert len(set(bodies)) == 8
        [head] = {body.partition("<<")[0] for body in bodies}
        assert json.dumps(CONTEXT)[1:-1] in head or CONTEXT in head
        [tail] = {body.rpartition(">>")[2] for body in bodies}  # tools, and whatever comes after the messages
        assert "ask_a_person" in tail

    scenario()


@trio_test
async def test_where_caches_need_no_marks_a_message_is_one_plain_string(model_server: ModelServer) -> None:
    async with open_litellm(model_server.url) as backend:
        for model in MODELS[:2]:
            await backend.complete(ask(model=model, messages=_opening("Go."), tools=TOOLS))
    for seen in model_server.requests:
        assert [message["content"] for message in seen.body["messages"]] == [
            "You review code.",
            f"{CONTEXT}\n\nGo.",
        ]
        assert "cache_control" not in seen.raw.decode()


def _marks(body: dict[str, Any]) -> list[str]:
    """The texts of the blocks that are marked, in the order of the prompt."""
    blocks = [*body["system"], *(block for message in body["messages"] for block in message["content"])]
    assert "cache_control" not in json.dumps(body.get("tools", []))
    return [block.get("text") or block["content"] for block in blocks if block.get("cache_control") == MARK]


@trio_test
async def test_a_growing_conversation_is_marked_at_system_context_and_its_last_two_ends(
    model_server: ModelServer,
) -> None:
    messages = _opening("Go.")
    async with open_litellm(model_server.url) as backend:
        for turn in range(3):
            await backend.complete(ask(model=CLAUDE, messages=messages, tools=TOOLS))
            calls = tuple(ToolRequest(id=f"c{turn}{n}", name="grep", arguments="{}") for n in range(2))
            results = tuple(Message(role=Role.TOOL, text=f"result {call.id}", tool_call_id=call.id) for call in calls)
            messages = (*messages, Message(role=Role.ASSISTANT, text="Hm.", tool_requests=calls), *results)
    assert [_marks(seen.body) for seen in model_server.requests] == [
        ["You review code.", CONTEXT, "\n\nGo."],
        ["You review code.", CONTEXT, "\n\nGo.", "result c01"],
        ["You review code.", CONTEXT, "result c01", "result c11"],
    ]


@trio_test
async def test_a_single_turn_is_marked_only_where_others_share_it(model_server: ModelServer) -> None:
    async with open_litellm(model_server.url) as backend:
        await backend.complete(ask(model=CLAUDE, messages=_opening("Go.")))
        await backend.complete(ask("Go.", model=CLAUDE))
    first, second = (seen.body for seen in model_server.requests)
    assert _marks(first) == ["You review code.", CONTEXT]
    assert "cache_control" not in json.dumps(second)


@trio_test
async def test_what_was_sent_once_is_sent_again_as_it_was(model_server: ModelServer) -> None:
    """But for the marks, which move: a turn's prompt begins with the prompt and the answer of the turn before."""
    for model in MODELS:
        before = len(model_server.requests)
        model_server.behave(Answer(text="Hm.", calls=(Call(name="grep", id="c1"),), finish="tool_calls"))
        async with open_litellm(model_server.url) as backend:
            reply = await backend.complete(ask(model=model, messages=_opening("Go."), tools=TOOLS))
            said = Message(role=Role.ASSISTANT, text=reply.text, tool_requests=reply.tool_requests)
            result = Message(role=Role.TOOL, text="found", tool_call_id="c1")
            await backend.complete(ask(model=model, messages=(*_opening("Go."), said, result), tools=TOOLS))
        first, second = (json.loads(seen.raw, object_hook=_unmarked) for seen in model_server.requests[before:])
        sent = first.pop("messages")
        assert second["messages"][: len(sent)] == sent
        assert second.pop("messages")[len(sent)]["role"] == "assistant"
        assert first == second


def _unmarked(value: dict[str, Any]) -> dict[str, Any]:
    value.pop("cache_control", None)
    return value


@pytest.mark.parametrize(
    ("model", "marked"),
    [
        ("anthropic/claude-3-haiku-20240307", True),
        ("anthropic/claude-of-tomorrow", True),
        ("openrouter/anthropic/claude-sonnet-4.5", True),
        ("openrouter/openai/gpt-4o", False),
        ("openai/claude-behind-a-gateway", False),
        ("openai/gpt-4o", False),
    ],
)
def test_marks_go_to_models_that_cache_by_them_and_to_no_others(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, model: str, marked: bool
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-openrouter-0123456789")

    @trio_test
    async def scenario() -> None:
        async with open_litellm(model_server.url) as backend:
            await backend.complete(ask(model=model, messages=_opening("Go."), tools=TOOLS))
        assert ("cache_control" in model_server.requests[0].raw.decode()) is marked
        assert model_server.requests[0].conversation().messages[0].text == f"{CONTEXT}\n\nGo."

    scenario()


@pytest.mark.parametrize("model", ["anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-pro-v1:0"])
def test_on_bedrock_the_marks_become_cache_points(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0123456789")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "0123456789")
    from vibe_workflows.engine.backends.litellm_models import resolve
    from vibe_workflows.engine.backends.litellm_setup import litellm

    call = ToolRequest(id="c1", name="grep", arguments="{}")
    said = Message(role=Role.ASSISTANT, text="Hm.", tool_requests=(call,))
    messages = (*_opening("Go."), said, Message(role=Role.TOOL, text="found", tool_call_id="c1"))
    target = resolve(f"bedrock/{model}", LitellmSettings())
    arguments = request_arguments(ask(model=target.model, messages=messages, tools=TOOLS), target.dialect)
    config = litellm.AmazonConverseConfig()
    given = config.map_openai_params({"tools": arguments["tools"]}, {}, target.bare, False)
    body = config._transform_request(
        model=target.bare, messages=arguments["messages"], optional_params=given, litellm_params={}, headers={}
    )
    point = {"cachePoint": {"type": "default"}}
    assert body["system"] == [{"text": "You review code."}, point]
    assert body["messages"][0]["content"] == [{"text": CONTEXT}, point, {"text": "\n\nGo."}, point]
    assert body["messages"][-1]["content"][-1] == point
