"""From the parameters of a call to a step's spec, key and limits: profile, defaults, model and tools resolved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from .agents.profile_folders import NAME_PATTERN
from .agents.profile_text import Profile
from .agents.profiles import NoProfiles, ProfileSource
from .agents.prompts import PROMPTS_VERSION, default_system_text
from .agents.tools.registry import ToolBox
from .agents.tools.workspace import MAX_PATH_CHARS, plain_path
from .backends.estimate import text_tokens
from .keys import canonical_spec, step_key
from .model import StepKey, StepKind, StepSpec, ToolVersion
from .observe import canonical_arguments
from .ports import ExpiringTool, Limits, Tool
from .routing import ModelChoice


class LimitParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tokens: int | None = None
    microusd: int | None = None
    steps: int | None = None
    seconds: float | None = None

    def limits(self) -> Limits:
        return Limits(tokens=self.tokens, microusd=self.microusd, steps=self.steps, seconds=self.seconds)


#: What a step with files needs.
FILES_GRANT = "read"
#: Of one step; the child tells its author the same.
MAX_FILES = 100
_FilePath = Annotated[str, Meta(min_length=1, max_length=MAX_PATH_CHARS)]


class AgentParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `agent(...)` sends. The child checked it for its author, and is hostile: so it is checked again."""

    prompt: str
    label: str | None = None
    phase: str | None = None
    profile: Annotated[str, Meta(pattern=NAME_PATTERN)] | None = None
    model: str | None = None
    system: str | None = None
    tools: list[str] | None = None
    schema: Any = None
    files: Annotated[list[_FilePath], Meta(max_length=MAX_FILES)] | None = None
    context: str | None = None
    effort: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    max_turns: int | None = None
    timeout: float | None = None
    retries: int | None = None
    budget: LimitParams | None = None
    cache: bool | str = True
    ttl: float | None = None
    detail: bool = False


class ToolParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] = {}


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
    ) -> None:
        self._tools = tools
        self._resolve_model = resolve_model
        self._defaults = defaults
        self._horizons = horizons
        self._profiles = profiles
        self._ttls = {
            name: tool.ttl_s for name, tool in tools.by_name.items() if isinstance(tool, ExpiringTool)
        }  # once, since such a question takes long
        self._agent = msgspec.json.Decoder(AgentParams)
        self._tool = msgspec.json.Decoder(ToolParams)

    def agent(self, params: bytes, *, phase: str, phase_model: str) -> StepRequest:
        asked = self._agent.decode(params)
        profile = None if asked.profile is None else self._profiles.get(asked.profile)
        if profile is not None:
            asked = _filled_in(asked, profile)
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
            files=files,
            grants=tuple(sorted({*self._tools.grants_of(tools), *([FILES_GRANT] if files else [])})),
            salt=asked.cache if isinstance(asked.cache, str) else "",
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
            grants=tuple(sorted(self._tools.grants_of([tool]))),
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
    )


def first_words(prompt: str, width: int = 40) -> str:
    """A label for a step that has none: the beginning of its prompt, on one line."""
    line = " ".join(prompt[: width * 4].split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
