"""Benches that work on copy-on-write views where this machine has them, and in copies where not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from ..errors import OverlayUnavailable
from ..ports import Job, JobRunner, UpperLayers, Workbench, Worked
from .copies import CopyingBench, KeptCopyBench, Means, copied_out
from .overlays import OverlayBench, kept_layer
from .own import EitherBench
from .snapshots import Snapshot, Snapshots


class Walls:
    """How jobs are confined, and what is known of it by now."""

    def __init__(self, runner: JobRunner, layers: UpperLayers) -> None:
        self.runner = runner
        self.layers = layers
        self.views = True  # of snapshots; until one cannot be had


class ProjectBench:
    """Implements `ports.Workbench` for the project."""

    def __init__(self, means: Means, snapshots: Snapshots, walls: Walls) -> None:
        self._overlay = OverlayBench(means, walls.layers, walls.runner)
        self._copying = CopyingBench(means, snapshots, walls.runner)
        self._views = True  # until one cannot be had

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        async with AsyncExitStack() as stack:
            yield await self._started(stack, job, over)

    async def _started(self, stack: AsyncExitStack, job: Job, over: Mapping[str, bytes | None]) -> Worked:
        if self._views:
            try:
                return await stack.enter_async_context(self._overlay.working(job, over))
            except OverlayUnavailable:
                self._views = False
        return await stack.enter_async_context(self._copying.working(job, over))


class WorktreeBench:
    """Implements `ports.Workbench` for a worktree. What it works on is made for the first job."""

    def __init__(self, means: Means, snapshot: Snapshot, walls: Walls, stack: AsyncExitStack) -> None:
        """`stack` ends what it works on."""
        self._means = means
        self._snapshot = snapshot
        self._walls = walls
        self._stack = stack
        self._bench: Workbench | None = None
        self._starting = trio.Lock()

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        async with AsyncExitStack() as stack:
            yield await self._started(stack, job, over)

    async def _started(self, stack: AsyncExitStack, job: Job, over: Mapping[str, bytes | None]) -> Worked:
        async with self._starting:
            if self._bench is None and self._walls.views:
                try:
                    return await self._first_view(stack, job, over)
                except OverlayUnavailable:
                    self._walls.views = False
            if self._bench is None:
                copy = await self._stack.enter_async_context(copied_out(self._means, self._snapshot))
                self._bench = KeptCopyBench(copy, self._walls.runner)
        return await stack.enter_async_context(self._bench.working(job, over))

    async def _first_view(self, stack: AsyncExitStack, job: Job, over: Mapping[str, bytes | None]) -> Worked:
        async with AsyncExitStack() as trial:
            layer = kept_layer(self._means, self._snapshot, self._walls.layers, self._walls.runner)
            bench = await trial.enter_async_context(layer)
            worked = await stack.enter_async_context(bench.working(job, over))
            await self._stack.enter_async_context(trial.pop_all())
            self._bench = bench
        return worked


def project_bench(means: Means, walls: Walls, programs: JobRunner, snapshots: Snapshots) -> Workbench:
    """`programs` runs those of the person's own."""

    async def for_programs() -> Workbench:
        return CopyingBench(means, snapshots, programs, confined=False)

    return EitherBench(ProjectBench(means, snapshots, walls), for_programs)


@asynccontextmanager
async def worktree_bench(
    means: Means, walls: Walls, programs: JobRunner, snapshot: Snapshot
) -> AsyncIterator[Workbench]:
    """As `project_bench`. Nothing of it is left after the block."""
    async with AsyncExitStack() as stack:

        async def for_programs() -> Workbench:
            return KeptCopyBench(await stack.enter_async_context(copied_out(means, snapshot, confined=False)), programs)

        yield EitherBench(WorktreeBench(means, snapshot, walls, stack), for_programs)
