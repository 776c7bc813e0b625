"""Anthropic's messages format, from the server's side."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.support.behaviours import Answer, Call, Thought, Tokens
from tests.support.neutral import Body, Conversation, SeenFile, SeenMessage, SeenTool, pieces

_ID = "msg_0123456789"
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
#: litellm's tool for the answer in a schema, for models without a JSON mode.
_ANSWER_TOOL = "json_tool_call"
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicFormat:
    """An answer in a schema is sent as a call of the tool that asks for it, where the request has one."""

    path = "/messages"

    def read(self, body: Body) -> Conversation:
        messages = [seen for message in body.get("messages") or [] for seen in _messages(message)]
        tools = body.get("tools") or []
        return Conversation(
            model=body.get("model", ""),
            system="".join(part for part in _parts(body.get("system")) if isinstance(part, str)),
            messages=tuple(messages),
            tools=tuple(_tool(tool) for tool in tools if tool["name"] != _ANSWER_TOOL),
            schema=_schema(body, tools),
            temperature=body.get("temperature"),
        )

    def whole(self, body: Body, answer: Answer) -> Body:
        blocks = _blocks(body, answer)
        found = {**_head(body, blocks), "stop_reason": _stop(body, answer)}
        return found if not isinstance(answer.usage, Tokens) else {**found, "usage": _usage(answer.usage)}

    def events(self, body: Body, answer: Answer) -> list[bytes]:
        events = _started(body, answer.usage if isinstance(answer.usage, Tokens) else None)
        for index, block in enumerate(_blocks(body, answer, parsed=False)):
            events += [*_block_events(index, block, answer.piece), _event("content_block_stop", index=index)]
        if answer.finish is None:
            return events
        delta = {"stop_reason": _stop(body, answer), "stop_sequence": None}
        ended: Body = {"usage": _usage(answer.usage)} if isinstance(answer.usage, Tokens) else {}
        return [*events, _event("message_delta", delta=delta, **ended), _event("message_stop")]

    def beginning(self, body: Body, text: str, piece: int) -> list[bytes]:
        block: Body = {"type": "text", "text": text}
        return [*_started(body, Tokens(prompt=1)), *_block_events(0, block, piece)] if text else []

    def error_body(self, status: int, message: str, kind: str | None, code: str | None) -> Body:
        kind = kind or _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_0123456789"}

    def error_event(self, message: str, kind: str | None, code: str | None) -> bytes:
        return _event("error", error=self.error_body(500, message, kind, code)["error"])


# ---------------------------------------------------------------- requests


def _schema(body: Body, tools: list[Body]) -> dict[str, Any] | None:
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    if form.get("type") == "json_schema":
        schema: dict[str, Any] = form["schema"]
        return schema
    return next((tool["input_schema"] for tool in tools if tool["name"] == _ANSWER_TOOL), None)


def _messages(message: Body) -> list[SeenMessage]:
    """The results of tools in a user message, each by itself, then what else is in it."""
    content = message["content"]
    blocks: list[Body] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    results = [
        SeenMessage(role="tool", parts=_parts(block.get("content")), call_id=block["tool_use_id"])
        for block in blocks
        if block["type"] == "tool_result"
    ]
    own = [block for block in blocks if block["type"] != "tool_result"]
    if not own:
        return results
    calls = tuple(
        Call(name=block["name"], arguments=json.dumps(block["input"]), id=block["id"])
        for block in own
        if block["type"] == "tool_use"
    )
    thoughts = tuple(_thought(block) for block in own if "thinking" in block["type"])
    parts = _parts([block for block in own if block["type"] in ("text", "image", "document")])
    return [*results, SeenMessage(role=message["role"], parts=parts, calls=calls, thinking=thoughts)]


def _parts(content: Any) -> tuple[str | SeenFile, ...]:
    if isinstance(content, str):
        return (content,) if content else ()
    return tuple(_part(block) for block in content or [])


def _part(block: Body) -> str | SeenFile:
    match block["type"]:
        case "text":
            text: str = block["text"]
            return text
        case "image" | "document":
            source = block["source"]
            return SeenFile(media_type=source["media_type"], data=base64.b64decode(source["data"], validate=True))
        case unknown:
            raise ValueError(f"no such block of a message: {unknown}")


def _thought(block: Body) -> Thought:
    if block["type"] == "redacted_thinking":
        return Thought(signature="", redacted=block["data"])
    return Thought(text=block["thinking"], signature=block.get("signature", ""))


def _tool(tool: Body) -> SeenTool:
    return SeenTool(name=tool["name"], description=tool.get("description", ""), parameters=tool["input_schema"])


# ---------------------------------------------------------------- answers


def _calls(body: Body, answer: Answer) -> tuple[Call, ...]:
    if answer.text and any(tool["name"] == _ANSWER_TOOL for tool in body.get("tools") or []):
        return (*answer.calls, Call(name=_ANSWER_TOOL, arguments=answer.text, id="call_answer"))
    return answer.calls


def _stop(body: Body, answer: Answer) -> str | None:
    if answer.finish == "stop" and len(_calls(body, answer)) > len(answer.calls):
        return "tool_use"
    return None if answer.finish is None else _STOPS.get(answer.finish, answer.finish)


def _blocks(body: Body, answer: Answer, *, parsed: bool = True) -> list[Body]:
    """The content of an answer; the input of a call is text where it is not to be `parsed`."""
    calls = _calls(body, answer)
    blocks = [_thinking(thought) for thought in answer.thinking]
    if answer.text and len(calls) == len(answer.calls):
        blocks.append({"type": "text", "text": answer.text})
    for call in calls:
        given = json.loads(call.arguments) if parsed else call.arguments
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": given})
    return blocks


def _thinking(thought: Thought) -> Body:
    if thought.redacted:
        return {"type": "redacted_thinking", "data": thought.redacted}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def _started(body: Body, usage: Tokens | None) -> list[bytes]:
    message = {**_head(body, []), "stop_reason": None}
    if usage is not None:
        message["usage"] = {**_usage(usage), "output_tokens": 1}
        message["usage"].pop("output_tokens_details")
    return [_event("message_start", message=message), _event("ping")]


def _block_events(index: int, block: Body, piece: int) -> list[bytes]:
    """A block without its end."""
    match block["type"]:
        case "text":
            begun: Body = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": part} for part in pieces(block["text"], piece)]
        case "thinking":
            begun = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": part} for part in pieces(block["thinking"], piece)]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use":
            begun = {**block, "input": {}}
            given = ["", *pieces(block["input"], piece)]
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in given]
        case _:
            begun, deltas = block, []
    start = _event("content_block_start", index=index, content_block=begun)
    return [start, *(_event("content_block_delta", index=index, delta=delta) for delta in deltas)]


def _usage(tokens: Tokens) -> Body:
    """Here, unlike in OpenAI's format, what a cache gave or took is no part of `input_tokens`."""
    return {
        "input_tokens": tokens.prompt - tokens.cached - tokens.written,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation_input_tokens": tokens.written,
        "output_tokens": tokens.completion,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
    }


def _head(body: Body, content: list[Body]) -> Body:
    head = {"id": _ID, "type": "message", "role": "assistant", "model": body.get("model", "")}
    return {**head, "content": content, "stop_sequence": None}


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
