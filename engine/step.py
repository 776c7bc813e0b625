"""One live step, from its spec to its outcome: attempts, time limit, and the records of what happened.

A step commits each turn before its tools run; its answer, its last turn and its delivery share one transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from .agents.conversation import Shortening, files_of
from .agents.loop import AgentOutcome, AgentRun, AgentTask
from .agents.tools.arguments import BadArguments
from .attempts import Answering, Attempts
from .errors import SetupError, StepFault, Timeout
from .events import ContextShortened, TurnFinished
from .keys import canonical_json
from .live_step import Give, LiveStep, StepOutcome, StepServices
from .model import (
    NO_USAGE,
    Fault,
    FilePart,
    ModelReply,
    ModelRequest,
    Observation,
    Step,
    StepId,
    StepKind,
    StepStatus,
    ToolCall,
    Turn,
)
from .ports import CommandTool, CutOffStep, EditingTool, Hands, Record, ToolResult
from .time_limit import TimeLimit
from .timeline.hands import StepHands


class StepWork:
    """Does one live step. `run` returns its outcome, a failure too; `cancelled` is that of one that was cut off."""

    def __init__(self, item: LiveStep, services: StepServices) -> None:
        self._item = item
        self._services = services
        self._limit = TimeLimit(item.timeout_s)
        self._attempts = Attempts(item, services, self._limit)
        self._started_at = services.wall_clock()
        self._turns = 0
        self._agent: AgentRun | None = None
        self._hands: Hands = StepHands(services.project, item.witness, item.number, self._begun)
        self._files: tuple[FilePart, ...] = ()
        self._looked: tuple[Observation, ...] = ()  # at these files, before the first turn
        self._attempt_after = item.attempt_after
        self._gone_on_with: StepId | None = None
        self._judged: ToolCall | None = None  # by its gate, before it was cut off
        self._earlier = NO_USAGE  # of the step that this one goes on with
        self._stored_running = False
        self._patch: str | None = None
        self._counted = False

    async def run(self) -> StepOutcome:
        item, budget = self._item, self._services.budget
        try:
            with trio.CancelScope(deadline=budget.ends_at(item.budget)) as seconds:
                with self._limit.running():
                    async with self._prepared():
                        budget.start_step(item.budget)
                        self._counted = True
                        return await self._work()
                late = Timeout(f"{item.label}: no answer within {item.timeout_s:g} s; raise timeout=, or ask for less")
                return self._failed(late, StepStatus.TIMED_OUT)
        except StepFault as error:
            return self._failed(error, StepStatus.FAILED)
        assert seconds.cancelled_caught
        return self._failed(budget.out_of_time(item.budget), StepStatus.FAILED)

    def cancelled(self) -> StepOutcome:
        return self._outcome(StepStatus.CANCELLED, None, None, ())

    @asynccontextmanager
    async def _prepared(self) -> AsyncIterator[None]:
        """What comes before it counts as a step: one whose files cannot be had never began."""
        if self._item.spec.files:
            await self._take_files(self._services.project.give)
        yield

    async def _work(self) -> StepOutcome:
        return await (self._run_tool() if self._item.spec.kind is StepKind.TOOL else self._run_agent())

    # ------------------------------------------------------------ the two kinds of work

    async def _run_tool(self) -> StepOutcome:
        spec, tool = self._item.spec, self._item.tools[0]
        assert isinstance(spec.arguments, dict)
        seen: Sequence[Observation | None]
        if isinstance(tool, CommandTool):
            outcome, seen = await self._hands.command(tool, spec.arguments, self._edited)
        elif isinstance(tool, EditingTool):
            outcome, *seen = await self._hands.edit(tool, spec.arguments, self._edited)
        else:
            outcome, *seen = await self._hands.look(tool, spec.arguments)
        if isinstance(outcome, BadArguments):  # the script's mistake: no fan-out should turn it into a value
            told = outcome.message.removeprefix(f"{tool.spec.name}: ")
            raise SetupError(f"tool {tool.spec.name}: {told}") from outcome
        if not isinstance(outcome, ToolResult):
            raise outcome
        observations = tuple([each for each in seen if each is not None])
        return self._outcome(StepStatus.COMPLETED, _json_text(outcome), None, (), observations)

    def _edited(self, result: ToolResult, seen: Sequence[Observation]) -> Sequence[Record]:
        """A tool's edits and its answer are one: whoever finds them on the disk finds the step completed."""
        return [self._step(StepStatus.COMPLETED, _json_text(result), None, tuple(seen))]

    async def _take_files(self, give: Give) -> None:
        """Look at the files that go along."""
        item = self._item
        if item.refused is not None:
            raise item.refused
        earlier = None if item.cut_off is None else partial(self._files_of, item.cut_off)
        look = self._services.attachments.look
        self._files, self._looked = await give(item.witness, item.spec.files, look, earlier=earlier)

    def _files_of(self, cut_off: CutOffStep) -> tuple[FilePart, ...]:
        return files_of(self._services.finished_turns(cut_off.id))

    async def _run_agent(self) -> StepOutcome:
        if not self._files:
            return await self._answer({})
        async with self._services.attachments.held(self._files) as contents:
            return await self._answer(contents)

    async def _answer(self, contents: Mapping[str, bytes]) -> StepOutcome:
        item, services = self._item, self._services
        spec = item.spec
        schema = await services.schemas.prepare(spec.schema) if spec.schema is not None else None
        info = await services.backend.info(spec.model)
        task = AgentTask(
            step_id=item.id,
            model=spec.model,
            system=spec.system,
            context=spec.context,
            prompt=spec.prompt,
            schema=schema,
            tools=item.tools,
            files=self._files,
            contents=contents,
            max_tokens=item.max_tokens,
            max_turns=item.max_turns,
            temperature=spec.temperature,
            effort=spec.effort,
            timeout_s=item.timeout_s,
        )
        run = AgentRun(
            task,
            call_model=lambda request: self._call_model(run, request),
            record_turn=self._record_turn,
            record_tools=self._record_tools,
            tell_shortened=lambda shortening: self._tell_shortened(run.turns + 1, shortening),
            hands=self._hands,
            checker=services.checker,
            clock=services.wall_clock,
            info=info,
            works_alone=self._works_alone,
        )
        self._agent = run
        if item.cut_off is not None:
            if self._goes_on(item.cut_off):
                self._go_on(run, item.cut_off)
            else:
                self._services.project.timeline.begin_anew(item.witness, self._looked)
                self._attempt_after = item.cut_off.id
        outcome = await self._attempts.answer(self._gated(run) if spec.gate else run)
        self._turns = outcome.turns
        return await self._completed(outcome)

    def _works_alone(self, model: str) -> bool:
        agents = self._services.agents
        return agents is not None and agents.serve(model)

    async def _call_model(self, run: AgentRun, request: ModelRequest) -> ModelReply:
        """One turn. That of an agent CLI is a job of this step's hands."""
        agents, meter = self._services.agents, self._attempts.meter
        if agents is None or not agents.serve(request.model):
            return await meter.call(request)
        from .clis.turns import AgentTurns  # most runs have none

        turns = AgentTurns(
            agents,
            step_id=self._item.id,
            groups=frozenset(tool.group for tool in self._item.tools),
            hands=self._hands,
            loop=run,
            clock=self._services.wall_clock,
        )
        return await meter.call(request, turns.complete)

    def _gated(self, run: AgentRun) -> Answering:
        from .gates import GatedRun, GateTool  # few steps have one

        assert self._item.gate_tool is not None
        return GatedRun(
            run,
            gate=GateTool(self._item.gate_tool, self._item.spec.gate),
            retries=self._item.spec.gate_retries,
            hands=self._hands,
            step_id=self._item.id,
            left_s=self._limit.left_s,
            record_tools=self._record_tools,
            clock=self._services.wall_clock,
            judged=self._judged,
        )

    async def _completed(self, done: AgentOutcome) -> StepOutcome:
        answer = canonical_json(done.answer).decode()
        stored = self._agent is not None and self._agent.unrecorded is None
        turns = () if stored else (done.last_turn,)
        return self._outcome(StepStatus.COMPLETED, answer, None, turns, done.observations)

    def _goes_on(self, cut_off: CutOffStep) -> bool:
        """Whether it saw the same files. They may have changed meanwhile, while this step waited for its turn."""
        then = {(seen.tool, seen.arguments, seen.digest) for seen in cut_off.observations}
        return all((seen.tool, seen.arguments, seen.digest) in then for seen in self._looked)

    def _go_on(self, run: AgentRun, cut_off: CutOffStep) -> None:
        """Take over finished turns. They count with their recorded usage, as a stored step does; nobody pays again."""
        turns = self._services.finished_turns(cut_off.id)
        run.go_on(turns, cut_off.observations, cut_off.kept)
        self._services.budget.book_stored(self._item.budget, run.usage, steps=0)
        self._gone_on_with, self._earlier, self._turns = cut_off.id, run.usage, run.turns
        if self._item.spec.gate:
            from .gates import judged_already  # few steps have one

            self._judged = judged_already(turns[-1], cut_off.kept)

    # ------------------------------------------------------------ records

    async def _record_turn(self, turn: Turn) -> None:
        """Commit a turn that is not the last one: a crash after it does not pay for it again."""
        self._turns = turn.number
        await self._services.journal.commit([*self._begun(), turn], [self._turn_event(turn)])

    def _begun(self) -> list[Record]:
        """The row of this step under way, unless it is stored already.

        One that goes on with another step may edit a file before it has a turn of its own.
        """
        if self._stored_running or self._item.spec.kind is StepKind.TOOL:
            return []
        self._stored_running = True
        return [self._step(StepStatus.RUNNING, None, None, ())]

    async def _record_tools(self, calls: Sequence[ToolCall]) -> None:
        self._services.journal.post([*self._begun(), *calls], (), lazy=True)

    def _tell_shortened(self, turn: int, shortening: Shortening) -> None:
        event = ContextShortened(
            at=self._services.wall_clock(),
            number=self._item.number,
            step=self._item.id,
            turn=turn,
            outputs=shortening.outputs,
            characters=shortening.characters,
        )
        self._services.journal.events(event)

    def _failed(self, error: StepFault, status: StepStatus) -> StepOutcome:
        return self._outcome(status, None, error.to_fault(), ())

    def _outcome(
        self,
        status: StepStatus,
        result: str | None,
        fault: Fault | None,
        turns: tuple[Turn, ...],
        observations: tuple[Observation, ...] = (),
    ) -> StepOutcome:
        events = tuple(self._turn_event(turn) for turn in turns)
        if status is not StepStatus.COMPLETED and self._agent is not None and self._agent.unrecorded is not None:
            # Its reply came and was paid for, and then the step was cut off.
            turns = (*turns, self._agent.unrecorded)
            self._turns = self._agent.turns
        step = self._step(status, result, fault, observations)
        records: tuple[Record, ...] = (step, *turns, *self._attempts.rows(status, fault))
        paid = self._attempts.meter.used
        return StepOutcome(step=step, records=records, paid=paid, events=events, counted=self._counted)

    def _step(
        self, status: StepStatus, result: str | None, fault: Fault | None, observations: tuple[Observation, ...]
    ) -> Step:
        item = self._item
        return Step(
            id=item.id,
            run_id=self._services.run_id,
            key=item.key,
            spec=item.canonical,
            kind=item.spec.kind,
            status=status,
            result=result,
            usage=self._earlier + self._attempts.meter.used,
            started_at=self._started_at,
            finished_at=self._services.wall_clock(),
            turns=self._turns,
            model=self._attempts.model,
            fault=fault,
            observations=tuple(dict.fromkeys((*self._looked, *observations))) if self._files else observations,
            patch=self._patch,
            predecessor=self._gone_on_with,
            attempt_after=self._attempt_after if item.witness.inherited else None,
        )

    def _turn_event(self, turn: Turn) -> TurnFinished:
        return TurnFinished(
            at=turn.finished_at,
            number=self._item.number,
            step=self._item.id,
            turn=turn.number,
            input_tokens=turn.usage.input_tokens,
            output_tokens=turn.usage.output_tokens,
            cached_tokens=turn.usage.cached_tokens,
            cache_write_tokens=turn.usage.cache_write_tokens,
            reasoning_tokens=turn.usage.reasoning_tokens,
            cost_microusd=turn.usage.cost_microusd,
        )


def _json_text(result: ToolResult) -> str:
    return canonical_json(result.data).decode()
