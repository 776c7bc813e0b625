"""All benches of one project, and the folders that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..agents.tools.workspace import Workspace
from ..ports import JobRunner, UpperLayers, Workbench, Worktrees
from ..tree import ProjectTree
from .choosing import Walls, project_bench, worktree_bench
from .copies import Means
from .premises import Premises
from .snapshots import Snapshots
from .worktrees import SnapshotWorktrees


class Benches:
    """Of one process. `close` it: it keeps folders in the user's cache."""

    def __init__(
        self,
        workspace: Workspace,
        tree: ProjectTree,
        *,
        cache_dir: Path,
        clock: Callable[[], float],
        runner: JobRunner,
        layers: UpperLayers,
        programs: JobRunner,
        link: Sequence[str],
        setup: Sequence[Sequence[str]],
        protected: Sequence[str],
    ) -> None:
        """`runner` and `layers` confine, `programs` runs those of the person's own.

        `protected` are paths of the project that no job changes.
        """
        self._premises = Premises(cache_dir, workspace.root)
        self._snapshots = Snapshots(workspace.root, tree, self._premises)
        self._means = Means(
            project=workspace.root,
            checker=workspace.checker,
            premises=self._premises,
            link=tuple(link),
            protected=tuple(protected),
            clock=clock,
        )
        walls = Walls(runner, layers)
        self.project: Workbench = project_bench(self._means, walls, programs, self._snapshots)
        self.worktrees: Worktrees = SnapshotWorktrees(
            self._snapshots, partial(worktree_bench, self._means, walls, programs), setup
        )

    def close(self) -> None:
        """Remove all that this process made. Blocking."""
        self._premises.close()
