"""What a tool is to the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from ..errors import ToolDenied, ToolFailed
from ..model import JSON, Observation, ToolSpec

if TYPE_CHECKING:
    from .commands import CommandEnd, Job
    from .store import Record


class Look(Struct, frozen=True, kw_only=True):
    """A call of a tool, and the data that it gives."""

    arguments: Mapping[str, JSON]
    data: JSON


class ToolResult(Struct, frozen=True, kw_only=True):
    text: str  # what the model reads
    data: JSON  # what a script gets from tool(...), and what is digested as the observation
    shown: Look | None = None  # a narrower call that gives all that `text` shows, where that is less than `data`
    whole: str = ""  # all that there is to read, where `text` is a part of it that was cut for a model


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
        """The grant that it needs: read, write, command or web; `mcp:SERVER` for a tool of an MCP server."""
        ...

    @property
    def observes(self) -> bool:
        """Whether it is a deterministic function of the workspace, so that its output can be verified by replay."""
        ...

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        """What a call with these arguments may look at; None: nothing of the workspace. Never raises."""
        ...

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult: ...


@runtime_checkable
class ExpiringTool(Tool, Protocol):
    """A tool whose answers come from elsewhere, so that nothing shows when they have changed."""

    @property
    def ttl_s(self) -> float:
        """How long an answer that rests on it counts, where its step does not say."""
        ...


class PlannedEdit(Struct, frozen=True, kw_only=True):
    """What an edit would make of one file, and what is said of it. `before` is what it has looked at."""

    path: str  # where the file really lies, from the root
    before: bytes | None  # None: there is no such file
    after: bytes | None  # likewise
    result: ToolResult


@runtime_checkable
class EditingTool(Tool, Protocol):
    """A tool that changes one file: it says what it would do, and the timeline does it. Its `run` is never called."""

    async def plan(self, arguments: Mapping[str, JSON]) -> PlannedEdit:
        """Raises as `run`. To be called while nobody else edits."""
        ...

    def file(self, arguments: Mapping[str, JSON]) -> str | None:
        """The path as it was asked for, of the file that `plan` looks at; None where the arguments name none."""
        ...


@runtime_checkable
class CommandTool(Tool, Protocol):
    """A tool that runs a program, which sees the whole project. Its `run` is never called."""

    def job(self, arguments: Mapping[str, JSON]) -> Job:
        """What is to run. Raises BadArguments, and ToolDenied where no grant of this run covers it."""
        ...

    def told(self, job: Job, end: CommandEnd, changed: Sequence[str], refused: Sequence[str] = ()) -> ToolResult:
        """What is said of it. `changed` are the files that it changed, by path; what it did to `refused` is not."""
        ...


#: What came of a tool's call.
Outcome: TypeAlias = ToolResult | ToolFailed | ToolDenied
#: What is to be stored along with the edits of a call, before they are made: its result, and all that it observed.
Along: TypeAlias = "Callable[[ToolResult, Sequence[Observation]], Sequence[Record]]"


class Hands(Protocol):
    """How the tool calls of one live step reach the project."""

    def edits_before(self, epoch: int) -> int:
        """How many were made before it in this run, by any step: two looks with none in between see the same."""
        ...

    async def look(
        self, tool: Tool, arguments: Mapping[str, JSON], *, as_text: bool = False
    ) -> tuple[Outcome, Observation | None]:
        """Run a tool that edits nothing. `as_text`: a model reads the text, which may show less than the data."""
        ...

    async def edit(
        self, tool: EditingTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, Observation | None]:
        """Do what an editing tool plans. What `along` gives is durable before the file changes."""
        ...

    async def command(
        self, tool: CommandTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, tuple[Observation, ...]]:
        """Run a program. What it changes becomes edits, and what `along` gives is durable before the first of them.

        All or none of them are made. Observed are the whole tree, first, and each file that was changed.
        """
        ...


class ProjectFiles(Protocol):
    """The files of the project, for edits. Paths are real ones, from the root. Raises ToolFailed and ToolDenied."""

    @property
    def state(self) -> Tool:
        """The tool `FILE_STATE`."""
        ...

    def require_writable(self, path: str) -> None:
        """Raises ToolDenied where no tool writes."""
        ...

    async def digest(self, path: str) -> str | None:
        """Of the contents that lie there now, None where no file does; one that cannot be read is some other digest."""
        ...

    async def read(self, path: str) -> bytes | None:
        """What lies there now; None where nothing does."""
        ...

    async def write(self, path: str, before: bytes | None, after: bytes | None) -> None:
        """Make of the file what `after` says, at once or not at all, unless it is not `before`. None: no such file.

        With a file that is removed go the folders that this leaves empty.
        """
        ...

    def clear_leftovers(self, paths: Collection[str]) -> None:
        """Remove what writes of these paths left behind when their process was killed."""
        ...
