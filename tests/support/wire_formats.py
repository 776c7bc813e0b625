"""The formats that the loopback server speaks, and what it does alike in each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

from tests.support.anthropic_wire import AnthropicFormat
from tests.support.behaviours import Answer, Call, Tokens
from tests.support.neutral import Conversation, WireFormat
from tests.support.openai_wire import OpenAIFormat
from vibe_workflows.engine.backends.schema_values import small_value

FORMATS: tuple[WireFormat, ...] = (OpenAIFormat(), AnthropicFormat())


def format_of(path: str) -> WireFormat:
    """The format that is served at `path`. Raises LookupError where there is none."""
    for one in FORMATS:
        if path.partition("?")[0].endswith(one.path):
            return one
    raise LookupError(path)


def default_answer(asked: Conversation) -> Answer:
    """A fitting value where a schema or a submit tool is given, else a text; both hold a digest of what was asked."""
    text = f"answer {digest_of(asked)}"
    if asked.schema is not None:
        return Answer(text=json.dumps(small_value(asked.schema, text)))
    for tool in asked.tools:
        if tool.name.startswith("submit"):
            value = small_value(tool.parameters, text)
            return Answer(calls=(Call(name=tool.name, arguments=json.dumps(value)),), finish="tool_calls")
    return Answer(text=text)


def digest_of(asked: Conversation) -> str:
    """A short hash of all that shapes an answer, so that a stale one shows."""
    seen = json.dumps(asdict(asked), sort_keys=True, default=bytes.hex)
    return hashlib.blake2b(seen.encode(), digest_size=6).hexdigest()


def settled(answer: Answer, asked: Conversation) -> Answer:
    """`answer` with its usage counted and an id for each call, so that the record shows what was sent."""
    calls = tuple(replace(call, id=call.id or f"call_{number}") for number, call in enumerate(answer.calls, 1))
    usage = _counted(answer, asked) if answer.usage == "counted" else answer.usage
    return replace(answer, calls=calls, usage=usage)


def _counted(answer: Answer, asked: Conversation) -> Tokens:
    prompt = len(asked.system) + sum(
        len(message.text) + sum(len(call.arguments) for call in message.calls) for message in asked.messages
    )
    prompt += sum(len(json.dumps(asdict(tool))) for tool in asked.tools)
    thought = sum(len(one.text) for one in answer.thinking) // 4
    written = len(answer.text) + sum(len(call.name) + len(call.arguments) for call in answer.calls)
    return Tokens(prompt=max(1, prompt // 4), completion=thought + max(1, written // 4), reasoning=thought)
