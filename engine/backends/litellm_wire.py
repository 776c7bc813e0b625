"""Our requests in litellm's words. Pure; imports nothing of litellm."""

from __future__ import annotations

import json
from typing import Any, Final

from msgspec import Struct

from ..model import JSON, Message, ModelRequest, Role, ToolRequest, ToolSpec
from .litellm_replies import REASONING, SIGNED
from .message_parts import content, mark

#: What the strict mode of OpenAI and of those who follow it takes; with anything else a schema is sent as a guide.
_STRICT_KEYWORDS: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"}
    | {"title", "description"}
)


class Dialect(Struct, frozen=True, kw_only=True):
    """How a model wants its messages."""

    raw_arguments: bool  # takes back tool arguments that are no JSON object, as a model wrote them
    cache_marks: bool = False  # caches a prompt up to where it is marked, and only there
    thinking_blocks: bool = False  # wants its signed thinking back, Anthropic's way
    reasoning_content: bool = False  # wants its thinking back as a text, DeepSeek's way


def request_arguments(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    """What a request means in litellm's parameters, without those that say where to send it.

    Equal beginnings of two requests become equal beginnings here: providers cache prompts by their bytes.
    """
    arguments: dict[str, Any] = {
        "messages": _messages(request, dialect),
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


def _messages(request: ModelRequest, dialect: Dialect) -> list[dict[str, Any]]:
    ends = _marked_ends(request) if dialect.cache_marks else frozenset()
    return [
        _message(message, request, dialect, marked=position in ends)
        for position, message in enumerate(request.messages)
    ]


def _marked_ends(request: ModelRequest) -> frozenset[int]:
    """Messages at whose end the prompt is marked, beside the context: three at most, since four marks are allowed.

    The system text ends what a fan-out shares. Where another turn may follow, so does the end of the conversation:
    that turn reads what this one wrote; and the end of the turn before, in case this one added more parts than the
    provider looks back. A single turn marks no end, because writing a cache costs more than it brings there.
    """
    roles = [message.role for message in request.messages]
    ends = {position for position, role in enumerate(roles) if role is Role.SYSTEM}
    replies = [position for position, role in enumerate(roles) if role is Role.ASSISTANT]
    if request.tools or replies:
        ends |= {len(roles) - 1, *(position - 1 for position in replies[-1:])}
    return frozenset(ends)


def _message(message: Message, request: ModelRequest, dialect: Dialect, *, marked: bool) -> dict[str, Any]:
    match message.role:
        case Role.ASSISTANT:
            return _assistant(message, dialect)
        case Role.TOOL:
            result = {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.text}
            return {**result, "cache_control": mark()} if marked else result
        case _:
            parts = content(message, request.contents, marked=dialect.cache_marks, last_marked=marked)
            return {"role": message.role.value, "content": parts}


def _assistant(message: Message, dialect: Dialect) -> dict[str, Any]:
    said: dict[str, Any] = {"role": "assistant", "content": message.text}
    if message.tool_requests:
        # Anthropic's API refuses a blank text, and litellm would put one of its own there, which no trace tells of.
        said["content"] = message.text if message.text.strip() else None
        said["tool_calls"] = [_call(call, raw_arguments=dialect.raw_arguments) for call in message.tool_requests]
    if dialect.thinking_blocks:
        said |= _thinking(message)
    if dialect.reasoning_content:
        texts = [str(block.get("text", "")) for block in message.thinking if block.get("type") == REASONING]
        if texts:
            said["reasoning_content"] = "".join(texts)
    return said


def _thinking(message: Message) -> dict[str, Any]:
    """Signed blocks, as they came. With text between them they go into the content, where litellm keeps the order."""
    blocks = [block for block in message.thinking if block.get("type") in SIGNED]
    between = [str(block["text"]) for block in message.thinking if block.get("type") == "text"]
    if not between or any(block["type"] != "thinking" for block in blocks):
        return {"thinking_blocks": blocks} if blocks else {}
    rest = message.text[sum(map(len, between)) :]
    return {"content": [*message.thinking, *([{"type": "text", "text": rest}] if rest else [])]}


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
