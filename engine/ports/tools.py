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


class Footprint(Struct, frozen=True, kw_only=True):
    """The files that the outcome of one call can depend on: one, or all below a folder with git's rules for them."""

    path: str  # where it really lies, from the root; "" is the root
    deep: bool = False

    def covers(self, path: str) -> bool:
        """Whether what lies at `path`, a real path from the root, may count."""
        if path == self.path:
            return True
        if not self.deep:
            return False
        if not self.path or path.startswith(self.path + "/"):
            return True
        folder, _, name = path.rpartition("/")
        return name in (".gitignore", ".gitattributes") and (
            not folder or self.path == folder or self.path.startswith(folder + "/")
        )


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

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        """What a call with these arguments may look at; None: nothing of the workspace. Never raises."""
        ...

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult: ...


class PlannedEdit(Struct, frozen=True, kw_only=True):
    """What an edit would make of one file, and what is said of it. `before` is what it has looked at."""

    path: str  # where the file really lies, from the root
    before: bytes | None  # None: there is no such file
    after: bytes
    result: ToolResult


class EditingTool(Tool, Protocol):
    """A tool that changes one file: it says what it would do, and the timeline does it. Its `run` is never called."""

    async def plan(self, arguments: Mapping[str, JSON]) -> PlannedEdit:
        """Raises as `run`. To be called while nobody else edits."""
        ...

    def file(self, arguments: Mapping[str, JSON]) -> str | None:
        """The path as it was asked for, of the file that `plan` looks at; None where the arguments name none."""
        ...
