"""All benches of one project, and the folders that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..agents.tools.workspace import Workspace
from ..ports import JobRunner, UpperLayers, Workbench, Worktrees
from ..tree import ProjectTree
from .choosing import ProjectBench, Walls, copy_bench, worktree_bench
from .copies import CopyingBench, Means
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
        link: Sequence[str],
        setup: Sequence[Sequence[str]],
        protected: Sequence[str],
    ) -> None:
        """`runner` and `layers` confine; `protected` are paths of the project that no job changes."""
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
        #: For confined jobs on the project.
        self.project: Workbench = ProjectBench(self._means, self._snapshots, walls)
        #: With benches for confined jobs.
        self.worktrees: Worktrees = SnapshotWorktrees(
            self._snapshots, partial(worktree_bench, self._means, walls), setup
        )

    def copies(self, runner: JobRunner) -> Workbench:
        """For jobs on the project that another runner runs, in copies."""
        return CopyingBench(self._means, self._snapshots, runner)

    def copied_worktrees(self, runner: JobRunner) -> Worktrees:
        """With benches for jobs that another runner runs, in copies."""
        return SnapshotWorktrees(self._snapshots, partial(copy_bench, self._means, runner))

    def close(self) -> None:
        """Remove all that this process made. Blocking."""
        self._premises.close()
