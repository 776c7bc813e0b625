"""OpenAI's chat-completions format, from the server's side."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.support.behaviours import Answer, Call, Tokens
from tests.support.neutral import Body, Conversation, SeenFile, SeenMessage, SeenTool, pieces

_CREATED = 1_700_000_000
_ID = "chatcmpl-0123456789"
_TYPES = {429: "requests"}


class OpenAIFormat:
    """`thinking` is sent as `reasoning_content`, which DeepSeek began and many servers follow."""

    path = "/chat/completions"

    def read(self, body: Body) -> Conversation:
        messages = body.get("messages") or []
        form = body.get("response_format") or {}
        return Conversation(
            model=body.get("model", ""),
            system="".join(_text(message["content"]) for message in messages if message["role"] == "system"),
            messages=tuple(_message(message) for message in messages if message["role"] != "system"),
            tools=tuple(_tool(tool["function"]) for tool in body.get("tools") or []),
            schema=form["json_schema"]["schema"] if form.get("type") == "json_schema" else None,
            temperature=body.get("temperature"),
        )

    def whole(self, body: Body, answer: Answer) -> Body:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if answer.thinking:
            message["reasoning_content"] = "".join(thought.text for thought in answer.thinking)
        if answer.calls:
            message["tool_calls"] = [_call(call) for call in answer.calls]
        choice = {"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": None}
        found = {**_head(body, "chat.completion"), "choices": [choice]}
        return found if not isinstance(answer.usage, Tokens) else {**found, "usage": _usage(answer.usage)}

    def events(self, body: Body, answer: Answer) -> list[bytes]:
        events = [_delta(body, {"role": "assistant", "content": ""})]
        for thought in answer.thinking:
            events += [_delta(body, {"reasoning_content": piece}) for piece in pieces(thought.text, answer.piece)]
        events += self.beginning(body, answer.text, answer.piece)
        for number, call in enumerate(answer.calls):
            whole = _call(call)
            whole["function"]["arguments"] = ""
            events.append(_delta(body, {"tool_calls": [{"index": number, **whole}]}))
            for piece in pieces(call.arguments, answer.piece):
                events.append(_delta(body, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}))
        if answer.finish is None:
            return events
        events.append(_delta(body, {}, finish=answer.finish))
        if isinstance(answer.usage, Tokens) and (body.get("stream_options") or {}).get("include_usage"):
            usage = {"choices": [], "usage": _usage(answer.usage)}
            events.append(_event({**_head(body, "chat.completion.chunk"), **usage}))
        return [*events, b"data: [DONE]\n\n"]

    def beginning(self, body: Body, text: str, piece: int) -> list[bytes]:
        return [_delta(body, {"content": part}) for part in pieces(text, piece)]

    def error_body(self, status: int, message: str, kind: str | None, code: str | None) -> Body:
        kind = kind or _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def error_event(self, message: str, kind: str | None, code: str | None) -> bytes:
        return _event(self.error_body(500, message, kind, code))


# ---------------------------------------------------------------- requests


def _message(message: Body) -> SeenMessage:
    calls = message.get("tool_calls") or []
    return SeenMessage(
        role=message["role"],
        parts=_parts(message.get("content")),
        calls=tuple(
            Call(name=call["function"]["name"], arguments=call["function"]["arguments"], id=call["id"])
            for call in calls
        ),
        call_id=message.get("tool_call_id"),
    )


def _parts(content: Any) -> tuple[str | SeenFile, ...]:
    if isinstance(content, str):
        return (content,) if content else ()
    return tuple(_part(part) for part in content or [])


def _part(part: Body) -> str | SeenFile:
    match part["type"]:
        case "text":
            text: str = part["text"]
            return text
        case "image_url":
            return _file(part["image_url"]["url"])
        case "file":
            return _file(part["file"]["file_data"])
        case unknown:
            raise ValueError(f"no such part of a message: {unknown}")


def _file(data_url: str) -> SeenFile:
    """`data:image/png;base64,...` as a file."""
    head, _, data = data_url.partition(",")
    media_type = head.removeprefix("data:").removesuffix(";base64")
    return SeenFile(media_type=media_type, data=base64.b64decode(data, validate=True))


def _text(content: Any) -> str:
    return "".join(part for part in _parts(content) if isinstance(part, str))


def _tool(function: Body) -> SeenTool:
    return SeenTool(
        name=function["name"], description=function.get("description", ""), parameters=function.get("parameters", {})
    )


# ---------------------------------------------------------------- answers


def _call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _usage(tokens: Tokens) -> Body:
    read: Body = {"cached_tokens": tokens.cached, "audio_tokens": 0}
    if tokens.written:
        read["cache_write_tokens"] = tokens.written
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.prompt + tokens.completion,
        "prompt_tokens_details": read,
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }


def _head(body: Body, kind: str) -> Body:
    return {"id": _ID, "object": kind, "created": _CREATED, "model": body.get("model", "")}


def _delta(body: Body, delta: Body, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({**_head(body, "chat.completion.chunk"), "choices": [choice]})


def _event(value: Body) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
