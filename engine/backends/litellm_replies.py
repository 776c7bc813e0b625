"""The pieces of a streamed reply, put together. Pure; imports nothing of litellm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from ..model import FinishReason, ModelReply, ToolRequest, Usage
from .estimate import text_tokens

#: Types of the blocks in `thinking`: Anthropic's, which are signed, and the text of those who sign nothing.
SIGNED: Final = frozenset({"thinking", "redacted_thinking"})
REASONING: Final = "reasoning_content"


class StreamFailed(Exception):
    """An error event inside a stream. `body` is its error object."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(str(body.get("message") or "the provider reported an error inside the stream"))
        self.body = body


class NoEvent(Exception):
    """What came is no piece of an answer; the message says what it is."""


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: str = ""


class ReplyBuilder:
    """Collects one streamed reply, by `add` from chunks in OpenAI's shape, or piece by piece.

    `finish` and `usage` are the last that came. `keep_reasoning`: whether an unsigned thinking is to be sent back.
    """

    def __init__(self, *, keep_reasoning: bool = False) -> None:
        self.finish: str | None = None
        self.usage: Any = None
        self._keep_reasoning = keep_reasoning
        self._text: list[str] = []
        self._thought: list[str] = []
        self._block: list[str] = []  # of `_thought`, what belongs to a block whose signature has not come yet
        self._thinking: list[dict[str, object]] = []
        self._calls: list[_PartialCall] = []
        self._by_index: dict[int, _PartialCall] = {}

    def add(self, chunk: Any) -> str:
        """Take a chunk in; the text that it adds."""
        self.usage = getattr(chunk, "usage", None) or self.usage
        if not chunk.choices:
            return ""
        self.finish = chunk.choices[0].finish_reason or self.finish
        delta = chunk.choices[0].delta
        if delta is None:
            return ""
        self._add_thinking(delta)
        for part in delta.tool_calls or ():
            function = part.function
            self.call(part.index or 0, part.id or "", function.name or "", function.arguments or "")
        text: str = delta.content or ""
        self.say(text)
        return text

    def say(self, text: str) -> None:
        if text:
            self._text.append(text)

    def call(self, index: int, call_id: str, name: str, arguments: str) -> None:
        """A piece of the call number `index`."""
        call = self._by_index.get(index)
        if call is None or (call_id and call.id and call_id != call.id):
            # Some providers number every call 0: a new id begins a new call.
            call = _PartialCall()
            self._by_index[index] = call
            self._calls.append(call)
        call.id = call.id or call_id
        call.name += name
        call.arguments += arguments

    def thought(self, text: str) -> None:
        """A piece of thinking that nobody wants back, but which is counted."""
        self._thought.append(text)

    def block(self, block: dict[str, object]) -> None:
        """A whole block that its provider wants back as it is."""
        self._thinking.append(block)

    def _add_thinking(self, delta: Any) -> None:
        blocks = getattr(delta, "thinking_blocks", None)
        for block in blocks or ():
            self._add_block(block)
        if blocks:
            return  # litellm repeats their text as `reasoning_content`
        text = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        if isinstance(text, str):
            self.thought(text)

    def _add_block(self, block: dict[str, Any]) -> None:
        """litellm gives pieces without a signature, and then the signature, with the whole text or without it."""
        if block.get("type") != "thinking":
            self.block(dict(block))
        elif block.get("signature"):
            self.block({**block, "thinking": "".join(self._block) or block.get("thinking") or ""})
            self._block.clear()
        elif block.get("thinking"):
            self.thought(block["thinking"])
            self._block.append(block["thinking"])

    def reply(self, *, finish: str, usage: Usage | None, model: str, turn: int) -> ModelReply:
        """The whole reply. A call that came without an id gets one that is unique in a conversation of `turn`s."""
        requests = tuple(
            ToolRequest(id=call.id or f"call_{turn}_{number}", name=call.name, arguments=call.arguments)
            for number, call in enumerate(self._calls, 1)
        )
        thought = "".join(self._thought)
        if self._keep_reasoning and thought:
            self.block({"type": REASONING, "text": thought})
        return ModelReply(
            text="".join(self._text),
            finish=_finish(finish, calls=bool(requests)),
            usage=usage if usage is None else _with_reasoning(usage, thought),
            tool_requests=requests,
            model=model,
            thinking=tuple(self._thinking),
        )


def _with_reasoning(usage: Usage, thought: str) -> Usage:
    """Some providers show what they think, and do not count it apart from the answer."""
    if usage.reasoning_tokens or not thought:
        return usage
    return replace(usage, reasoning_tokens=min(usage.output_tokens, text_tokens(thought)))


def _finish(reason: str, *, calls: bool) -> FinishReason:
    match reason:
        case "length":
            return FinishReason.LENGTH
        case "content_filter":
            return FinishReason.CONTENT_FILTER
        case _:
            return FinishReason.TOOL_CALLS if calls else FinishReason.STOP


def reported_usage(usage: Any) -> Usage | None:
    """litellm's usage as ours, without the cost; None where the provider said nothing, or only zeros.

    In litellm's, `prompt_tokens` includes what caches gave and took, whatever the provider's own count does.
    """
    if usage is None or not (usage.prompt_tokens or usage.completion_tokens):
        return None
    read, written = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens or 0,
        output_tokens=usage.completion_tokens or 0,
        cached_tokens=_count(read, "cached_tokens"),
        cache_write_tokens=_count(read, "cache_creation_tokens"),
        reasoning_tokens=_count(written, "reasoning_tokens"),
        cost_microusd=None,
    )


def _count(details: Any, name: str) -> int:
    return getattr(details, name, None) or 0
