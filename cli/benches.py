"""Where commands of agents work, from the settings. Nothing is loaded before a command is to run."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.config import Settings

if TYPE_CHECKING:
    from vibe_workflows.engine.bench import Benches
    from vibe_workflows.engine.ports import Workbench, Worktrees

    from .working import Trees


class LazyBenches:
    """Those of one project, made when they are first asked for."""

    def __init__(self, settings: Settings, workspace: Workspace, trees: Trees) -> None:
        self._settings = settings
        self._workspace = workspace
        self._trees = trees
        self._made: Benches | None = None

    @property
    def project(self) -> Workbench:
        """For commands in the project."""
        return self._benches.project

    @property
    def worktrees(self) -> Worktrees:
        """For commands in worktrees."""
        return self._benches.worktrees

    def close(self) -> None:
        """Remove all that was made. Blocking."""
        if self._made is not None:
            self._made.close()

    @property
    def _benches(self) -> Benches:
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self) -> Benches:
        """And hide this process from what will run on them: its environment and its memory hold keys."""
        from vibe_workflows.engine.bench import Benches
        from vibe_workflows.engine.bench.programs import ProgramJobs
        from vibe_workflows.sandbox.confine import hide_this_process

        from .jobs import ConfinedJobs, ConfinedLayers, own_paths
        from .programs import PersonsPrograms

        hide_this_process()
        settings = self._settings
        return Benches(
            self._workspace,
            self._trees.project,
            cache_dir=settings.cache_dir,
            clock=time.time,
            runner=ConfinedJobs(
                accepted=settings.sandbox_accept,
                readable=settings.confine_read,
                environment={name: os.environ[name] for name in settings.confine_env if name in os.environ},
            ),
            layers=ConfinedLayers(),
            programs=ProgramJobs(PersonsPrograms(settings.project_root, os.environ)),
            link=settings.worktree_link,
            setup=settings.worktree_setup,
            protected=own_paths(self._workspace.root),
        )


@asynccontextmanager
async def open_benches(settings: Settings, workspace: Workspace, trees: Trees) -> AsyncIterator[LazyBenches]:
    """Nothing of them is left after the block; what processes left that were killed is removed first."""
    benches = LazyBenches(settings, workspace, trees)
    await trio.to_thread.run_sync(_clear_dead, settings)
    try:
        yield benches
    finally:
        with trio.CancelScope(shield=True):  # bounded by what it holds
            await trio.to_thread.run_sync(benches.close)


def _clear_dead(settings: Settings) -> None:
    if not _holds_something(settings):
        return
    from vibe_workflows.engine.bench.premises import Premises  # hardly ever anything is left

    Premises(settings.cache_dir, str(settings.project_root)).clear_dead()


def _holds_something(settings: Settings) -> bool:
    try:
        with os.scandir(settings.cache_dir / "snapshots") as scan:
            return any(True for _ in scan)
    except OSError:
        return False
