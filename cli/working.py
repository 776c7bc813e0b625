"""Commands of agents at work on the project, and the look that they take at it. Most runs load nothing of either."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.ports import Job, Workbench, Worked

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

    async def digest(self, over: Mapping[str, bytes | None]) -> str:
        """As that of the project's tree."""
        return await self.project.digest(over)


class LazyBench:
    """A workbench that is made for the first command."""

    def __init__(self, make: Callable[[], Workbench]) -> None:
        self._make = make

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        async with self._make().working(job, over) as worked:
            yield worked
