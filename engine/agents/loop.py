"""The turn loop of an agent step: model call, tool calls, until an answer or an error with a name.

It reaches models, store and clock through callables, so that budget, retries and persistence stay with the step. What
was done is kept in the AgentRun: after an error or a cancellation another `advance` goes on from there, and a model
call whose reply arrived is never made again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..errors import AgentError, ContextTooLong
from ..model import (
    JSON,
    NO_USAGE,
    FinishReason,
    Message,
    ModelInfo,
    ModelReply,
    ModelRequest,
    Observation,
    Role,
    ToolCall,
    Turn,
    Usage,
)
from ..ports import Checker, Hands
from . import failures, prompts
from .calls import Calls, parse_arguments
from .context import AgentContext, TellShortened
from .conversation import assistant_message, message_json
from .sending_back import followed_by, was_answer
from .structured import MAX_REPAIRS, Judged, PreparedSchema, judge, judge_text
from .task import AgentOutcome, AgentTask

__all__ = ["AgentOutcome", "AgentRun", "AgentTask"]

CallModel: TypeAlias = Callable[[ModelRequest], Awaitable[ModelReply]]
RecordTurn: TypeAlias = Callable[[Turn], Awaitable[None]]
RecordTools: TypeAlias = Callable[[tuple[ToolCall, ...]], Awaitable[None]]
_Seen: TypeAlias = tuple[str, str, str, int]  # a look, and how many edits there were before it


class _Open(Struct, kw_only=True):
    """A turn whose reply arrived and was not dealt with to its end."""

    turn: Turn
    finish: FinishReason
    message: Message
    submits: bool  # whether the answer comes by the submit tool, as the request asked for it or the reply has it
    work: tuple[ToolCall, ...] = ()  # that was done with the reply
    recorded: bool = False
    over: dict[int, ToolCall] = {}  # its tool calls that are not to be made again, by number
    seen: frozenset[int] = frozenset()  # those of them whose observations are known


class AgentRun:
    """One agent step under way.

    `record_turn` commits a turn before its tools run, `record_tools` their calls before the next turn. A cancellation
    while one of them waits may lead to the same records once more: they are the same rows. `tell_shortened` hears of
    outputs that are left out of the request that comes next.
    """

    def __init__(
        self,
        task: AgentTask,
        *,
        call_model: CallModel,
        record_turn: RecordTurn,
        record_tools: RecordTools,
        tell_shortened: TellShortened,
        hands: Hands,
        checker: Checker,
        clock: Callable[[], float],
        info: ModelInfo,
        works_alone: Callable[[str], bool] = lambda _model: False,
    ) -> None:
        """`works_alone` says of a model whether it is an agent CLI, whose replies come with work that is done."""
        self._task = task
        self._call_model = call_model
        self._record_turn = record_turn
        self._record_tools = record_tools
        self._hands = hands
        self._checker = checker
        self._clock = clock
        self._tools = {tool.spec.name: tool for tool in task.tools}
        self._context = AgentContext(task, info, tell_shortened)
        self._works_alone = works_alone
        self._work: ToolCall | None = None  # of the reply that comes
        self._open: _Open | None = None
        self.attempt = 1  # noted in the turns made from now on
        self._turns = 0
        self._usage = NO_USAGE
        self._observations: dict[_Seen, Observation] = {}  # in the order in which they were first made
        self._changed_aside = -1  # says which was the last change in a worktree: no other key has it
        self.sent_back = 0  # how many answers did not count, and were followed by `send_back`
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
        return tuple(self._observations.values())

    def go_on(self, turns: Sequence[Turn], observations: Sequence[Observation], kept: Sequence[ToolCall] = ()) -> None:
        """Take up a conversation where finished turns left it; the tools of the last one are run again, but for `kept`.

        `observations` are those of all turns before it and of `kept`, and hold. To be called once, before `advance`.
        """
        *before, last = turns
        self._turns = last.number
        self._observations = {(*_look(seen), -1 - number): seen for number, seen in enumerate(observations)}
        self._changed_aside = -1 - len(observations)
        self._usage = sum((turn.usage for turn in turns), NO_USAGE)
        self._repairs = sum(turn.counts and bool(turn.error) for turn in before if turn.model == self.model)
        self.sent_back = sum(was_answer(turn, in_schema=self._task.schema is not None) for turn in before)
        self._context.go_on([*before, replace(last, outcome="open")])
        # What the work of a program was is known with its call; without, it may be undone: then it works again.
        if last.counts and not (self._works_alone(last.model) and not kept):
            message = msgspec.json.decode(last.output, type=Message)
            self._open = _Open(
                turn=last,
                finish=FinishReason(last.outcome),
                message=message,
                submits=self._submits(message),
                recorded=True,
                over={call.number: call for call in kept},
                seen=frozenset(call.number for call in kept),
            )

    @property
    def unrecorded(self) -> Turn | None:
        """The turn whose reply arrived, where `record_turn` did not get it or was cut off."""
        return None if self._open is None or self._open.recorded else self._open.turn

    @property
    def model(self) -> str:
        """The one that is asked: the task's, or the fallback that took its place."""
        return self._context.model

    def use_model(self, model: str, info: ModelInfo) -> None:
        """Let another model go on with the conversation as it stands. It gets corrections and tries of its own."""
        self._context.use_model(model, info)
        self._repairs = self._empty = 0

    async def advance(self) -> AgentOutcome:
        """Go on until there is an answer. Raises AgentErrors, and what `call_model` raises.

        A call that raised left no turn, and the next `advance` makes it again.
        """
        while True:
            if self._open is None:
                self._open = await self._call()
            outcome = await self._settle(self._open)
            if outcome is not None:
                if self._open.work:
                    await self.record_answer()  # its work belongs to it
                return outcome

    async def record_answer(self) -> None:
        """Commit the turn that gave the answer, before something else comes of it."""
        assert self._open is not None
        await self._record(self._open)

    def saw(self, call: ToolCall) -> None:
        """What somebody else looked at or changed on behalf of this agent."""
        for seen in call.observations:
            self._see(seen)

    def send_back(self, text: str) -> None:
        """The answer that `advance` gave does not count: `text` says why, and the next `advance` goes on from there.

        It was recorded, and a turn is left.
        """
        current = self._open
        assert current is not None
        assert current.recorded
        self.sent_back += 1
        self._close(current, followed_by(current.message, text, lambda said: self._with_note(said, current)))

    async def _call(self) -> _Open:
        if not self.turns_left:
            raise failures.turn_limit(self._task, self._turns)
        context = self._context
        started_at = self._clock()
        self._work = None
        reply = await self._reply()
        turn = self.turn_of(reply, started_at)
        self._turns = turn.number
        message = assistant_message(reply, self._turns)
        self._usage += turn.usage
        context.answered(reply.usage)
        work = self._taken_work()
        return _Open(turn=turn, finish=reply.finish, message=message, submits=self._submits(message), work=work)

    def _taken_work(self) -> tuple[ToolCall, ...]:
        """What was done with the reply that has come."""
        work, self._work = self._work, None
        if work is None:
            return ()
        self.saw(work)
        return (work,)

    def turn_of(self, reply: ModelReply, started_at: float) -> Turn:
        """The next turn, if that is the reply."""
        context, number = self._context, self._turns + 1
        return Turn(
            step_id=self._task.step_id,
            number=number,
            attempt=self.attempt,
            model=context.model,
            input=context.pending_input(),
            output=message_json(assistant_message(reply, number)),
            outcome=reply.finish.value,
            started_at=started_at,
            finished_at=self._clock(),
            usage=reply.usage or NO_USAGE,
            makeup=context.makeup,
            shortened=context.shortened,
        )

    def worked(self, call: ToolCall) -> None:
        """The reply that comes next came with work that is done: it belongs to its turn."""
        self._work = call

    def _submits(self, message: Message) -> bool:
        """Also a model that was not asked to submit may: its row does not tell what it was asked."""
        if self._context.submits:
            return True
        return self._task.schema is not None and any(r.name == prompts.SUBMIT_TOOL for r in message.tool_requests)

    async def _reply(self) -> ModelReply:
        """One model call; turned away as too long, it is made again, shorter, while anything can be left out."""
        while True:
            request = self._context.request()
            try:
                return await self._call_model(request)
            except ContextTooLong as error:
                self._context.refused(error)

    @property
    def turns_left(self) -> int:
        return self._task.max_turns - self._turns

    # ------------------------------------------------------------ what a reply leads to

    async def _settle(self, current: _Open) -> AgentOutcome | None:
        """Deal with a reply. It may be called again for the same one, if it was cut off, until `_open` is cleared."""
        match current.finish:
            case FinishReason.LENGTH:
                error = failures.truncated(self._task, current.turn, current.message, self._context.answer_limit)
                raise await self._dropped(current, error)
            case FinishReason.CONTENT_FILTER:
                raise await self._dropped(current, failures.filtered())
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
        await self._record_unfit(current, judged.problems)
        self._repairs += 1
        say = prompts.submit_missing if current.submits else prompts.repair
        self._close(current, [Message(role=Role.USER, text=self._with_note(say(judged.problems), current))])
        return None

    async def _settle_requests(self, current: _Open) -> AgentOutcome | None:
        self._empty = 0
        submitted: dict[str, Judged] = {}
        if self._task.schema is not None and current.submits:
            for request in current.message.tool_requests:
                if request.name != prompts.SUBMIT_TOOL:
                    continue
                judged = await self._judge_arguments(self._task.schema, request.arguments)
                if not judged.problems:
                    return self._outcome(current, judged.answer)
                submitted[request.id] = judged
        problems = [problem for judged in submitted.values() for problem in judged.problems]
        if problems:
            await self._record_unfit(current, problems)
        else:
            await self._record(current)
        if not self.turns_left:  # no turn is left that could use what the tools say
            raise failures.turn_limit(self._task, self._turns)
        calls = Calls(
            step_id=self._task.step_id,
            turn=current.turn.number,
            tools=self._tools,
            hands=self._hands,
            clock=self._clock,
            answered={call_id: prompts.repair(judged.problems) for call_id, judged in submitted.items()},
            most_chars=self._context.turn_chars,
            over=current.over,
        )
        done = await calls.run(current.message.tool_requests)
        done = (*done[:-1], replace(done[-1], output=self._with_note(done[-1].output, current)))
        await self._record_tools(done)
        self._repairs += bool(problems)  # only now: a reply that was cut off before is dealt with again
        for call in done:
            if call.number not in current.seen:
                for seen in call.observations:
                    self._see(seen)
        self._close(current, [Message(role=Role.TOOL, text=call.output, tool_call_id=call.call_id) for call in done])
        return None

    def _see(self, observation: Observation) -> None:
        """Once for all the same looks with no edit in between; all of them count where one may have been."""
        if observation.aside:
            if observation.change is not None:
                self._changed_aside = -1 - len(self._observations)
            edits = self._changed_aside
        elif observation.change is not None:
            edits = observation.epoch
        else:
            edits = self._hands.edits_before(observation.epoch)
        self._observations.setdefault((*_look(observation), edits), observation)

    def _with_note(self, text: str, current: _Open) -> str:
        """`text`, and before the last turn of an agent with tools, that it is the last."""
        if self.turns_left > 1 or not self._tools:
            return text
        return f"{text}\n\n{prompts.last_turn(submit=current.submits)}"

    async def _judge_arguments(self, prepared: PreparedSchema, arguments: str) -> Judged:
        try:
            value = parse_arguments(arguments)
        except ValueError as error:
            return Judged(problems=(f"the arguments are not a JSON object: {error}",))
        return await judge(prepared, value, self._checker)

    async def _settle_empty(self, current: _Open) -> AgentOutcome | None:
        """Neither text nor tool calls, which providers send now and then: one more try, then an error to retry."""
        error = failures.empty()
        await self._record(current, outcome=error.kind, error="empty answer")
        self._open = None
        self._empty += 1
        if self._empty > 1:
            self._empty = 0
            raise error
        return None

    # ------------------------------------------------------------ what is kept of it

    async def _dropped(self, current: _Open, error: AgentError) -> AgentError:
        """Record a turn that ends in `error` and leave its answer out of the conversation."""
        await self._record(current, error=error.message)
        self._open = None
        return error

    async def _record_unfit(self, current: _Open, problems: Sequence[str]) -> None:
        """Record a turn whose answer has `problems`. Raises SchemaMismatch where no correction is left to the model."""
        if self._repairs < MAX_REPAIRS and self.turns_left:
            await self._record(current, error="; ".join(problems))
            return
        error = failures.mismatch(current.message, problems, self._repairs)
        # Not an answer that is shown again, should another model go on from here: nothing followed on it.
        await self._record(current, outcome=error.kind, error="; ".join(problems))
        self._open = None
        raise error

    async def _record(self, current: _Open, *, error: str = "", outcome: str | None = None) -> None:
        if not current.recorded:
            current.turn = replace(current.turn, error=error, outcome=outcome or current.turn.outcome)
            await self._record_turn(current.turn)
            current.recorded = True
            if current.work:
                await self._record_tools(current.work)

    def _close(self, current: _Open, following: Sequence[Message]) -> None:
        self._context.extend(current.turn.model, current.message, following)
        self._open = None

    def _outcome(self, current: _Open, answer: JSON) -> AgentOutcome:
        return AgentOutcome(
            answer=answer,
            last_turn=current.turn,
            turns=self._turns,
            observations=self.observations,
            usage=self._usage,
        )


def _look(seen: Observation) -> tuple[str, str, str]:
    return seen.tool, seen.arguments, seen.digest
