"""Our requests in litellm's words, and its streamed chunks as one reply. Pure; imports nothing of litellm."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from ..model import (
    JSON,
    FinishReason,
    Message,
    ModelReply,
    ModelRequest,
    Role,
    ToolRequest,
    ToolSpec,
    Usage,
)

#: What the strict mode of OpenAI and of those who follow it takes; with anything else a schema is sent as a guide.
_STRICT_KEYWORDS: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"}
    | {"title", "description"}
)

#: Finish reasons with which gateways tell of a failure in mid-answer; litellm takes them for "stop".
BROKEN_OFF: Final = frozenset({"error", "ERROR", "network_error", "MALFORMED_RESPONSE"})


def request_arguments(request: ModelRequest, *, raw_arguments: bool) -> dict[str, Any]:
    """What a request means in litellm's parameters, without those that say where to send it.

    `raw_arguments`: whether the provider takes back tool arguments that are no JSON object, as a model wrote them.
    """
    arguments: dict[str, Any] = {
        "messages": [_message(message, raw_arguments=raw_arguments) for message in request.messages],
        "max_tokens": request.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        arguments["tools"] = [_tool(tool) for tool in request.tools]
    if request.temperature is not None:
        arguments["temperature"] = request.temperature
    if request.schema is not None:
        form = {"name": "answer", "schema": request.schema, "strict": _strict(request.schema)}
        arguments["response_format"] = {"type": "json_schema", "json_schema": form}
    return arguments


def _message(message: Message, *, raw_arguments: bool) -> dict[str, Any]:
    match message.role:
        case Role.ASSISTANT if message.tool_requests:
            calls = [_call(call, raw_arguments=raw_arguments) for call in message.tool_requests]
            return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
        case Role.TOOL:
            return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.text}
        case _:
            return {"role": message.role.value, "content": message.text}


def _call(call: ToolRequest, *, raw_arguments: bool) -> dict[str, Any]:
    text = call.arguments
    if not raw_arguments and not _is_object(text):
        # Most formats carry arguments as an object, and refuse a conversation in which one is broken.
        text = json.dumps({"invalid_arguments": text})
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": text}}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _strict(schema: JSON) -> bool:
    """Whether every object of `schema` is closed and requires all its properties, in strict mode's vocabulary."""
    if not isinstance(schema, dict):
        return not isinstance(schema, bool)
    if not _STRICT_KEYWORDS.issuperset(schema):
        return False
    properties = schema.get("properties", {})
    if schema.get("type") == "object" or properties:
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or not isinstance(properties, dict):
            return False
        if not isinstance(required, list) or set(properties) != {name for name in required if isinstance(name, str)}:
            return False
    below: list[JSON] = []
    for named in (properties, schema.get("$defs")):
        below += named.values() if isinstance(named, dict) else []
    options = schema.get("anyOf")
    below += options if isinstance(options, list) else []
    below += [schema["items"]] if "items" in schema else []
    return all(_strict(part) for part in below)


# ---------------------------------------------------------------- replies


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: str = ""


class ReplyBuilder:
    """Collects the chunks of one streamed reply; `finish` and `usage` are the last that a chunk gave."""

    def __init__(self) -> None:
        self.finish: str | None = None
        self.usage: Any = None
        self._text: list[str] = []
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
        for part in delta.tool_calls or ():
            self._add_call(part)
        text: str = delta.content or ""
        if text:
            self._text.append(text)
        return text

    def _add_call(self, part: Any) -> None:
        index: int = part.index or 0
        call = self._by_index.get(index)
        if call is None or (part.id and call.id and part.id != call.id):
            # Some providers number every call 0: a new id begins a new call.
            call = _PartialCall()
            self._by_index[index] = call
            self._calls.append(call)
        call.id = call.id or part.id or ""
        call.name += part.function.name or ""
        call.arguments += part.function.arguments or ""

    def reply(self, *, finish: str, usage: Usage | None, model: str, turn: int) -> ModelReply:
        """The whole reply. A call that came without an id gets one that is unique in a conversation of `turn`s."""
        requests = tuple(
            ToolRequest(id=call.id or f"call_{turn}_{number}", name=call.name, arguments=call.arguments)
            for number, call in enumerate(self._calls, 1)
        )
        return ModelReply(
            text="".join(self._text),
            finish=_finish(finish, calls=bool(requests)),
            usage=usage,
            tool_requests=requests,
            model=model,
        )


def _finish(reason: str, *, calls: bool) -> FinishReason:
    match reason:
        case "length":
            return FinishReason.LENGTH
        case "content_filter":
            return FinishReason.CONTENT_FILTER
        case _:
            return FinishReason.TOOL_CALLS if calls else FinishReason.STOP


def reported_usage(usage: Any) -> Usage | None:
    """litellm's usage as ours, without the cost; None where the provider said nothing, or only zeros."""
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
