"""Gates: a command that has to succeed before an agent's answer counts.

It runs where the step's other commands run: in its worktree, or on the project as it lies. What it changes are edits of
the step, and what it saw, the step has seen. A red gate goes back to the agent, who mends what it found and answers
again, so often as the step allows.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NoReturn

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .agents import prompts
from .agents.loop import AgentRun
from .agents.task import AgentOutcome
from .agents.tools.command_text import not_kept
from .errors import GateFailed, ToolDenied, ToolFailed
from .keys import canonical_json
from .model import JSON, Message, ModelInfo, Observation, StepId, ToolCall, ToolSpec, Turn
from .ports import CommandEnd, CommandTool, Footprint, Hands, Job, Record, ToolResult

#: How gates are called among the tool calls of a turn; no model can ask for one.
GATE = "gate"
#: The longest that a gate takes; it has less where its step has.
GATE_S = 600.0
_KEPT_BYTES = 1024 * 1024  # of each stream, for the trace
_SAID_BYTES = 8 * 1024  # of the end, for the agent and the error


class GateTool:
    """Implements `CommandTool` for the command of one gate."""

    spec = ToolSpec(name=GATE, description="", parameters={})
    observes = False

    def __init__(self, command: CommandTool, argv: Sequence[str]) -> None:
        """`command` is the tool by which agents run programs: it knows the grants."""
        self.argv = tuple(argv)
        self.group = command.group
        self._command = command

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return self._command.footprint(arguments)

    async def run(self, arguments: Mapping[str, JSON]) -> NoReturn:
        raise AssertionError("hands run commands")

    def job(self, arguments: Mapping[str, JSON]) -> Job:
        job = self._command.job({"argv": list(self.argv), **arguments})
        return replace(job, output_bytes=_KEPT_BYTES)

    def told(self, job: Job, end: CommandEnd, changed: Sequence[str], refused: Sequence[str] = ()) -> ToolResult:
        how = _how_it_ended(job, end)
        said = _tails(end.stdout, end.stderr)
        whole = _tails(end.stdout, end.stderr, _KEPT_BYTES)
        return ToolResult(
            text="\n".join([how, *not_kept(refused), "", said]).rstrip(),
            data={"exit_code": end.exit_code, "how": how, "output": said, "changed": list(changed)},
            whole=whole if len(whole) > len(said) else "",
        )


class GateEnd(Struct, frozen=True, kw_only=True):
    """How one run of a gate ended. `how` is that in words, `output` the end of what it said."""

    exit_code: int | None
    how: str
    output: str
    result: ToolResult
    observations: tuple[Observation, ...] = ()

    @property
    def green(self) -> bool:
        return self.exit_code == 0


async def run_gate(
    hands: Hands,
    tool: GateTool,
    timeout_s: float,
    along: Callable[[ToolResult, Sequence[Observation]], Sequence[Record]] = lambda _result, _seen: (),
) -> GateEnd:
    """Run it once. Raises ToolFailed where it cannot be run, or not without meeting other steps; ToolDenied likewise.

    What `along` gives is durable before anything that the gate has changed comes into the project.
    """
    outcome, seen = await hands.command(tool, {"timeout_s": min(timeout_s, GATE_S)}, along)
    if isinstance(outcome, ToolFailed):
        raise ToolFailed(f"the gate `{' '.join(tool.argv)}` cannot be run: {outcome.message}") from outcome
    if isinstance(outcome, ToolDenied):
        raise outcome
    return gate_end(outcome, seen)


def gate_end(told: ToolResult, seen: tuple[Observation, ...] = ()) -> GateEnd:
    """From what `GateTool` told of it."""
    data = told.data
    assert isinstance(data, dict)
    code = data["exit_code"]
    return GateEnd(
        exit_code=code if isinstance(code, int) else None,
        how=str(data["how"]),
        output=str(data["output"]),
        result=told,
        observations=seen,
    )


def judged_already(turn: Turn, kept: Sequence[ToolCall]) -> ToolCall | None:
    """The run of a gate among the calls of a turn that are not to be made again."""
    asked_for = msgspec.json.decode(turn.output, type=Message).tool_requests
    return next((call for call in kept if call.name == GATE and call.number > len(asked_for)), None)


def _stored_end(call: ToolCall) -> GateEnd:
    how, _, output = call.output.partition("\n\n")
    code = re.fullmatch(r"ended with exit code (-?\d+)", how)
    return GateEnd(
        exit_code=0 if call.outcome == "ok" else int(code[1]) if code else None,
        how=how,
        output=output,
        result=ToolResult(text=call.output, data=None),
        observations=call.observations,
    )


def gate_call(
    turn: Turn,
    argv: Sequence[str],
    told: ToolResult,
    seen: Sequence[Observation],
    *,
    started_at: float,
    finished_at: float,
    after_merge: bool = False,
) -> ToolCall:
    """The row of one run of a gate: a tool call of the turn that it judges, behind those that the model asked for."""
    asked_for = msgspec.json.decode(turn.output, type=Message).tool_requests
    data = told.data
    assert isinstance(data, dict)
    return ToolCall(
        step_id=turn.step_id,
        turn=turn.number,
        number=len(asked_for) + (2 if after_merge else 1),
        call_id="",
        name=GATE,
        arguments=canonical_json({"argv": list(argv)}).decode(),
        output=told.text,
        outcome="ok" if data["exit_code"] == 0 else "error",
        started_at=started_at,
        finished_at=finished_at,
        observations=tuple(seen),
        whole=told.whole,
    )


def gate_failed(argv: Sequence[str], end: GateEnd, tries: int, why: str = "", *, answer: JSON = None) -> GateFailed:
    """`why` says when it ran, or why it was not tried again; `answer` is the one that it judged."""
    said = [f"the gate `{' '.join(argv)}` {end.how}", f"tried {tries} times" if tries > 1 else "", why]
    return GateFailed(
        f"{'; '.join(filter(None, said))}\n{end.output[-2_000:]}".rstrip(),
        argv=argv,
        code=end.exit_code,
        output=end.output,
        tries=tries,
        answer=answer,
    )


class GatedRun:
    """An AgentRun whose answers count when the gate is green; `Attempts` advance it in the place of the run."""

    def __init__(
        self,
        run: AgentRun,
        *,
        gate: GateTool,
        retries: int,
        hands: Hands,
        step_id: StepId,
        left_s: Callable[[], float],
        record_tools: Callable[[Sequence[ToolCall]], Awaitable[None]],
        clock: Callable[[], float],
        judged: ToolCall | None = None,
    ) -> None:
        """`left_s` says how much time the step has left.

        `judged` is what the gate has said of the latest turn already, and not to be run again: it changed files then.
        """
        self._run = run
        self._gate = gate
        self._retries = retries
        self._hands = hands
        self._step_id = step_id
        self._left_s = left_s
        self._record_tools = record_tools
        self._clock = clock
        self._judged = judged

    @property
    def attempt(self) -> int:
        return self._run.attempt

    @attempt.setter
    def attempt(self, number: int) -> None:
        self._run.attempt = number

    def use_model(self, model: str, info: ModelInfo) -> None:
        self._run.use_model(model, info)

    async def advance(self) -> AgentOutcome:
        """As `AgentRun.advance`, until the gate is green. Raises GateFailed, and ToolFailed where it cannot be run."""
        run = self._run
        while True:
            outcome = await run.advance()
            await run.record_answer()  # whatever becomes of the gate, nobody pays for it again
            end = await self._judge(outcome)
            if end.green:
                return replace(outcome, observations=run.observations)
            if run.sent_back >= self._retries:
                raise gate_failed(self._gate.argv, end, run.sent_back + 1, answer=outcome.answer)
            if not run.turns_left:
                why = "max_turns= leaves the agent no turn to mend it"
                raise gate_failed(self._gate.argv, end, run.sent_back + 1, why, answer=outcome.answer)
            run.send_back(prompts.gate_failed(" ".join(self._gate.argv), end.how, end.output))

    async def _judge(self, outcome: AgentOutcome) -> GateEnd:
        if self._judged is not None and self._judged.turn == outcome.last_turn.number:
            return _stored_end(self._judged)
        started_at = self._clock()

        def row(result: ToolResult, seen: Sequence[Observation]) -> ToolCall:
            turn = replace(outcome.last_turn, step_id=self._step_id)
            finished_at = self._clock()
            return gate_call(turn, self._gate.argv, result, seen, started_at=started_at, finished_at=finished_at)

        def along(result: ToolResult, seen: Sequence[Observation]) -> Sequence[Record]:
            return [row(result, seen)]

        end = await run_gate(self._hands, self._gate, self._left_s(), along)
        call = row(end.result, end.observations)
        await self._record_tools((call,))
        self._run.saw(call)
        return end


def _how_it_ended(job: Job, end: CommandEnd) -> str:
    if end.timed_out:
        return f"was still running after {job.timeout_s:.0f} s"
    if end.over_limit:
        return f"was killed: {end.over_limit}"
    if end.exit_code is None:
        return "was killed by a signal"
    return f"ended with exit code {end.exit_code}"


def _tails(stdout: bytes, stderr: bytes, most: int = _SAID_BYTES) -> str:
    """The end of both streams together."""
    errors = stderr[-max(most * 3 // 8, most - len(stdout)) :]
    parts = (stdout[-(most - len(errors)) :], errors)
    return "\n".join(part.decode("utf-8", "replace").strip("\n") for part in parts if part.strip())
