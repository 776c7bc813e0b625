"""The turn loop of an agent step: model call, tool calls, until an answer or an error with a name.

It reaches models, store and clock through callables, so that budget, retries and persistence stay with the step. What
was done is kept in the AgentRun: after an error or a cancellation another `advance` goes on from there, and a model
call whose reply arrived is never made again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

from ..errors import AgentError, ProviderError, Refused, SchemaMismatch, Truncated, TurnLimit
from ..model import (
    JSON,
    NO_USAGE,
    FilePart,
    FinishReason,
    Message,
    ModelInfo,
    ModelReply,
    ModelRequest,
    Observation,
    Role,
    StepId,
    ToolCall,
    Turn,
    Usage,
)
from ..ports import Checker, Tool
from . import prompts
from .calls import Calls, parse_arguments
from .conversation import Conversation, assistant_message, message_json, opening
from .structured import MAX_REPAIRS, Judged, PreparedSchema, judge, judge_text

CallModel: TypeAlias = Callable[[ModelRequest], Awaitable[ModelReply]]
RecordTurn: TypeAlias = Callable[[Turn], Awaitable[None]]
RecordTools: TypeAlias = Callable[[tuple[ToolCall, ...]], Awaitable[None]]

_SHOWN_CHARS = 500


class AgentTask(Struct, frozen=True, kw_only=True):
    """What one agent step is to do. Without a schema the answer is a text."""

    step_id: StepId
    model: str
    prompt: str
    max_tokens: int
    max_turns: int
    timeout_s: float  # of one model call
    system: str = ""
    context: str = ""
    schema: PreparedSchema | None = None
    tools: tuple[Tool, ...] = ()
    temperature: float | None = None
    effort: str | None = None
    files: tuple[FilePart, ...] = ()
    contents: Mapping[str, bytes] = {}  # of `files`, by digest


class AgentOutcome(Struct, frozen=True, kw_only=True):
    """An answer. `last_turn` is the turn that gave it: the only one that was not recorded."""

    answer: JSON
    last_turn: Turn
    turns: int
    observations: tuple[Observation, ...]
    usage: Usage


class _Open(Struct, kw_only=True):
    """A turn whose reply arrived and was not dealt with to its end."""

    turn: Turn
    finish: FinishReason
    message: Message
    recorded: bool = False


class AgentRun:
    """One agent step under way.

    `record_turn` commits a turn before its tools run, `record_tools` their calls before the next turn. A cancellation
    while one of them waits may lead to the same records once more: they are the same rows.
    """

    def __init__(
        self,
        task: AgentTask,
        *,
        call_model: CallModel,
        record_turn: RecordTurn,
        record_tools: RecordTools,
        checker: Checker,
        clock: Callable[[], float],
        info: ModelInfo,
    ) -> None:
        self._task = task
        self._call_model = call_model
        self._record_turn = record_turn
        self._record_tools = record_tools
        self._checker = checker
        self._clock = clock
        self._model = task.model
        self._info = info
        self._tools = {tool.spec.name: tool for tool in task.tools}
        self._conversation = Conversation(opening(task.system, task.context, task.prompt, task.files))
        self._open: _Open | None = None
        self.attempt = 1  # noted in the turns made from now on
        self._turns = 0
        self._usage = NO_USAGE
        self._observations: dict[Observation, None] = {}  # in the order in which they were first made
        self._repairs = 0
        self._empty = 0  # replies without anything in them, in a row

    @property
    def turns(self) -> int:
        return self._turns

    @property
    def usage(self) -> Usage:
        """Of all turns so far, those of failed attempts included."""
        return self._usage

    @property
    def observations(self) -> tuple[Observation, ...]:
        return tuple(self._observations)

    @property
    def unrecorded(self) -> Turn | None:
        """The turn whose reply arrived, where `record_turn` did not get it or was cut off."""
        return None if self._open is None or self._open.recorded else self._open.turn

    @property
    def model(self) -> str:
        """The one that is asked: the task's, or the fallback that took its place."""
        return self._model

    def use_model(self, model: str, info: ModelInfo) -> None:
        """Let another model go on with the conversation as it stands."""
        self._model = model
        self._info = info

    async def advance(self) -> AgentOutcome:
        """Go on until there is an answer. Raises AgentErrors, and what `call_model` raises.

        A call that raised left no turn, and the next `advance` makes it again.
        """
        while True:
            if self._open is None:
                self._open = await self._call()
            outcome = await self._settle(self._open)
            if outcome is not None:
                return outcome

    async def _call(self) -> _Open:
        if self._turns >= self._task.max_turns:
            raise self._turn_limit()
        request = self._request()
        started_at = self._clock()
        reply = await self._call_model(request)
        self._turns += 1
        message = assistant_message(reply, self._turns)
        turn = Turn(
            step_id=self._task.step_id,
            number=self._turns,
            attempt=self.attempt,
            model=reply.model or self._model,
            input=self._conversation.pending_input(),
            output=message_json(message),
            outcome=reply.finish.value,
            started_at=started_at,
            finished_at=self._clock(),
            usage=reply.usage or NO_USAGE,
        )
        self._usage += turn.usage
        self._conversation.sent()
        return _Open(turn=turn, finish=reply.finish, message=message)

    def _request(self) -> ModelRequest:
        task, prepared = self._task, self._task.schema
        specs = tuple(tool.spec for tool in task.tools)
        native = prepared is not None and self._info.native_schema
        return ModelRequest(
            model=self._model,
            messages=self._conversation.messages,
            max_tokens=task.max_tokens,
            timeout_s=task.timeout_s,
            tools=specs if prepared is None or native else (*specs, prepared.submit_tool),
            schema=prepared.schema if prepared is not None and native else None,
            temperature=task.temperature,
            effort=task.effort,
            contents=dict(task.contents),
        )

    async def _settle(self, current: _Open) -> AgentOutcome | None:
        """Deal with a reply. It may be called again for the same one, if it was cut off, until `_open` is cleared."""
        match current.finish:
            case FinishReason.LENGTH:
                raise await self._dropped(current, self._truncated(current.turn))
            case FinishReason.CONTENT_FILTER:
                raise await self._dropped(
                    current, Refused("the provider's content filter stopped the answer; rephrase the prompt or context")
                )
            case FinishReason.STOP | FinishReason.TOOL_CALLS:
                pass
            case _ as unreachable:
                assert_never(unreachable)
        if current.message.tool_requests:
            return await self._settle_requests(current)
        if not current.message.text.strip():
            return await self._settle_empty(current)
        self._empty = 0
        if self._task.schema is None:
            return self._outcome(current, current.message.text)
        return await self._settle_text(current, self._task.schema)

    async def _settle_text(self, current: _Open, prepared: PreparedSchema) -> AgentOutcome | None:
        judged = await judge_text(prepared, current.message.text, self._checker)
        if not judged.problems:
            return self._outcome(current, judged.answer)
        await self._record(current, error="; ".join(judged.problems))
        self._check_repairs(current, judged.problems)
        self._repairs += 1
        say = prompts.repair if self._info.native_schema else prompts.submit_missing
        self._close(current, [Message(role=Role.USER, text=say(judged.problems))])
        return None

    async def _settle_requests(self, current: _Open) -> AgentOutcome | None:
        self._empty = 0
        submitted: dict[str, Judged] = {}
        if self._task.schema is not None and not self._info.native_schema:
            for request in current.message.tool_requests:
                if request.name != prompts.SUBMIT_TOOL:
                    continue
                judged = await self._judge_arguments(self._task.schema, request.arguments)
                if not judged.problems:
                    return self._outcome(current, judged.answer)
                submitted[request.id] = judged
        problems = [problem for judged in submitted.values() for problem in judged.problems]
        await self._record(current, error="; ".join(problems))
        if problems:
            self._check_repairs(current, problems)
        if self._turns >= self._task.max_turns:
            raise self._turn_limit()  # no turn is left that could use what the tools say
        calls = Calls(
            step_id=self._task.step_id,
            turn=current.turn.number,
            tools=self._tools,
            clock=self._clock,
            answered={call_id: prompts.repair(judged.problems) for call_id, judged in submitted.items()},
        )
        done = await calls.run(current.message.tool_requests)
        await self._record_tools(done)
        self._repairs += bool(problems)  # only now: a reply that was cut off before is dealt with again
        self._observations.update((call.observation, None) for call in done if call.observation is not None)
        self._close(current, [Message(role=Role.TOOL, text=call.output, tool_call_id=call.call_id) for call in done])
        return None

    async def _judge_arguments(self, prepared: PreparedSchema, arguments: str) -> Judged:
        try:
            value = parse_arguments(arguments)
        except ValueError as error:
            return Judged(problems=(f"the arguments are not a JSON object: {error}",))
        return await judge(prepared, value, self._checker)

    async def _settle_empty(self, current: _Open) -> AgentOutcome | None:
        """Neither text nor tool calls, which providers send now and then: one more try, then an error to retry."""
        error = ProviderError("the model answered with nothing, twice in a row", retryable=True)
        await self._record(current, outcome=error.kind, error="empty answer")
        self._open = None
        self._empty += 1
        if self._empty > 1:
            self._empty = 0
            raise error
        return None

    async def _dropped(self, current: _Open, error: AgentError) -> AgentError:
        """Record a turn that ends in `error` and leave its answer out of the conversation."""
        await self._record(current, error=error.message)
        self._open = None
        return error

    async def _record(self, current: _Open, *, error: str = "", outcome: str | None = None) -> None:
        if not current.recorded:
            current.turn = replace(current.turn, error=error, outcome=outcome or current.turn.outcome)
            await self._record_turn(current.turn)
            current.recorded = True

    def _close(self, current: _Open, following: Sequence[Message]) -> None:
        self._conversation.reply(current.message)
        self._conversation.add(following)
        self._open = None

    def _check_repairs(self, current: _Open, problems: Sequence[str]) -> None:
        """Raises SchemaMismatch where the model has no correction left."""
        if self._repairs < MAX_REPAIRS and self._turns < self._task.max_turns:
            return
        self._open = None
        came = current.message.text or "; ".join(request.arguments for request in current.message.tool_requests)
        after = f"after {self._repairs} corrections" if self._repairs else "and max_turns leaves no turn to correct it"
        raise SchemaMismatch(
            f"the answer does not fit the schema, {after}: {'; '.join(problems)}; it was: {came[:_SHOWN_CHARS]}"
        )

    def _outcome(self, current: _Open, answer: JSON) -> AgentOutcome:
        return AgentOutcome(
            answer=answer,
            last_turn=current.turn,
            turns=self._turns,
            observations=self.observations,
            usage=self._usage,
        )

    def _turn_limit(self) -> TurnLimit:
        return TurnLimit(
            f"no answer after {self._turns} turns (max_turns={self._task.max_turns}); "
            "raise max_turns=, or give the agent a narrower task"
        )

    def _truncated(self, turn: Turn) -> Truncated:
        return Truncated(
            f"the answer was cut off after {turn.usage.output_tokens:,} tokens (max_tokens={self._task.max_tokens:,}); "
            "raise max_tokens=, or ask for less at once"
        )
