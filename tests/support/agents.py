"""An agent run whose model is a list of replies, with everything that crossed its edges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from vibe_workflows.engine.agents.conversation import Shortening
from vibe_workflows.engine.agents.loop import AgentOutcome, AgentRun, AgentTask
from vibe_workflows.engine.agents.structured import PreparedSchema, prepare_schema
from vibe_workflows.engine.backends.estimate import request_tokens
from vibe_workflows.engine.errors import ContextTooLong
from vibe_workflows.engine.journal import Journal, Observers
from vibe_workflows.engine.model import (
    FinishReason,
    Message,
    ModelInfo,
    ModelReply,
    ModelRequest,
    Role,
    RunId,
    StepId,
    ToolCall,
    ToolRequest,
    Turn,
    Usage,
)
from vibe_workflows.engine.ports import Checker, Tool

from .checking import PlainChecker
from .hands import hands, new_project
from .kept_records import KeptRecords

Replies: TypeAlias = Sequence[ModelReply | Exception]

USAGE = Usage(input_tokens=10, output_tokens=3, cost_microusd=7)


def says(text: str, finish: FinishReason = FinishReason.STOP) -> ModelReply:
    return ModelReply(text=text, finish=finish, usage=USAGE, model="the-model")


def asks(*requests: tuple[str, str], text: str = "") -> ModelReply:
    """A reply that requests tools: (name, arguments) each, with ids by position."""
    return ModelReply(
        text=text,
        finish=FinishReason.TOOL_CALLS,
        usage=USAGE,
        tool_requests=tuple(
            ToolRequest(id=f"id{number}", name=name, arguments=arguments)
            for number, (name, arguments) in enumerate(requests, 1)
        ),
    )


async def _nothing(event: str) -> None:
    return None


@dataclass
class Bench:
    """Runs one AgentRun. `seen` is what the model saw, `replied` what it said (None: it raised), `turns` and `calls`
    what was recorded, as rows."""

    replies: Replies
    tools: tuple[Tool, ...] = ()
    schema: Any = None
    native: bool = True
    checker: Checker = field(default_factory=PlainChecker)
    max_turns: int = 30
    system: str = "system"
    context: str = ""
    window: int | None = None  # that is known of the model
    limit: int | None = None  # the real one: longer prompts are turned away
    max_tokens: int = 100
    works_alone: bool = False  # as agent CLIs do
    at: Callable[[str], Awaitable[None]] = _nothing  # called at every edge, for tests that cancel there
    seen: list[ModelRequest] = field(default_factory=list)
    replied: list[ModelReply | None] = field(default_factory=list)
    turns: dict[int, Turn] = field(default_factory=dict)
    calls: dict[tuple[int, int], ToolCall] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    shortened: list[Shortening] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # which of `seen` were turned away as too long
    errors: list[Exception] = field(default_factory=list)  # for tests that go on after one
    asked: int = 0  # how many of `replies` were taken
    now: float = 0.0
    run: AgentRun | None = None

    async def start(self) -> AgentRun:
        prepared: PreparedSchema | None = None
        if self.schema is not None:
            prepared = await prepare_schema(self.schema, self.checker)
        task = AgentTask(
            step_id=StepId("s1"),
            model="asked-model",
            system=self.system,
            context=self.context,
            prompt="do it",
            schema=prepared,
            tools=self.tools,
            max_tokens=self.max_tokens,
            max_turns=self.max_turns,
            timeout_s=60,
            temperature=0.5,
            effort="low",
        )
        self.run = AgentRun(
            task,
            call_model=self._call_model,
            record_turn=self._record_turn,
            record_tools=self._record_tools,
            tell_shortened=self.shortened.append,
            hands=hands(new_project(Journal(RunId("r1"), KeptRecords(), Observers([]), self._clock))),
            checker=self.checker,
            clock=self._clock,
            info=self.info(),
            works_alone=lambda _model: self.works_alone,
        )
        return self.run

    def info(self, **differing: Any) -> ModelInfo:
        """Of the model that is asked first, or of another one."""
        known = {"native_schema": self.native, "max_input_tokens": self.window, **differing}
        return ModelInfo(input_price=None, output_price=None, **known)

    async def advance(self) -> AgentOutcome:
        return await (self.run or await self.start()).advance()

    def _clock(self) -> float:
        self.now += 1
        return self.now

    async def _call_model(self, request: ModelRequest) -> ModelReply:
        await self.at("call")
        if self.limit is not None and request_tokens(request) > self.limit:
            reply: ModelReply | Exception = ContextTooLong("the-host: too long")
        else:
            reply = self.replies[self.asked]
            self.asked += 1
        self.seen.append(request)
        if isinstance(reply, ContextTooLong):
            self.refused.append(len(self.seen) - 1)
        if isinstance(reply, Exception):
            self.replied.append(None)
            self.log.append("raised")
            raise reply
        self.replied.append(reply)
        self.log.append(f"reply {sum(each is not None for each in self.replied)}")
        return reply

    async def _record_turn(self, turn: Turn) -> None:
        self.turns[turn.number] = turn
        self.log.append(f"turn {turn.number}")
        await self.at("turn")

    async def _record_tools(self, calls: tuple[ToolCall, ...]) -> None:
        self.calls.update({(call.turn, call.number): call for call in calls})
        self.log.append(f"tools {calls[0].turn}")
        await self.at("tools")


def transcript(turns: Sequence[Turn]) -> list[Message]:
    """The conversation that stored turns tell of, by the rule of conversation.py: all that was said, at full length."""
    return [message for _, message in _told(turns)]


def sent_at(turns: Sequence[Turn], last: Turn) -> list[Message]:
    """What the model was sent at turn `last`, by the same rule; `turns` are those before it."""
    messages: list[Message] = []
    calls = 0
    ids: dict[str | None, str] = {}
    for author, message in [*_told(turns), *(("", message) for message in read_messages(last.input))]:
        if message.role is Role.ASSISTANT:
            numbers = range(calls + 1, calls + 1 + len(message.tool_requests))
            names = [f"call{number:05}" for number in numbers]
            calls += len(names)
            ids = {}
            if author != last.model:
                ids = {call.id: name for call, name in zip(message.tool_requests, names, strict=True)}
                named = tuple(replace(call, id=ids[call.id]) for call in message.tool_requests)
                message = replace(message, thinking=(), tool_requests=named)
        elif message.role is Role.TOOL:
            message = replace(message, tool_call_id=ids.get(message.tool_call_id, message.tool_call_id))
        messages.append(message)
    for turn in [*turns, last]:
        for place in turn.shortened:
            messages[place.message] = replace(messages[place.message], text=place.text)
    return messages


def _told(turns: Sequence[Turn]) -> list[tuple[str, Message]]:
    """Each message with the model that wrote it; "" for those that no model did."""
    messages: list[tuple[str, Message]] = []
    for turn in turns:
        messages += [("", message) for message in read_messages(turn.input)]
        if turn.outcome in ("stop", "tool_calls"):
            messages.append((turn.model, msgspec.json.decode(turn.output, type=Message)))
    return messages


def read_messages(text: str) -> list[Message]:
    return msgspec.json.decode(text, type=list[Message])
