"""Anthropic's events, without a network: cut anywhere, in any order that the API allows, and wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from trio.testing import trio_test

from tests.support.anthropic_wire import AnthropicFormat
from tests.support.behaviours import Answer, Call, Thought, Tokens
from vibe_workflows.engine.backends.anthropic_events import AnthropicEvents, data_of
from vibe_workflows.engine.backends.litellm_replies import NoEvent, ReplyBuilder, StreamFailed
from vibe_workflows.engine.model import ModelReply, ToolRequest

ANSWER = Answer(
    text="It is\u2028there\x85, ok.",
    thinking=(Thought(text="Hm\u2029.", signature="c2ln"), Thought(signature="", redacted="aGlkZGVu")),
    calls=(Call(name="f", arguments='{"a": [1'), Call(name="g", arguments="", id="mine")),
    usage=Tokens(prompt=10, completion=5),
    finish="tool_calls",
    piece=3,
)


async def _chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def _read(data: bytes, size: int = 1 << 20) -> tuple[AnthropicEvents, ReplyBuilder, str]:
    building = ReplyBuilder()
    events = AnthropicEvents(building)
    heard = ""
    async for part in data_of(_chunks(data, size)):
        heard += events.take(part)
    events.end()
    return events, building, heard


def _reply(building: ReplyBuilder) -> ModelReply:
    return building.reply(finish="tool_calls", usage=None, model="m", turn=1)


def _stream(*events: dict[str, Any]) -> bytes:
    """Events with their text as it is, not escaped, as servers may write it."""
    return "".join(f"data: {json.dumps(event, ensure_ascii=False)}\r\n\r\n" for event in events).encode()


@trio_test
async def test_an_answer_is_the_same_wherever_its_bytes_are_cut() -> None:
    events = AnthropicFormat().events({}, ANSWER)
    raw = b"".join(events).replace(b"\\u2028", "\u2028".encode()).replace(b"\\u0085", "\x85".encode())
    for size in (1, 2, 3, 7, 64, 1 << 20):
        _, building, heard = await _read(raw, size)
        reply = _reply(building)
        assert heard == reply.text == ANSWER.text
        assert reply.thinking == (
            {"type": "thinking", "thinking": "Hm\u2029.", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "aGlkZGVu"},
        )
        assert reply.tool_requests == (
            ToolRequest(id="call_1_1", name="f", arguments='{"a": [1'),
            ToolRequest(id="mine", name="g", arguments="{}"),
        )


def _block(index: int, block: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    begun = {"type": "content_block_start", "index": index, "content_block": block}
    return [begun, *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)]


@trio_test
async def test_text_between_two_thoughts_stays_between_them() -> None:
    def thought(index: int, text: str) -> list[dict[str, Any]]:
        deltas = ({"type": "thinking_delta", "thinking": text}, {"type": "signature_delta", "signature": f"s{index}"})
        return _block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas)

    def text(index: int, said: str) -> list[dict[str, Any]]:
        return _block(index, {"type": "text", "text": ""}, {"type": "text_delta", "text": said})

    _, building, _ = await _read(_stream(*thought(0, "a"), *text(1, "one "), *thought(2, "b"), *text(3, "two")))
    reply = _reply(building)
    assert reply.text == "one two"
    assert reply.thinking == (
        {"type": "thinking", "thinking": "a", "signature": "s0"},
        {"type": "text", "text": "one "},
        {"type": "thinking", "thinking": "b", "signature": "s2"},
    )


@trio_test
async def test_tokens_that_only_the_first_event_tells_are_kept() -> None:
    first = {"input_tokens": 7, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3, "output_tokens": 1}
    last = {"output_tokens": 9, "input_tokens": None}
    events, _, _ = await _read(
        _stream(
            {"type": "message_start", "message": {"usage": first}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last},
        )
    )
    assert events.usage == {**first, "output_tokens": 9}
    assert events.finish == "stop"


@trio_test
async def test_the_last_event_counts_without_a_line_end() -> None:
    last = _stream({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    events, _, _ = await _read(last.rstrip())
    assert events.finish == "stop"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
    ],
)
def test_stop_reasons_that_are_no_end_of_an_answer_are_kept_as_they_are(reason: str, finish: str) -> None:
    events = AnthropicEvents(ReplyBuilder())
    events.take(json.dumps({"type": "message_delta", "delta": {"stop_reason": reason}}).encode())
    assert events.finish == finish


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[1]", b"7", b'{"a": 1}', b"\xff", b'{"type": "message_start"}', b'{"type": "error"}'),
        b'{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "no block has begun"}}',
    ],
)
def test_what_is_no_event_is_named_so(data: bytes) -> None:
    with pytest.raises(NoEvent):
        AnthropicEvents(ReplyBuilder()).take(data)


def test_pings_and_events_of_the_future_are_passed_over() -> None:
    events = AnthropicEvents(ReplyBuilder())
    assert [events.take(data) for data in (b'{"type": "ping"}', b'{"type": "message_note", "x": 1}')] == ["", ""]


def test_an_error_event_keeps_its_type() -> None:
    with pytest.raises(StreamFailed, match="Overloaded") as caught:
        AnthropicEvents(ReplyBuilder()).take(
            b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
        )
    assert caught.value.body["type"] == "overloaded_error"
