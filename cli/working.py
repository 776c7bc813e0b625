"""Commands of agents at work on the project, and the look that they take at it. Most runs load nothing of either."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.model import FILE_TREE, JSON, ToolSpec
from vibe_workflows.engine.ports import Footprint, Job, ToolResult, Workbench, Worked

if TYPE_CHECKING:
    from vibe_workflows.engine.tree import ProjectTree


class Trees:
    """The files of one project as a whole: looked at when a command runs, or is to be answered from the store."""

    def __init__(self, workspace: Workspace, cache_dir: Path) -> None:
        self._workspace = workspace
        self._cache_dir = cache_dir
        self._project: ProjectTree | None = None

    @property
    def project(self) -> ProjectTree:
        if self._project is None:
            from vibe_workflows.engine.tree import ProjectTree, TreeCache

            self._project = ProjectTree(self._workspace, TreeCache(self._cache_dir, self._workspace.root), time.time)
        return self._project


class TreeLook:
    """`engine.tree.FileTree` of a project, or of a view of it, loaded when it is first run."""

    spec = ToolSpec(
        name=FILE_TREE,
        description="The digest of all files of the project that git does not ignore.",
        parameters={"type": "object", "properties": {}, "required": []},
    )
    group = "read"
    observes = True

    def __init__(self, trees: Trees, over: Mapping[str, bytes | None] | None = None) -> None:
        self._trees = trees
        self._over = over

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint:
        """All of the project."""
        return Footprint(path="", deep=True)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        from vibe_workflows.engine.tree import FileTree

        return await FileTree(self._trees.project, self._over).run(arguments)


class HiddenBench:
    """A workbench that is made for the first command, and this process hidden from what runs on it: its environment and
    its memory hold keys.
    """

    def __init__(self, make: Callable[[], Workbench]) -> None:
        self._make = make
        self._bench: Workbench | None = None

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        if self._bench is None:
            from vibe_workflows.sandbox.confine import hide_this_process

            hide_this_process()
            self._bench = self._make()
        async with self._bench.working(job, over) as worked:
            yield worked
