"""From the parameters of a call to a step's spec, key and limits: profile, defaults, model and tools resolved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from .agents.profile_text import Profile
from .agents.profiles import NoProfiles, ProfileSource
from .agents.prompts import PROMPTS_VERSION, default_system_text
from .agents.tools.registry import ToolBox
from .agents.tools.workspace import plain_path
from .backends.estimate import text_tokens
from .call_params import AgentParams, MergeParams, ToolParams
from .errors import SetupError
from .grants import COMMAND_GRANT
from .keys import canonical_spec, step_key
from .merges import Merges
from .model import StepId, StepKey, StepKind, StepSpec, ToolVersion
from .observe import canonical_arguments
from .ports import CommandTool, ExpiringTool, Limits, Tool
from .routing import ModelChoice

#: What a step with files needs.
FILES_GRANT = "read"
#: What a merge needs, since it changes files: the step that it is of had a grant to change them.
MERGE_GRANT = "write"
#: How often an agent is told that its gate failed, where its step does not say.
GATE_RETRIES = 2


class StepDefaults(Struct, frozen=True, kw_only=True):
    """What holds for a step that does not say otherwise; the table is in docs/configuration.md."""

    max_tokens: int
    max_turns: int
    timeout_s: float
    retries: int


class StepRequest(Struct, frozen=True, kw_only=True):
    """One call, understood: what it asks for, and within which limits."""

    spec: StepSpec
    canonical: str
    key: StepKey
    label: str
    tools: tuple[Tool, ...] = ()
    max_tokens: int = 0
    max_turns: int = 0
    timeout_s: float = 0.0
    retries: int = 0
    limits: Limits = field(default_factory=Limits)
    horizon: float | None = None
    detail: bool = False
    phase: str | None = None
    gate_tool: CommandTool | None = None  # that runs the gate
    model_reason: str = ""  # who chose the model
    notes: tuple[str, ...] = ()  # what a person should know of its profile


class Horizons(Struct, frozen=True, kw_only=True):
    """Results finished before a horizon do not count. None: all do."""

    run: float | None  # of the whole run: --fresh
    lineage_start: float  # of `cache=False`
    now: float  # what `ttl` is counted back from


class ResolveModel(Protocol):
    def __call__(
        self,
        *,
        requested: str,
        profile_model: str,
        phase_model: str,
        phase: str,
        label: str,
        profile: str,
        prompt_tokens: Callable[[], int],
    ) -> ModelChoice:
        """The model of one step: what step, profile, phase and configuration say. Raises SetupError.

        `prompt_tokens` estimates the prompt; it is asked only where a rule depends on it.
        """
        ...


class ChosenAgent(Struct, frozen=True):
    """An agent CLI that may do a step."""

    grant: str
    digest: str  # of how it is run


#: The agent CLIs that may do a step, by the choice of its model and the tools that it names. Raises SetupError and
#: ToolDenied where they may not.
ChooseAgents: TypeAlias = Callable[[ModelChoice, Sequence[str]], Sequence[ChosenAgent]]

_NO_PROFILES = NoProfiles()


class StepRequests:
    """Reads calls. Raises SetupError for what no retry mends, msgspec.ValidationError for what no child sends."""

    def __init__(
        self,
        *,
        tools: ToolBox,
        resolve_model: ResolveModel,
        defaults: StepDefaults,
        horizons: Horizons,
        profiles: ProfileSource = _NO_PROFILES,
        agents: ChooseAgents | None = None,
    ) -> None:
        """`agents` says which steps are an agent CLI's; without, none is."""
        self._tools = tools
        self._resolve_model = resolve_model
        self._defaults = defaults
        self._horizons = horizons
        self._profiles = profiles
        self._agents = agents
        self._ttls = {
            name: tool.ttl_s for name, tool in tools.by_name.items() if isinstance(tool, ExpiringTool)
        }  # once, since such a question takes long
        self._agent = msgspec.json.Decoder(AgentParams)
        self._tool = msgspec.json.Decoder(ToolParams)
        self._merge = msgspec.json.Decoder(MergeParams)

    def agent(self, params: bytes, *, phase: str, phase_model: str) -> StepRequest:
        asked = self._agent.decode(params)
        profile = None if asked.profile is None else self._profiles.get(asked.profile)
        if profile is not None:
            asked = _filled_in(asked, profile)
        if asked.merge is not None and asked.isolation is None:
            raise SetupError(
                f"agent: merge= says how a worktree is merged, and profile `{asked.profile}` asks for none"
            )
        gate = tuple(asked.gate or ())
        gate_tool = self._tools.for_gate(gate) if gate else None
        phase = asked.phase or phase
        tools = self._tools.select(asked.tools or ())
        system = asked.system if asked.system is not None else default_system_text(tools, asked.schema)
        choice = self._resolve_model(
            requested=asked.model or "",
            profile_model="" if profile is None else profile.model,
            phase_model=phase_model,
            phase=phase,
            label=asked.label or "",
            profile=asked.profile or "",
            prompt_tokens=lambda: sum(map(text_tokens, (system, asked.context or "", asked.prompt))),
        )
        agents = () if self._agents is None else self._agents(choice, asked.tools or ())
        files = tuple(dict.fromkeys(map(plain_path, asked.files or ())))
        spec = StepSpec(
            kind=StepKind.AGENT,
            prompt=asked.prompt,
            prompts_version=PROMPTS_VERSION,
            system=system,
            context=asked.context or "",
            profile=asked.profile or "",
            model=choice.model,
            fallbacks=choice.fallbacks,
            effort=asked.effort,
            temperature=asked.temperature,
            max_tokens=asked.max_tokens,
            max_turns=asked.max_turns,
            schema=asked.schema,
            tools=tuple(ToolVersion(name=tool.spec.name, version=tool.spec.version) for tool in tools),
            agents=tuple(agent.digest for agent in agents),
            files=files,
            grants=tuple(sorted({*self._grants(tools, files, gate), *(agent.grant for agent in agents)})),
            salt=asked.cache if isinstance(asked.cache, str) else "",
            isolation=asked.isolation or "",
            merge=(asked.merge or "auto") if asked.isolation else "",
            gate=gate,
            gate_retries=(GATE_RETRIES if asked.gate_retries is None else asked.gate_retries) if gate else 0,
        )
        canonical = canonical_spec(spec)
        defaults = self._defaults
        return StepRequest(
            spec=spec,
            canonical=canonical,
            key=step_key(canonical),
            label=asked.label or first_words(asked.prompt),
            tools=tools,
            max_tokens=asked.max_tokens or defaults.max_tokens,
            max_turns=asked.max_turns or defaults.max_turns,
            timeout_s=asked.timeout or defaults.timeout_s,
            retries=defaults.retries if asked.retries is None else asked.retries,
            limits=asked.budget.limits() if asked.budget is not None else Limits(),
            horizon=self._horizon(asked.cache, self._shortest_ttl(tools) if asked.ttl is None else asked.ttl),
            detail=asked.detail,
            phase=asked.phase,
            model_reason=choice.reason,
            gate_tool=gate_tool,
            notes=() if profile is None else profile.notes,
        )

    def tool(self, params: bytes) -> StepRequest:
        asked = self._tool.decode(params)
        tool = self._tools.get(asked.name)
        spec = StepSpec(
            kind=StepKind.TOOL,
            tool=tool.spec.name,
            arguments=msgspec.json.decode(canonical_arguments(tool.spec, asked.arguments)),
            tools=(ToolVersion(name=tool.spec.name, version=tool.spec.version),),
            grants=tuple(sorted(self._tools.grants_of({tool.group}))),
        )
        canonical = canonical_spec(spec)
        return StepRequest(
            spec=spec,
            canonical=canonical,
            key=step_key(canonical),
            label=tool.spec.name,
            tools=(tool,),
            timeout_s=self._defaults.timeout_s,
            horizon=self._horizon(True, self._shortest_ttl((tool,))),
        )

    def merge(self, params: bytes, merges: Merges) -> StepRequest:
        step = StepId(self._merge.decode(params).step)
        label = merges.label(step)
        spec = StepSpec(kind=StepKind.MERGE, merged=step, grants=(MERGE_GRANT,))
        canonical = canonical_spec(spec)
        return StepRequest(
            spec=spec,
            canonical=canonical,
            key=step_key(canonical),
            label=f"merge {label}",
            timeout_s=self._defaults.timeout_s,
            horizon=self._horizon(True, None),
        )

    def _grants(self, tools: Sequence[Tool], files: Sequence[str], gate: Sequence[str]) -> tuple[str, ...]:
        """The grants that shape what an agent with these can do."""
        groups = {
            *(tool.group for tool in tools),
            *([FILES_GRANT] if files else []),
            *([COMMAND_GRANT] if gate else []),
        }
        return tuple(sorted(self._tools.grants_of(groups)))

    def _shortest_ttl(self, tools: Sequence[Tool]) -> float | None:
        """How long an answer that may rest on these counts by itself; None: for ever, since it can be verified."""
        if not self._ttls:
            return None
        return min((self._ttls[name] for tool in tools if (name := tool.spec.name) in self._ttls), default=None)

    def _horizon(self, cache: bool | str, ttl: float | None) -> float | None:
        horizons = self._horizons
        bounds = [bound for bound in (horizons.run,) if bound is not None]
        if cache is False:
            bounds.append(horizons.lineage_start)
        if ttl is not None:
            bounds.append(horizons.now - ttl)
        return max(bounds, default=None)


def _filled_in(asked: AgentParams, profile: Profile) -> AgentParams:
    """What the call leaves open, as the profile says it. (The model has more to say: see `resolve_model`.)"""
    tools = None if profile.tools is None else list(profile.tools)
    return replace(
        asked,
        system=profile.system or None if asked.system is None else asked.system,
        tools=tools if asked.tools is None else asked.tools,
        effort=profile.effort if asked.effort is None else asked.effort,
        temperature=profile.temperature if asked.temperature is None else asked.temperature,
        max_tokens=profile.max_tokens if asked.max_tokens is None else asked.max_tokens,
        max_turns=profile.max_turns if asked.max_turns is None else asked.max_turns,
        isolation=profile.isolation if asked.isolation is None else asked.isolation,
    )


def first_words(prompt: str, width: int = 40) -> str:
    """A label for a step that has none: the beginning of its prompt, on one line."""
    line = " ".join(prompt[: width * 4].split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
