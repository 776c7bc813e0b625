"""A bench for both kinds of jobs: confined ones, and programs of the person's own, which work in copies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import trio

from ..ports import FileMade, Job, Workbench, Worked


class EitherBench:
    """Implements `ports.Workbench`. `open_own` makes the bench of the person's programs, when the first one comes."""

    def __init__(self, confined: Workbench, open_own: Callable[[], Awaitable[Workbench]]) -> None:
        self._confined = confined
        self._open_own = open_own
        self._own: Workbench | None = None
        self._opening = trio.Lock()

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        if job.own is None:
            async with self._confined.working(job, over) as worked:
                yield worked
            return
        async with self._opening:
            if self._own is None:
                self._own = await self._open_own()
        async with self._own.working(job, over) as worked:
            yield worked if job.own.keeps else _ThrownAway(worked)


class _ThrownAway:
    """Implements `ports.Worked` for a job whose changes nobody wants: all of them are refused."""

    files: tuple[FileMade, ...] = ()
    beside: tuple[str, ...] = ()

    def __init__(self, worked: Worked) -> None:
        self.end = worked.end
        self.refused = tuple(sorted({*(made.path for made in worked.files), *worked.beside, *worked.refused}))

    async def put_beside(self) -> None:
        await trio.lowlevel.checkpoint()
