"""What an agent step is to do, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ..model import JSON, FilePart, Observation, StepId, Turn, Usage
from ..ports import Tool
from .structured import PreparedSchema


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
