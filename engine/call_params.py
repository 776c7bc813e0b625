"""What the calls of a script come with. The child checked it for its author, and is hostile: so it is checked again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from .agents.profile_folders import NAME_PATTERN
from .agents.tools.workspace import MAX_PATH_CHARS
from .ports import Limits


class LimitParams(Struct, frozen=True, forbid_unknown_fields=True):
    tokens: int | None = None
    microusd: int | None = None
    steps: int | None = None
    seconds: float | None = None

    def limits(self) -> Limits:
        return Limits(tokens=self.tokens, microusd=self.microusd, steps=self.steps, seconds=self.seconds)


#: Of one step; the child tells its author the same.
MAX_FILES = 100
MAX_GATE_RETRIES = 20
_FilePath = Annotated[str, Meta(min_length=1, max_length=MAX_PATH_CHARS)]
_Word = Annotated[str, Meta(max_length=4_096, pattern=r"^[^\x00]*$")]


class AgentParams(Struct, frozen=True, forbid_unknown_fields=True):
    """What `agent(...)` sends."""

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
    isolation: Literal["worktree"] | None = None
    merge: Literal["auto", "manual"] | None = None
    gate: Annotated[list[_Word], Meta(min_length=1, max_length=100)] | None = None
    gate_retries: Annotated[int, Meta(ge=0, le=MAX_GATE_RETRIES)] | None = None
    detail: bool = False


class ToolParams(Struct, frozen=True, forbid_unknown_fields=True):
    """What `tool(...)` sends."""

    name: str
    arguments: dict[str, Any] = {}


class MergeParams(Struct, frozen=True, forbid_unknown_fields=True):
    """What `merge(...)` sends: the id of the step whose result it was given."""

    step: Annotated[str, Meta(min_length=1, max_length=200)]
