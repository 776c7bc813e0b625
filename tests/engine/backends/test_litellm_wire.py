"""Requests and chunks, without a network: what providers do to tool calls, and what strict mode takes."""

from __future__ import annotations

from types import SimpleNamespace as Chunk
from typing import Any

import pytest

from tests.support.model_calls import ask
from vibe_workflows.engine.backends.estimate import request_tokens, text_tokens
from vibe_workflows.engine.backends.litellm_replies import ReplyBuilder
from vibe_workflows.engine.backends.litellm_wire import Dialect, request_arguments
from vibe_workflows.engine.model import FinishReason, Message, ModelRequest, Role, ToolRequest, ToolSpec

SAID = Message(
    role=Role.ASSISTANT,
    text="",
    tool_requests=(
        ToolRequest(id="1", name="f", arguments="[broken"),
        ToolRequest(id="2", name="f", arguments='{"a": 1}'),
    ),
)


def _chunk(text: str | None = None, *calls: tuple[int | None, str | None, str | None, str | None]) -> Any:
    parts = [Chunk(index=i, id=key, function=Chunk(name=name, arguments=given)) for i, key, name, given in calls]
    return Chunk(choices=[Chunk(delta=Chunk(content=text, tool_calls=parts or None), finish_reason=None)], usage=None)


def _calls(*chunks: Any) -> list[tuple[str, str, str]]:
    building = ReplyBuilder()
    for chunk in chunks:
        building.add(chunk)
    reply = building.reply(finish="tool_calls", usage=None, model="m", turn=3)
    return [(call.id, call.name, call.arguments) for call in reply.tool_requests]


def test_calls_are_joined_by_their_index() -> None:
    chunks = [
        _chunk(None, (0, "a", "f", "")),
        _chunk(None, (1, "b", "g", "{")),
        _chunk(None, (0, None, None, "{}")),
        _chunk(None, (1, None, None, "}")),
    ]
    assert _calls(*chunks) == [("a", "f", "{}"), ("b", "g", "{}")]


def test_calls_that_are_all_numbered_zero_are_told_apart_by_their_ids() -> None:
    assert _calls(_chunk(None, (0, "a", "f", "{}")), _chunk(None, (0, "b", "f", "{1"))) == [
        ("a", "f", "{}"),
        ("b", "f", "{1"),
    ]


def test_a_call_without_an_id_gets_one_that_no_other_turn_has() -> None:
    assert _calls(_chunk(None, (None, None, "f", "{}"), (1, "", "g", "{}"))) == [
        ("call_3_1", "f", "{}"),
        ("call_3_2", "g", "{}"),
    ]


@pytest.mark.parametrize(
    ("reason", "calls", "finish"),
    [
        ("stop", False, FinishReason.STOP),
        ("stop", True, FinishReason.TOOL_CALLS),
        ("tool_calls", False, FinishReason.STOP),
        ("length", True, FinishReason.LENGTH),
        ("content_filter", True, FinishReason.CONTENT_FILTER),
    ],
)
def test_the_finish_says_what_the_reply_holds(reason: str, calls: bool, finish: FinishReason) -> None:
    building = ReplyBuilder()
    building.add(_chunk("x", *([(0, "a", "f", "{}")] if calls else [])))
    assert building.reply(finish=reason, usage=None, model="m", turn=1).finish is finish


def test_broken_arguments_go_back_raw_or_wrapped_in_an_object() -> None:
    def sent(*, raw: bool) -> list[str]:
        arguments = request_arguments(ask(messages=(SAID,)), Dialect(raw_arguments=raw))
        return [call["function"]["arguments"] for call in arguments["messages"][0]["tool_calls"]]

    assert sent(raw=True) == ["[broken", '{"a": 1}']
    assert sent(raw=False) == ['{"invalid_arguments": "[broken"}', '{"a": 1}']


_INNER = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (_INNER, True),
        ({**_INNER, "properties": {"a": {"type": "array", "items": _INNER}}}, True),
        ({**_INNER, "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": _INNER}}, True),
        ({**_INNER, "required": []}, False),
        ({**_INNER, "additionalProperties": True}, False),
        ({**_INNER, "properties": {"a": {"type": "string", "minLength": 1}}}, False),
        ({**_INNER, "properties": {"a": {"type": "array", "items": {"type": "object"}}}}, False),
        ({**_INNER, "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {}}]}}}, False),
        ({**_INNER, "properties": {"a": True}}, False),
    ],
)
def test_strict_mode_is_asked_for_only_where_every_provider_takes_it(schema: dict[str, Any], strict: bool) -> None:
    form = request_arguments(ask(schema=schema), Dialect(raw_arguments=True))["response_format"]
    assert form["json_schema"]["strict"] is strict


def test_estimates_grow_with_everything_that_is_sent() -> None:
    tool = ToolSpec(name="grep", description="Search the project.", parameters={"type": "object"})
    steps: list[ModelRequest] = [
        ask("a"),
        ask("a" * 100),
        ask("a" * 100, tools=(tool,)),
        ask("a" * 100, tools=(tool,), schema=_INNER),
        ask("a" * 100, tools=(tool,), schema=_INNER, messages=(*ask("a" * 100).messages, SAID)),
    ]
    counts = [request_tokens(request) for request in steps]
    assert counts == sorted(set(counts))


def test_text_counts_by_its_bytes_whatever_it_holds() -> None:
    assert [text_tokens(text) for text in ("", "a", "a" * 35, "漢" * 7, "\ud800")] == [0, 1, 10, 6, 1]
