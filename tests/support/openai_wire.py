"""The OpenAI chat-completions format, from the server's side: behaviours to bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from tests.support.behaviours import Answer, Call, Fail, Tokens
from vibe_workflows.engine.backends.schema_values import minimal_value

_CREATED = 1_700_000_000


def digest_of(body: dict[str, Any]) -> str:
    """A short hash of all that shapes an answer, so that a stale one shows."""
    seen = {name: body.get(name) for name in ("model", "messages", "tools", "response_format", "temperature")}
    return hashlib.blake2b(json.dumps(seen, sort_keys=True).encode(), digest_size=6).hexdigest()


def default_answer(body: dict[str, Any]) -> Answer:
    """A fitting value where a schema or a submit tool is given, else a text; both hold the digest of the request."""
    text = f"answer {digest_of(body)}"
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        return Answer(text=json.dumps(minimal_value(form["json_schema"]["schema"], text)))
    for tool in body.get("tools") or []:
        function = tool["function"]
        if function["name"].startswith("submit"):
            value = minimal_value(function.get("parameters", {}), text)
            return Answer(calls=(Call(name=function["name"], arguments=json.dumps(value)),), finish="tool_calls")
    return Answer(text=text)


def completion(body: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """The answer to a request without `stream`."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = [_call(call, number) for number, call in enumerate(answer.calls)]
    choice = {"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": None}
    whole = {**_head(body, "chat.completion"), "choices": [choice]}
    usage = _usage(body, answer)
    return whole if usage is None else {**whole, "usage": usage}


def chunks(body: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    """The events of a streamed answer; without a finish reason they just stop."""
    yield _delta(body, {"role": "assistant", "content": ""})
    yield from text_chunks(body, answer.text, answer.piece)
    for number, call in enumerate(answer.calls):
        whole = _call(call, number)
        arguments = whole["function"].pop("arguments")
        whole["function"]["arguments"] = ""
        yield _delta(body, {"tool_calls": [{"index": number, **whole}]})
        for piece in _pieces(arguments, answer.piece):
            yield _delta(body, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
    if answer.finish is None:
        return
    yield _delta(body, {}, finish=answer.finish)
    usage = _usage(body, answer)
    if usage is not None and (body.get("stream_options") or {}).get("include_usage"):
        yield _event({**_head(body, "chat.completion.chunk"), "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def text_chunks(body: dict[str, Any], text: str, piece: int) -> Iterator[bytes]:
    for part in _pieces(text, piece):
        yield _delta(body, {"content": part})


def error_body(fail: Fail) -> dict[str, Any]:
    return {"error": {"message": fail.message, "type": fail.type, "param": None, "code": fail.code}}


def error_event(message: str, kind: str, code: str | None) -> bytes:
    return _event({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _call(call: Call, number: int) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id or f"call_{number + 1}", "type": "function", "function": function}


def _usage(body: dict[str, Any], answer: Answer) -> dict[str, Any] | None:
    tokens = answer.usage
    if tokens is None:
        return None
    if tokens == "counted":
        prompt = len(json.dumps([body.get("messages"), body.get("tools")])) // 4
        written = len(answer.text) + sum(len(call.name) + len(call.arguments) for call in answer.calls)
        tokens = Tokens(prompt=prompt, completion=max(1, written // 4))
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.prompt + tokens.completion,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }


def _head(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{digest_of(body)}", "object": kind, "created": _CREATED, "model": body.get("model", "")}


def _delta(body: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({**_head(body, "chat.completion.chunk"), "choices": [choice]})


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
