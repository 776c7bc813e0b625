"""Conversations that a model's server makes up, and what the rows of a step must say of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.support.agents import read_messages, transcript
from tests.support.behaviours import Answer, Behaviour, Call, Drop, Fail, StreamError, Thought, Tokens
from tests.support.exchanges import SeenRequest, SentAnswer
from tests.support.neutral import SeenMessage, SeenTool
from tests.support.works import StoredStep
from vibe_workflows.engine.agents.prompts import SUBMIT_TOOL
from vibe_workflows.engine.model import Message, Role, ToolSpec, Turn, Usage

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}

#: What litellm offers Anthropic for a conversation with calls but no tools: there the API wants one.
ADDED_TOOL = "dummy_tool"

#: Models of both formats, with a JSON-schema mode and without one.
MODELS = ("openai/test-model", "openai/gpt-4.1", "anthropic/test-model", "anthropic/claude-sonnet-4-5")

CALLS = st.builds(
    lambda call, name: Call(name=call[0], arguments=call[1], id=name),
    st.sampled_from(
        [
            ("read_file", '{"path":"a.txt"}'),
            ("read_file", '{"path": "none", "offset": 1}'),
            ("read_file", '{"path":"../out"}'),
            ("read_file", '{"path":".env"}'),
            ("list_files", "{}"),
            ("list_files", ""),
            ("glob", '{"pattern":"*"}'),
            ("grep", '{"pattern":"ä","limit":1}'),
            ("grep", '{"pattern":"("}'),
            ("grep", "no json"),
            ("grep", "[1]"),
            ("glob", '{"n":1}'),
            ("unknown", '{"a": {"b": [1, null, "ü"]}}'),
            (SUBMIT_TOOL, '{"n":1}'),
            (SUBMIT_TOOL, '{"n":"x"}'),
            (SUBMIT_TOOL, "no json"),
        ]
    ),
    st.sampled_from(["", "a", "b", "c"]),
)
TEXTS = st.sampled_from(
    ["", " ", "text", "two\n\nlines \U0001f600", '{"n": 1}', '{"n": "x"}', '```json\n{"n": 2}\n```']
)
#: Anthropic's are signed, stored as they came, and wanted back; OpenAI's format has a text that nobody wants back.
THOUGHTS: st.SearchStrategy[tuple[Thought, ...]] = st.sampled_from(
    [
        (),
        (),
        (Thought(text="let me see"),),
        (Thought(text="first", signature="czE="), Thought(redacted="c2VjcmV0", signature="")),
    ]
)
USAGES = st.sampled_from(["counted", None, Tokens(prompt=900, completion=70, cached=512, reasoning=30)])
ANSWERS = st.builds(
    Answer,
    text=TEXTS,
    calls=(st.lists(CALLS, min_size=1, max_size=4) | st.lists(CALLS, max_size=1)).map(tuple),
    thinking=THOUGHTS,
    finish=st.sampled_from(["tool_calls"] * 12 + ["stop", "stop", "length", "content_filter", None]),
    usage=USAGES,
    piece=st.sampled_from([1, 5, 64]),
)
FAILURES: st.SearchStrategy[Behaviour] = st.sampled_from(
    [
        Fail(status=429),
        Fail(status=500),
        Fail(status=529),
        Drop(),
        Drop(text="half an ans"),
        StreamError(text="half"),
    ]
)
#: What the server does, one a request; after these it answers as it should.
CONVERSATIONS = st.lists(ANSWERS | ANSWERS | ANSWERS | FAILURES, max_size=10)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and what the server did to it. `reply` is None where that was no whole answer."""

    request: SeenRequest
    reply: Answer | None
    turned_away: bool = False  # by a rate limit

    @classmethod
    def of(cls, request: SeenRequest, answer: SentAnswer) -> Exchange:
        sent = answer.behaviour
        whole = isinstance(sent, Answer) and answer.whole and sent.finish is not None
        turned_away = isinstance(sent, Fail) and sent.status == 429
        return cls(request, sent if isinstance(sent, Answer) and whole else None, turned_away)

    @property
    def anthropic(self) -> bool:
        return self.request.path.endswith("/messages")

    @property
    def no_arguments(self) -> str:
        """What a call without any text for its arguments has: in Anthropic's format its block begins with an object."""
        return "{}" if self.anthropic else ""


def check_stored(
    stored: StoredStep, exchanges: Sequence[Exchange], tools: Sequence[ToolSpec], schema: dict[str, Any] | None
) -> None:
    """Hold the rows of one step, with these tools and answer schema, against all that its server saw and sent."""
    for exchange in exchanges:
        _check_offer(exchange, tools, schema)
    replies = [each for each in exchanges if each.reply is not None]
    assert [turn.number for turn in stored.turns] == list(range(1, len(replies) + 1))
    for turn, exchange in zip(stored.turns, replies, strict=True):
        _check_reply(turn, exchange)
    _check_requests(stored, exchanges)
    _check_calls(stored)
    _check_sums(stored, exchanges)


def _check_offer(exchange: Exchange, tools: Sequence[ToolSpec], schema: dict[str, Any] | None) -> None:
    """Each request offered the tools of the step as they are, and asked for its schema in one way or the other."""
    asked = exchange.request.conversation()
    expected = [SeenTool(name=each.name, description=each.description, parameters=each.parameters) for each in tools]
    offered = [tool for tool in asked.tools if tool.name != ADDED_TOOL]
    if schema is not None and asked.schema is None:
        assert (offered.pop().name, schema) == (SUBMIT_TOOL, asked.tools[-1].parameters)
    else:
        assert asked.schema == schema
    assert offered == expected


def _check_reply(turn: Turn, exchange: Exchange) -> None:
    """A turn's output and usage are the answer that was sent."""
    reply = exchange.reply
    assert reply is not None
    message = msgspec.json.decode(turn.output, type=Message)
    assert message.role is Role.ASSISTANT
    assert message.text == reply.text
    assert [(each.name, each.arguments) for each in message.tool_requests] == [
        (call.name, call.arguments or exchange.no_arguments) for call in reply.calls
    ]
    assert _thoughts(message) == (reply.thinking if exchange.anthropic else ())
    ids = [call.id for call in reply.calls]
    for request, sent in zip(message.tool_requests, ids, strict=True):
        assert request.id == sent or ids.count(sent) > 1
    assert len({request.id for request in message.tool_requests}) == len(ids)
    if isinstance(reply.usage, Tokens):
        tokens = reply.usage
        assert turn.usage == Usage(
            input_tokens=tokens.prompt,
            output_tokens=tokens.completion,
            cached_tokens=tokens.cached,
            reasoning_tokens=tokens.reasoning,
            cost_microusd=turn.usage.cost_microusd,
        )
    else:
        assert turn.usage.estimated


def _check_requests(stored: StoredStep, exchanges: Sequence[Exchange]) -> None:
    """Each request held the conversation of the turns before it and what its own turn says was added."""
    made = 0
    for exchange in exchanges:
        asked = exchange.request.conversation()
        expected = transcript(stored.turns[:made])
        if made < len(stored.turns):
            expected += read_messages(stored.turns[made].input)
        seen = list(asked.messages)
        system = [message.text for message in expected if message.role is Role.SYSTEM]
        if made < len(stored.turns):
            assert [asked.system] == (system or [""])
        else:  # its call failed, and none came after it: what it added is in no turn
            seen = seen[: len(expected) - len(system)]
        assert [_comparable(message, exchange) for message in seen] == [
            _as_seen(message, exchange) for message in expected if message.role is not Role.SYSTEM
        ]
        made += exchange.reply is not None


def _as_seen(message: Message, exchange: Exchange) -> Any:
    calls = [(each.id, each.name, _arguments(each.arguments, exchange)) for each in message.tool_requests]
    text = message.text if message.text.strip() else ""  # a blank one beside calls is left out
    return message.role.value, text, calls, message.tool_call_id, _thoughts(message)


def _comparable(message: SeenMessage, exchange: Exchange) -> Any:
    calls = [(each.id, each.name, _arguments(each.arguments, exchange)) for each in message.calls]
    return message.role, message.text, calls, message.call_id, message.thinking


def _thoughts(message: Message) -> tuple[Thought, ...]:
    """Stored blocks as what the server sends and reads."""
    return tuple(
        Thought(redacted=str(block["data"]), signature="")
        if block["type"] == "redacted_thinking"
        else Thought(text=str(block["thinking"]), signature=str(block["signature"]))
        for block in message.thinking
    )


def _arguments(text: str, exchange: Exchange) -> Any:
    """Anthropic's format has objects only: others are wrapped on the way."""
    if not exchange.anthropic:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return {"invalid_arguments": text}
    return value if isinstance(value, dict) else {"invalid_arguments": text}


def _check_calls(stored: StoredStep) -> None:
    """Calls are recorded for the requests as they stand in the output, and their text is what the model got."""
    for number, turn in enumerate(stored.turns, 1):
        following = stored.turns[number] if number < len(stored.turns) else None
        requests = msgspec.json.decode(turn.output, type=Message).tool_requests
        calls = [call for call in stored.calls if call.turn == turn.number]
        if calls:
            assert [(call.number, call.call_id, call.name, call.arguments) for call in calls] == [
                (place, each.id, each.name, each.arguments) for place, each in enumerate(requests, 1)
            ]
        if following is None:
            continue
        results = [message for message in read_messages(following.input) if message.role is Role.TOOL]
        assert [(call.call_id, call.output) for call in calls] == [(each.tool_call_id, each.text) for each in results]


def _check_sums(stored: StoredStep, exchanges: Sequence[Exchange]) -> None:
    """A call that failed leaves no turn, and is paid for only where it had begun to answer.

    It ends an attempt, unless it was turned away by a rate limit: then the same attempt makes it again.
    """
    failed = [each for each in exchanges if each.reply is None]
    ended = [each for each in stored.attempts if each.fault is not None]
    assert len([each for each in failed if not each.turned_away]) <= len(ended) <= len(failed) + len(stored.turns)
    assert stored.step.turns == len(stored.turns)
    assert stored.step.usage == sum((each.usage for each in stored.attempts), Usage())
    spent = sum(turn.usage.tokens for turn in stored.turns)
    assert stored.step.usage.tokens >= spent
    if not failed:
        assert stored.step.usage.tokens == spent
