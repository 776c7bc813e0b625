"""The engine's parts for steps in worktrees, put together when a run first has one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.git_diff import GitDiff
from vibe_workflows.engine.agents.tools.registry import edit_tools, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.git import Differ
from vibe_workflows.engine.ports import Checker, StoreReader, Tool, Worktrees
from vibe_workflows.engine.worktrees.isolation import Isolation
from vibe_workflows.engine.worktrees.tools import worktree_tools

from .commands import ConfinedCommands
from .working import Trees


class ProjectParts(Struct, frozen=True, kw_only=True):
    """What there is of one project already."""

    workspace: Workspace
    commands: ConfinedCommands
    checker: Checker  # one that remembers what is ignored
    trees: Trees
    reader: StoreReader
    worktrees: Worktrees


def isolation(parts: ProjectParts) -> Isolation:
    def tools(root: str, files: Mapping[str, bytes | None]) -> Iterable[Tool]:
        commands = parts.commands.elsewhere(Path(root))
        digests = FileDigests(Workspace(Path(root), None), time.time)

        def tools_of(workspace: Workspace) -> Iterable[Tool]:
            looks = [tool for tool in read_tools(workspace, commands) if not isinstance(tool, GitDiff)]
            return (*looks, *edit_tools(workspace), FileState(workspace, digests))

        return worktree_tools(Workspace(Path(root), parts.checker).over(files), tools_of)

    def of_repository(files: Mapping[str, bytes | None]) -> Iterable[Tool]:
        return (GitDiff(parts.workspace.over(files), parts.commands),)

    return Isolation(
        worktrees=parts.worktrees,
        tools=tools,
        of_repository=of_repository,
        contents=parts.reader.contents,
        step=parts.reader.step,
        differ=Differ(parts.commands),
        tree=parts.trees.project.digest,
    )
