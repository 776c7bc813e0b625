"""The tools of the files of one worktree; or of the project, as they would be in a worktree of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from ..agents.tools.git_diff import GitDiff
from ..agents.tools.walk import ignored_part
from ..agents.tools.workspace import Place, Workspace, visible
from ..errors import ToolDenied
from ..model import FILE_TREE, JSON, ToolSpec
from ..ports import EditingTool, Footprint, PlannedEdit, Tool, ToolResult
from .absent import absent

#: Makes the tools of a workspace.
ToolsOf: TypeAlias = Callable[[Workspace], Iterable[Tool]]


#: Looks at the repository, and at all files that git does not ignore, are the same in a worktree.
_ALIKE = (GitDiff.spec.name, FILE_TREE)


def worktree_tools(workspace: Workspace, tools_of: ToolsOf) -> tuple[Tool, ...]:
    """The tools of `workspace` as they are in a worktree of it, or in it, if it is one."""

    def here(tool: Tool) -> Tool:
        if tool.spec.name in _ALIKE:
            return tool
        return (_Editing if isinstance(tool, EditingTool) else _Looking)(tool, workspace, tools_of)

    return tuple(map(here, tools_of(workspace)))


class _Looking:
    """A tool in whose workspace nothing lies that a worktree does not have."""

    def __init__(self, tool: Tool, workspace: Workspace, tools_of: ToolsOf) -> None:
        self._tool = tool
        self._workspace = workspace
        self._tools_of = tools_of

    @property
    def spec(self) -> ToolSpec:
        return self._tool.spec

    @property
    def group(self) -> str:
        return self._tool.group

    @property
    def observes(self) -> bool:
        return self._tool.observes

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        """With the rules that say what of it is ignored."""
        found = self._tool.footprint(arguments)
        return None if found is None else Footprint(path=found.path, deep=True)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        return await (await self._without_absent(arguments)).run(arguments)

    async def _without_absent(self, arguments: Mapping[str, JSON]) -> Tool:
        paths = await absent(self._workspace, self.spec.name, arguments)
        if not paths:
            return self._tool
        over = self._workspace.over(dict.fromkeys(paths))
        return next(tool for tool in self._tools_of(over) if tool.spec.name == self.spec.name)


class _Editing(_Looking):
    _tool: EditingTool

    async def plan(self, arguments: Mapping[str, JSON]) -> PlannedEdit:
        plan = await self._tool.plan(arguments)
        if await ignored_part(self._workspace, Place.at(plan.path)) is not None:
            raise ToolDenied(
                f"{visible(plan.path)}: git ignores it, so it is no part of a worktree, and would not be merged"
            )
        return plan

    def file(self, arguments: Mapping[str, JSON]) -> str | None:
        return self._tool.file(arguments)
