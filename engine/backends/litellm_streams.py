"""What litellm streams, read where it costs least and hides least.

Three ways: chunks of the OpenAI client, which litellm's wrapper holds inside; the bytes of Anthropic's API, below
litellm's own reader; for all others the wrapper itself, with an eye on the lines that go into it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final

import httpx
import openai
from msgspec import Struct

from .anthropic_events import AnthropicEvents, data_of
from .litellm_replies import NoEvent, ReplyBuilder, StreamFailed, reported_usage
from .litellm_setup import litellm

_AnthropicIterator: Final = importlib.import_module("litellm.llms.anthropic.chat.handler").ModelResponseIterator
_LineIterator: Final = importlib.import_module("litellm.llms.base_llm.base_model_iterator").BaseModelResponseIterator


class Ended(Struct, frozen=True, kw_only=True):
    """How a stream ended: the provider's finish reason, None where it gave none, and litellm's usage, if reported."""

    finish: str | None
    usage: Any


async def read_stream(
    stream: Any, response: httpx.Response | None, building: ReplyBuilder, on_text: Callable[[str], None]
) -> Ended:
    """Read `stream` to its end. `response` is the HTTP answer below it, where that is known."""
    inner = stream.completion_stream
    if isinstance(inner, openai.AsyncStream):
        return await _read_openai(inner, building, on_text)
    if isinstance(inner, _AnthropicIterator) and response is not None:
        return await _read_anthropic(response, building, on_text)
    return await _read_wrapped(stream, building, on_text)


async def _read_openai(stream: Any, building: ReplyBuilder, on_text: Callable[[str], None]) -> Ended:
    async for chunk in stream:
        _add(building, chunk, on_text)
    # litellm's class knows every provider's names for cached tokens.
    usage = None if building.usage is None else litellm.Usage(**building.usage.model_dump())
    return Ended(finish=building.finish, usage=usage)


async def _read_anthropic(response: httpx.Response, building: ReplyBuilder, on_text: Callable[[str], None]) -> Ended:
    events = AnthropicEvents(building)
    async with aclosing(data_of(response.aiter_bytes())) as parts:
        async for data in parts:
            if text := events.take(data):
                on_text(text)
    events.end()
    usage = None
    if events.usage:
        # Without the thought's text, of which litellm would count the tokens by a tokenizer.
        usage = litellm.AnthropicConfig().calculate_usage(usage_object=events.usage, reasoning_content=None)
    return Ended(finish=events.finish, usage=usage)


async def _read_wrapped(stream: Any, building: ReplyBuilder, on_text: Callable[[str], None]) -> Ended:
    tap = _LineTap()
    inner = stream.completion_stream
    if isinstance(inner, _LineIterator) and hasattr(inner.streaming_response, "__aiter__"):
        inner.streaming_response = tap.through(inner.streaming_response)
    async for chunk in stream:
        _add(building, chunk, on_text)
    finish = tap.finish or stream.received_finish_reason or stream.intermittent_finish_reason
    # What the wrapper counted by itself, in the lack of anything better, is no usage of the provider.
    reported = any(reported_usage(getattr(chunk, "usage", None)) for chunk in stream.chunks)
    return Ended(finish=finish, usage=building.usage if reported else None)


def _add(building: ReplyBuilder, chunk: Any, on_text: Callable[[str], None]) -> None:
    try:
        text = building.add(chunk)
    except (AttributeError, TypeError) as error:
        raise NoEvent("sent what is no chunk of an answer") from error
    if text:
        on_text(text)


class _LineTap:
    """Sees what litellm forgets of the lines that it reads: error events, and the provider's own finish reason."""

    def __init__(self) -> None:
        self.finish: str | None = None

    async def through(self, lines: Any) -> AsyncIterator[Any]:
        async for line in lines:
            if isinstance(line, str) and ('"error"' in line or '"finish_reason"' in line):
                self._look(line)
            yield line

    def _look(self, line: str) -> None:
        try:
            event = json.loads(line.removeprefix("data:"))
        except ValueError:
            return  # litellm's to judge: some providers cut their lines
        if not isinstance(event, dict):
            return
        if isinstance(event.get("error"), dict):
            raise StreamFailed(event["error"])
        choices = event.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            self.finish = choices[0].get("finish_reason") or self.finish
