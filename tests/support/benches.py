"""Benches for tests: of a project in a folder, with walls or without, with views or in copies."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vibe_workflows.cli.jobs import ConfinedJobs, ConfinedLayers
from vibe_workflows.cli.programs import PersonsPrograms
from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.bench import Benches
from vibe_workflows.engine.bench.programs import ProgramEnd, ProgramJobs
from vibe_workflows.engine.errors import OverlayUnavailable
from vibe_workflows.engine.ports import CommandEnd, FileMade, Ground, Job, JobRunner
from vibe_workflows.sandbox.confine import FLOOR_LAYERS, Confinement, Level, run_confined

from .job_scripts import Operation, perform
from .trees import Tree

DONE = ProgramEnd(exit_code=0, stdout=b"", stderr=b"", stdout_dropped=0, stderr_dropped=0, timed_out=False)


class InCopies:
    """A machine on which a job finds no view, but all else."""

    def __init__(self, runner: JobRunner) -> None:
        self.runner = runner

    async def run(self, job: Job, ground: Ground) -> CommandEnd:
        if ground.upper is not None:
            raise OverlayUnavailable("no overlay here")
        return await self.runner.run(job, ground)


class FloorJobs:
    """A machine without mounts: commands are held at the good level."""

    async def run(self, job: Job, ground: Ground) -> CommandEnd:
        if ground.upper is not None:
            raise OverlayUnavailable("no mounts here")
        policy = Confinement(project=Path(ground.folder), protected=(), readable=tuple(map(Path, ground.readable)))
        return await run_confined(
            job.argv,
            cwd=Path(ground.folder),
            policy=policy,
            timeout_s=job.timeout_s,
            at_least=Level.WEAK,
            layers=FLOOR_LAYERS,
        )


class Performing:
    """Does what a script says in place of a command, in this process. For copies."""

    def __init__(self) -> None:
        self.script: Sequence[Operation] = ()

    async def run(self, job: Job, ground: Ground) -> CommandEnd:
        if ground.upper is not None:
            raise OverlayUnavailable("no overlay here")
        perform(self.script, ground.folder)
        return DONE


class Yard:
    """A project, and benches for it."""

    def __init__(
        self,
        folder: Path,
        runner: JobRunner | None = None,
        *,
        setup: Sequence[Sequence[str]] = (),
        protected: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.root = folder / "project"
        self.root.mkdir(exist_ok=True)
        self.cache = folder / "cache"
        self.tree = Tree(self.root, self.cache)
        self.runner = runner or ConfinedJobs(accepted="weak")
        self.benches = Benches(
            self.tree.workspace,
            self.tree.tree,
            cache_dir=self.cache,
            clock=time.time,
            runner=self.runner,
            layers=ConfinedLayers(),
            programs=ProgramJobs(PersonsPrograms(self.root, os.environ)),
            link=(".venv", "node_modules"),
            setup=setup,
            protected=protected,
        )

    async def apply(self, files: Sequence[FileMade]) -> None:
        """As the engine does."""
        workspace = self.tree.workspace
        own = WorkspaceFiles(workspace, FileState(workspace, FileDigests(workspace, time.time)))
        for made in files:
            await own.write(made.path, made.before, made.after)

    def left(self) -> list[str]:
        """What lies in the cache of snapshots and the like."""
        base = self.cache / "snapshots"
        return sorted(os.listdir(base)) if base.exists() else []


@contextmanager
def yard(
    folder: Path,
    runner: JobRunner | None = None,
    *,
    setup: Sequence[Sequence[str]] = (),
    protected: Sequence[str] = (),
) -> Iterator[Yard]:
    made = Yard(folder, runner, setup=setup, protected=protected)
    try:
        yield made
    finally:
        made.benches.close()


def shell(script: str, timeout_s: float = 60.0) -> Job:
    return Job(argv=("sh", "-c", script), timeout_s=timeout_s)
