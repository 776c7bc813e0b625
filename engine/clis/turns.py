"""The turns of one step at an agent CLI: each is a job in a copy of the project, whose changes become edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, Protocol

from msgspec import Struct
from msgspec.structs import replace

from ..agents.tools.command_text import text_of
from ..backends.estimate import request_tokens, text_tokens
from ..bench.programs import ProgramEnd
from ..errors import InternalError, SetupError, ToolDenied, ToolFailed
from ..keys import canonical_json
from ..masking import as_written_in_json, masked, secret_values
from ..mcp.launching import PLAIN_VARIABLES
from ..model import (
    AGENT_CALL,
    JSON,
    FinishReason,
    ModelReply,
    ModelRequest,
    Observation,
    StepId,
    ToolCall,
    ToolSpec,
    Turn,
    Usage,
)
from ..ports import CommandEnd, Footprint, Hands, Job, OwnProgram, Programs, Record, ToolResult
from ..prices import ModelPrice
from .description import MODES, AgentCli, AgentMode, agent_name
from .prompting import Invocation, invocation
from .replies import Came, came_of

#: Of each stream. Programs that print a line an event quote what their commands print.
OUTPUT_BYTES = 16 * 1024 * 1024
_SHOWN = 20  # files that were thrown away
#: There is no `.git` in a copy, so that git would take a project that looks like a bare repository for one, and run
#: what its `config` names.
_NO_HISTORY = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.bareRepository",
    "GIT_CONFIG_VALUE_0": "explicit",
}


class AgentPrograms(Struct, frozen=True, kw_only=True):
    """The agent CLIs of one run, and what they are started with."""

    agents: Mapping[str, AgentCli]
    programs: Programs
    environ: Mapping[str, str]
    prices: Mapping[str, ModelPrice]

    def serve(self, model: str) -> bool:
        return agent_name(model) in self.agents


class TurnMaker(Protocol):
    """The loop of the step, which numbers its turns."""

    def turn_of(self, reply: ModelReply, started_at: float) -> Turn: ...

    def worked(self, call: ToolCall) -> None:
        """The reply that comes next came with work that is done."""
        ...


class AgentTurns:
    """Of one step, whose tools are of `groups`."""

    def __init__(
        self,
        own: AgentPrograms,
        *,
        step_id: StepId,
        groups: frozenset[str],
        hands: Hands,
        loop: TurnMaker,
        clock: Callable[[], float],
    ) -> None:
        self._own = own
        self._step_id = step_id
        self._mode = max(groups & {*MODES}, key=MODES.index, default=MODES[0])
        self._hands = hands
        self._loop = loop
        self._clock = clock

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        """One turn. What the program changed is in the project, or the worktree, with the turn; or nothing is.

        Raises AgentErrors and SetupErrors, with what was used for nothing in `used`.
        """
        agent = self._own.agents[agent_name(request.model)]
        tool = AgentTool(self._own, agent, agent.modes.get(self._mode, AgentMode()), self._mode, request)
        started_at = self._clock()

        def call(result: ToolResult, seen: Sequence[Observation]) -> ToolCall:
            return ToolCall(
                step_id=self._step_id,
                turn=self._loop.turn_of(tool.reply, started_at).number,
                number=0,
                call_id=AGENT_CALL,
                name=agent.name,
                arguments=tool.arguments,
                output=result.text,
                outcome="ok",
                started_at=started_at,
                finished_at=self._clock(),
                observations=tuple(seen),
                whole=result.whole,
            )

        def along(result: ToolResult, seen: Sequence[Observation]) -> Sequence[Record]:
            return [self._loop.turn_of(tool.reply, started_at), call(result, seen)]

        outcome, seen = await self._hands.command(tool, {}, along)
        if isinstance(outcome, ToolFailed | ToolDenied):
            raise outcome
        self._loop.worked(call(outcome, seen))
        if on_text is not None:
            on_text(tool.reply.text)
        return tool.reply


class AgentTool:
    """Implements `CommandTool` for one turn. `reply` is there once the job was told of."""

    spec = ToolSpec(name="agent", description="", parameters={})
    group = "agent"
    observes = False  # by itself: hands note what it saw and changed

    def __init__(self, own: AgentPrograms, agent: AgentCli, mode: AgentMode, named: str, request: ModelRequest) -> None:
        self._own = own
        self._agent = agent
        self._mode = mode
        self._keeps = named != MODES[0]
        self._request = request
        self._invocation: Invocation = invocation(agent, mode, request)
        environ = own.environ
        held = secret_values({name: environ[name] for name in agent.env if name in environ})
        self._secrets = as_written_in_json(held)
        shown = [masked(word, self._secrets) for word in self._invocation.shown]
        self.arguments = canonical_json({"argv": shown, "mode": named}).decode()
        self._reply: ModelReply | None = None

    @property
    def reply(self) -> ModelReply:
        if self._reply is None:
            raise InternalError("an agent's job was not told of")
        return self._reply

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint:
        """All of the project."""
        return Footprint(path="", deep=True)

    def job(self, arguments: Mapping[str, JSON]) -> Job:
        agent, environ = self._agent, self._own.environ
        program = self._own.programs.find(self._invocation.argv[0])
        if program is None:
            raise SetupError(
                f"{self._request.model}: there is no program `{agent.program}` in PATH (folders of the project do not "
                f"count); install it, or name it by `agents: {{{agent.name}: {{argv: [...]}}}}` in your own config"
            )
        given = {name: environ[name] for name in (*PLAIN_VARIABLES, *agent.env) if name in environ}
        return Job(
            argv=(program, *self._invocation.argv[1:]),
            timeout_s=min(self._request.timeout_s, agent.timeout_s),
            network=True,
            output_bytes=OUTPUT_BYTES,
            own=OwnProgram(
                environ={**given, **_NO_HISTORY, **dict(self._mode.variables)},
                stdin=self._invocation.stdin,
                keeps=self._keeps,
                leaves_out=agent.left_out,
            ),
        )

    def told(self, job: Job, end: CommandEnd, changed: Sequence[str], refused: Sequence[str] = ()) -> ToolResult:
        """Raises the error of a program that failed: nothing of what it did is kept then."""
        end = self._masked(end)
        model = self._request.model
        came = came_of(self._agent, model, job, end)
        if came.error is not None:
            came.error.used = None if came.usage is None else self._priced(came.usage)
            raise came.error
        usage = self._priced(came.usage or self._guessed(came))
        self._reply = ModelReply(text=came.answer, finish=FinishReason.STOP, usage=usage, model=model)
        text, whole = text_of(job, end, changed, refused if self._keeps else ())
        if refused and not self._keeps:
            names = ", ".join(refused[:_SHOWN])
            text = f"thrown away, since the step may not write: {names}\n{text}"
        return ToolResult(text=text, data=None, whole=whole)

    async def run(self, arguments: Mapping[str, JSON]) -> NoReturn:
        raise InternalError("an agent was run like a tool that only looks")

    def _masked(self, end: CommandEnd) -> ProgramEnd:
        assert isinstance(end, ProgramEnd)
        if not self._secrets:
            return end
        streams = [stream.decode("utf-8", "surrogateescape") for stream in (end.stdout, end.stderr)]
        stdout, stderr = [masked(text, self._secrets).encode("utf-8", "surrogateescape") for text in streams]
        return replace(end, stdout=stdout, stderr=stderr)

    def _guessed(self, came: Came) -> Usage:
        """Of a program that does not say what it used: what went in and came out, and nothing of what lay between."""
        return Usage(
            input_tokens=request_tokens(self._request),
            output_tokens=text_tokens(came.answer),
            cost_microusd=None,
            estimated=True,
        )

    def _priced(self, usage: Usage) -> Usage:
        """At the person's own price, if there is one."""
        price = self._own.prices.get(self._request.model)
        return usage if price is None else replace(usage, cost_microusd=price.cost_microusd(usage))
