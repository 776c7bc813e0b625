"""The events of Anthropic's messages API, read from the bytes of an answer.

litellm's own reader drops the type of an error event, takes unknown stop reasons for "stop", forgets tokens that only
the first event tells, and costs more of the CPU than the whole rest of a call. Pure; imports nothing of litellm.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import Any, Final

import msgspec

from .litellm_replies import SIGNED, NoEvent, ReplyBuilder, StreamFailed

#: litellm's tool for an answer in a schema, for models without a JSON mode.
ANSWER_TOOL: Final = "json_tool_call"
_MAX_LINE_BYTES: Final = 64 << 20
_FINISHES: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}


async def data_of(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The `data:` of server-sent events, each a line as Anthropic writes them, out of chunks cut anywhere."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            raise NoEvent("sent a line without an end")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:]
    if rest.startswith(b"data:"):
        yield rest[5:]


class AnthropicEvents:
    """One answer, as far as it has come. `finish` is None before its end, `usage` is the provider's own."""

    def __init__(self, building: ReplyBuilder) -> None:
        self.finish: str | None = None
        self.usage: dict[str, Any] = {}
        self._building = building
        self._blocks: list[dict[str, Any]] = []

    def take(self, data: bytes) -> str:
        """Take an event in; the text that it adds. Raises StreamFailed, and NoEvent for what cannot be one."""
        try:
            return self._take(msgspec.json.decode(data))
        except msgspec.DecodeError as error:
            raise NoEvent("sent something that is no JSON instead of an answer") from error
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise NoEvent("sent what is no event of an answer") from error

    def _take(self, event: Any) -> str:
        match event["type"]:
            case "message_start":
                self._count(event["message"].get("usage"))
            case "content_block_start":
                return self._begin(dict(event["content_block"]))
            case "content_block_delta":
                return self._extend(self._blocks[-1], event["delta"])
            case "message_delta":
                self._count(event.get("usage"))
                reason = event["delta"].get("stop_reason")
                self.finish = _FINISHES.get(reason, reason) or self.finish
            case "error":
                raise StreamFailed(event["error"])
        return ""  # there are pings, and there may be events that are not known yet

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Later events tell totals, and may leave out what the first one told."""
        self.usage.update((name, value) for name, value in (usage or {}).items() if value is not None)

    def _begin(self, block: dict[str, Any]) -> str:
        self._blocks.append(block)
        if block["type"] == "tool_use":
            block["input"] = ""
            if block["name"] != ANSWER_TOOL:
                self._building.call(len(self._blocks), block["id"], block["name"], "")
        return self._say(block.get("text") or "") if block["type"] == "text" else ""

    def _extend(self, block: dict[str, Any], delta: dict[str, Any]) -> str:
        match delta["type"]:
            case "text_delta":
                block["text"] += delta["text"]
                return self._say(delta["text"])
            case "input_json_delta" if block["type"] == "tool_use":
                return self._add_input(block, delta["partial_json"])
            case "thinking_delta":
                block["thinking"] += delta["thinking"]
                self._building.thought(delta["thinking"])
            case "signature_delta":
                block["signature"] = delta["signature"]
        return ""

    def _add_input(self, block: dict[str, Any], piece: str) -> str:
        block["input"] += piece
        if block["name"] == ANSWER_TOOL:
            return self._say(piece)
        self._building.call(len(self._blocks), "", "", piece)
        return ""

    def _say(self, text: str) -> str:
        self._building.say(text)
        return text

    def end(self) -> None:
        """Give the builder what only the end tells: calls without arguments, and the thinking to send back."""
        for number, block in enumerate(self._blocks, 1):
            if block["type"] == "tool_use" and block["name"] != ANSWER_TOOL and not block["input"]:
                self._building.call(number, "", "", "{}")
        for block in _thinking(self._blocks):
            self._building.block(block)


def _thinking(blocks: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The thinking, as it came. Text that stands between two thoughts stays there: it is part of what is signed."""
    last = max((number for number, block in enumerate(blocks) if block["type"] in SIGNED), default=-1)
    return [block for block in blocks[: last + 1] if block["type"] in SIGNED or block.get("text")]
