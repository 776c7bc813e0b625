"""What a tool is to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from ..model import JSON, ToolSpec


class Look(Struct, frozen=True, kw_only=True):
    """A call of a tool, and the data that it gives."""

    arguments: Mapping[str, JSON]
    data: JSON


class ToolResult(Struct, frozen=True, kw_only=True):
    text: str  # what the model reads
    data: JSON  # what a script gets from tool(...), and what is digested as the observation
    shown: Look | None = None  # a narrower call that gives all that `text` shows, where that is less than `data`


class Tool(Protocol):
    """A function of the workspace. Raises ToolFailed (the model may mend it) or ToolDenied (a rule forbids it)."""

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def group(self) -> str:
        """The grant that it needs: read, write, command or web."""
        ...

    @property
    def observes(self) -> bool:
        """Whether it is a deterministic function of the workspace, so that its output can be verified by replay."""
        ...

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult: ...
