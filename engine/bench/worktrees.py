"""Worktrees: a snapshot of the project for each step that works on one, and a bench for its commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from ..errors import CommandUnavailable, ToolFailed
from ..ports import CommandEnd, Job, Workbench, Worked, Worktree
from .snapshots import Snapshot, Snapshots

#: Of one command that sets a worktree up.
SETUP_S = 600.0
_SHOWN_BYTES = 4_000


class SnapshotWorktree:
    """Implements `ports.Worktree`."""

    def __init__(self, snapshot: Snapshot, bench: Workbench) -> None:
        self._snapshot = snapshot
        self._bench = bench

    @property
    def root(self) -> str:
        return self._snapshot.root

    @property
    def tree(self) -> str:
        return self._snapshot.digest

    @property
    def bench(self) -> Workbench:
        return self._bench


class SnapshotWorktrees:
    """Implements `ports.Worktrees`.

    `open_bench` gives the bench of a new worktree, and `setup` are commands that are run on each before its first job:
    not while it is opened, when nobody may edit. What they make of files that git does not ignore is not kept.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        open_bench: Callable[[Snapshot], AbstractAsyncContextManager[Workbench]],
        setup: Sequence[Sequence[str]] = (),
    ) -> None:
        self._snapshots = snapshots
        self._open_bench = open_bench
        self._setup = setup

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Worktree]:
        async with self._snapshots.taken() as snapshot, self._open_bench(snapshot) as bench:
            yield SnapshotWorktree(snapshot, _SetUpBench(bench, self._setup) if self._setup else bench)


class _SetUpBench:
    """A bench with commands to run before the first job. One that fails is tried again with the next job."""

    def __init__(self, bench: Workbench, setup: Sequence[Sequence[str]]) -> None:
        self._bench = bench
        self._left = list(setup)
        self._setting_up = trio.Lock()

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        async with self._setting_up:
            while self._left:
                await _set_up(self._bench, self._left[0])
                self._left.pop(0)
        async with self._bench.working(job, over) as worked:
            yield worked


async def _set_up(bench: Workbench, argv: Sequence[str]) -> None:
    try:
        async with bench.working(Job(argv=tuple(argv), timeout_s=SETUP_S), {}) as worked:
            end = worked.end
    except CommandUnavailable as error:
        raise ToolFailed(f"worktree.setup: `{' '.join(argv)}`: {error.message}") from error
    if end.exit_code != 0:
        raise ToolFailed(f"worktree.setup: `{' '.join(argv)}` {_how(end)}:\n{_output(end)}")


def _how(end: CommandEnd) -> str:
    if end.timed_out:
        return f"took longer than {SETUP_S:,.0f} s"
    if end.exit_code is None:
        return f"was killed ({end.over_limit or 'by a signal'})"
    return f"ended with {end.exit_code}"


def _output(end: CommandEnd) -> str:
    """What it said last."""
    said = (end.stdout.strip() + b"\n" + end.stderr.strip()).strip()
    return said[-_SHOWN_BYTES:].decode("utf-8", "replace")
