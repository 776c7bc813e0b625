"""What observations are made of: the looks at a project, at views of it, and at what a worktree of it would show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.file_tree import FileTree
from vibe_workflows.engine.agents.tools.registry import read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.observe import Replayer
from vibe_workflows.engine.ports import StoreReader, Tool, Worktrees

from .commands import ConfinedCommands
from .working import Trees

if TYPE_CHECKING:
    from vibe_workflows.engine.worktrees.isolation import Isolation


class ProjectLooks(Struct, frozen=True, kw_only=True):
    """Of one project."""

    workspace: Workspace
    commands: ConfinedCommands
    digests: FileDigests
    trees: Trees

    def of(self, workspace: Workspace) -> tuple[Tool, ...]:
        """Of the project, or a view of it."""
        looks = read_tools(workspace, self.commands)
        return (*looks, FileState(workspace, self.digests), FileTree(self.trees.digest, workspace.overlaid))

    def over(self, files: Mapping[str, bytes | None]) -> Iterable[Tool]:
        """With these files otherwise."""
        return self.of(self.workspace.over(files))

    def aside(self, files: Mapping[str, bytes | None]) -> Iterable[Tool]:
        """The same, as in a worktree."""
        from vibe_workflows.engine.worktrees.tools import worktree_tools  # most runs have none

        return worktree_tools(self.workspace.over(files), self.of)

    def replayer(self, reader: StoreReader) -> Replayer:
        return Replayer(self.of(self.workspace), self.over, reader.contents, self.aside)

    def isolation(self, reader: StoreReader, worktrees: Worktrees) -> Isolation:
        from .worktrees import ProjectParts, isolation  # likewise

        parts = ProjectParts(
            workspace=self.workspace,
            commands=self.commands,
            checker=self.workspace.checker,
            trees=self.trees,
            reader=reader,
            worktrees=worktrees,
        )
        return isolation(parts)
