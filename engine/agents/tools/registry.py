"""Tools by name, and the groups that stand for several of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from ...errors import SetupError, ToolDenied, ToolFailed
from ...grants import DEFAULT_GRANTS, held_of, require_tool
from ...mcp.names import server_of
from ...model import ToolSpec
from ...nearest import nearest
from ...ports import CommandRunner, CommandTool, EditingTool, PageReader, Tool
from .arguments import BadArguments
from .edit_file import EditFile
from .git_diff import GitDiff
from .glob import Glob
from .grep import Grep
from .list_files import ListFiles
from .read_file import ReadFile
from .run_command import RunCommand
from .web_access import WebAccess
from .web_fetch import WebFetch
from .web_search import WebSearch
from .workspace import Workspace
from .write_file import WriteFile

#: What a script may ask for as a group; a group without a tool here is one that this version does not have.
GROUPS = ("read", "write", "command", "web")
#: How the group of all tools of one MCP server begins.
_OF_SERVER = "mcp:"

#: What tools of the same kind are called elsewhere.
_SAME = {
    "bash": "command",
    "cat": "read_file",
    "execute": "command",
    "fetch": "web_fetch",
    "find": "glob",
    "ls": "list_files",
    "search": "grep",
    "shell": "command",
    "terminal": "command",
}
#: Names that the script language knows, so that asking for one is told apart from a misspelling.
_ELSEWHERE = frozenset(
    {
        "spawn_subagent",
        "subagent_result",
        "subagent_status",
    }
)


def read_tools(workspace: Workspace, commands: CommandRunner) -> tuple[Tool, ...]:
    """The tools that only look at the files of one workspace, and at what git keeps of them."""
    return (
        ReadFile(workspace),
        ListFiles(workspace),
        Glob(workspace),
        Grep(workspace, commands),
        GitDiff(workspace, commands),
    )


def edit_tools(workspace: Workspace) -> tuple[EditingTool, ...]:
    """The tools that change the files of one workspace."""
    return (WriteFile(workspace), EditFile(workspace))


_EVERY = (ReadFile, ListFiles, Glob, Grep, GitDiff, WriteFile, EditFile, RunCommand, WebFetch, WebSearch)
#: The tools that every run could have, by name, with their groups.
BUILT_IN: Mapping[str, str] = MappingProxyType({tool.spec.name: tool.group for tool in _EVERY})
#: The same, with what they take.
SPECS: Mapping[str, ToolSpec] = MappingProxyType({tool.spec.name: tool.spec for tool in _EVERY})


def web_tools(web: WebAccess, reader: PageReader) -> tuple[Tool, ...]:
    """The tools that read the web."""
    return (WebFetch(web, reader), WebSearch(web))


class ToolBox:
    """The tools of one workspace, as far as `granted` lets a run use them."""

    def __init__(
        self, tools: Iterable[Tool], granted: Sequence[str] = DEFAULT_GRANTS, unknown: Mapping[str, str] | None = None
    ) -> None:
        """`unknown` holds configured MCP servers whose tools nobody knows, and why."""
        self._tools = {tool.spec.name: tool for tool in tools}
        self._granted = granted
        self._unlisted = unknown or {}

    @property
    def groups(self) -> dict[str, str]:
        """The group of each tool, by its name."""
        return {name: tool.group for name, tool in self._tools.items()}

    @property
    def by_name(self) -> Mapping[str, Tool]:
        return MappingProxyType(self._tools)

    def grants_of(self, groups: Collection[str]) -> set[str]:
        """The grants that shape what tools of these groups can do."""
        network = {"net"} if "command" in groups and "net" in self._granted else set()
        return {grant for group in groups for grant in held_of(group, self._granted)} | network

    def get(self, name: str) -> Tool:
        """The tool of that name. Raises SetupError with the nearest name, ToolDenied where its grant is missing."""
        tool = self._tools.get(name)
        if tool is None:
            raise SetupError(self._unknown(name))
        require_tool(tool, self._granted)
        return tool

    def for_gate(self, argv: Sequence[str]) -> CommandTool:
        """The tool that runs a gate of this command. Raises ToolDenied where no grant covers it, SetupError where no
        tool could run it.
        """
        try:
            tool = self._commands()
            self._require_job(tool, argv)
        except ToolDenied as error:
            raise ToolDenied(f"the gate: {error.message}") from error
        return tool

    def _commands(self) -> CommandTool:
        tool = self.get(RunCommand.spec.name)
        assert isinstance(tool, CommandTool)
        return tool

    @staticmethod
    def _require_job(tool: CommandTool, argv: Sequence[str]) -> None:
        try:
            tool.job({"argv": list(argv)})
        except BadArguments as error:
            raise SetupError(f"agent: gate: {error.message}") from error
        except ToolFailed:
            pass  # the program may be there when the gate runs, and a stored answer needs none

    def select(self, names: Sequence[str]) -> tuple[Tool, ...]:
        """The tools that names and groups stand for: each once, and in an order that does not depend on theirs.

        Raises as `get`.
        """
        chosen: set[str] = set()
        for name in names:
            chosen.update(self.get(member).spec.name for member in self._members(name) or [name])
        return tuple(tool for name, tool in self._tools.items() if name in chosen)

    def _members(self, name: str) -> list[str]:
        if name not in GROUPS and not name.startswith(_OF_SERVER):
            return []
        return [tool.spec.name for tool in self._tools.values() if tool.group == name]

    def _unknown(self, name: str) -> str:
        if problem := self._unlisted_problem(name):
            return problem
        own = [name for name, tool in self._tools.items() if not tool.group.startswith(_OF_SERVER)]
        known = f"tools here: {', '.join(own)}; groups: {', '.join(self._groups())}"
        if name in _ELSEWHERE or name in GROUPS:
            return f"tool `{name}` is not available in this version of Vibe; {known}"
        here = [*self._tools, *self._groups()]
        same = _SAME.get(name.lower())
        near = same if same in here else nearest(name, here)
        hint = f"did you mean `{near}`? " if near else ""
        return f"no tool `{name}`; {hint}{known}"

    def _unlisted_problem(self, name: str) -> str:
        server = name.removeprefix(_OF_SERVER) if name.startswith(_OF_SERVER) else server_of(name)
        if server not in self._unlisted:
            return ""
        return f"the tools of the MCP server `{server}` are not known: {self._unlisted[server]}"

    def _groups(self) -> list[str]:
        held = {tool.group: None for tool in self._tools.values()}
        return [group for group in GROUPS if group in held] + [each for each in held if each.startswith(_OF_SERVER)]
