"""Runs jobs on a copy-on-write view of a folder: nothing is copied, and what they wrote lies in a layer of its own.

The view lies at the project's own path, so that nothing that was installed for the project notices. It needs mounts.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from ..errors import ToolFailed
from ..ports import CommandEnd, Ground, Job, JobRunner, LayerEntry, UpperLayers, Worked
from .before import Before, folders_above, holds, read_file
from .copies import Means
from .copying import RULES
from .effects import Effects, sorted_out
from .finished import Destination, Finished
from .found import PERMISSIONS, Found, Kind, look, walk
from .links import GIT, linked_folders
from .rules import ignored_of
from .snapshots import Snapshot

_FOLDER: Final = "folder"  # of a layer's entries, one that hides nothing
_REALTIME_COARSE: Final = 5  # the clock of files, by its number on Linux: `time` does not name it
_TICK_S: Final = 0.002
_MAX_TICKS: Final = 25


class OverlayBench:
    """Implements `ports.Workbench` for the project: each job has a layer of its own."""

    def __init__(self, means: Means, layers: UpperLayers, runner: JobRunner) -> None:
        self._means = means
        self._layers = layers
        self._runner = runner

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        async with _folder(self._means) as upper:
            layer = _Layer(self._means, self._layers, upper, lower=None, linked=())
            end, effects = await layer.run(self._runner, job, over)
            yield Finished(
                end, effects, self._layers.files(upper), Destination(self._means.project, self._means.premises)
            )


class KeptOverlayBench:
    """Implements `ports.Workbench` for a worktree: all jobs have the same layer, one after the other."""

    def __init__(self, layer: _Layer, layers: UpperLayers, runner: JobRunner) -> None:
        self._layer = layer
        self._layers = layers
        self._runner = runner
        self._working = trio.Lock()

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        async with self._working:
            end, effects = await self._layer.run(self._runner, job, over)
            yield Finished(end, effects, self._layers.files(self._layer.upper), None)


@asynccontextmanager
async def kept_layer(
    means: Means, snapshot: Snapshot, layers: UpperLayers, runner: JobRunner
) -> AsyncIterator[KeptOverlayBench]:
    """A bench on a snapshot. Nothing of the layer is left after the block."""
    linked = await linked_folders(means.project, means.link, means.checker)
    async with _folder(means) as upper:
        yield KeptOverlayBench(_Layer(means, layers, upper, lower=snapshot.root, linked=(GIT, *linked)), layers, runner)


@asynccontextmanager
async def _folder(means: Means) -> AsyncIterator[str]:
    holder = await trio.to_thread.run_sync(means.premises.new_folder)
    try:
        yield f"{holder}/upper"
    finally:
        with trio.CancelScope(shield=True):  # bounded by what it holds
            await trio.to_thread.run_sync(means.premises.remove, holder)


class _Layer:
    """An upper layer over `lower`, which lies at the project's path for a job; None: over the project."""

    def __init__(
        self, means: Means, layers: UpperLayers, upper: str, *, lower: str | None, linked: Sequence[str]
    ) -> None:
        self.upper = upper
        self._means = means
        self._layers = layers
        self._lower = lower
        self._root = lower or means.project
        self._linked = tuple(linked)
        self._touched: set[str] = set()  # files that may be otherwise than below

    async def run(self, runner: JobRunner, job: Job, over: Mapping[str, bytes | None]) -> tuple[CommandEnd, Effects]:
        before = Before(self._root, over, await self._stale_from_now() if self._lower is None else None)
        await trio.to_thread.run_sync(self._lay, before, over)
        ground = Ground(folder=self._means.project, upper=self.upper, lower=self._lower, linked=self._linked)
        end = await runner.run(job, ground)
        changes = await trio.to_thread.run_sync(self._changes, before, over)
        counted = await self._counted(before, changes)
        top, protected = self._layers.files(self.upper), self._means.protected
        effects = await trio.to_thread.run_sync(sorted_out, before, top, changes.values(), counted, protected)
        self._touched.update(made.path for made in effects.files)
        return end, effects

    async def _stale_from_now(self) -> Callable[[os.stat_result], bool]:
        """Whether a file has changed since this returned. Mostly waits for a tick of the clock of local files."""
        began_ns = int(self._means.clock() * 1e9)
        for _ in range(_MAX_TICKS):
            if time.clock_gettime_ns(_REALTIME_COARSE) > began_ns:
                break
            await trio.sleep(_TICK_S)
        return lambda found: found.st_ctime_ns > began_ns

    def _lay(self, before: Before, over: Mapping[str, bytes | None]) -> None:
        """What the last job did to a file counts from `over`, or not at all."""
        plain = Before(self._root, {})
        try:
            for path in sorted(self._touched - over.keys()):
                is_file = plain.at(path).kind is Kind.FILE
                self._lay_one(path, plain.read(path) if is_file else None, plain.at(path))
            for path in sorted(over):
                self._lay_one(path, over[path], before.at(path))
        except OSError as error:
            raise ToolFailed(f"{self.upper}: files cannot be put there: {error.strerror}") from error
        self._touched.update(over)

    def _lay_one(self, path: str, data: bytes | None, wanted: Found) -> None:
        top = self._layers.files(self.upper)
        now = look(top, path).kind
        if data is None:
            needed = now is Kind.FILE or (now is Kind.GONE and look(self._root, path).kind is Kind.FILE)
        else:
            needed = now is not Kind.FILE or not holds(top, path, data)
        if needed:
            self._layers.put(self.upper, self._root, path, data, executable=bool(wanted.mode & stat.S_IXUSR))

    def _changes(self, before: Before, over: Mapping[str, bytes | None]) -> dict[str, Found]:
        """All names that may be otherwise, by path. What a whole folder hides is named one by one."""
        top = self._layers.files(self.upper)
        written = {entry.path: entry for entry in self._layers.written(self.upper)}
        changes = {path: _found(top, entry) for path, entry in written.items()}
        for path, entry in written.items():
            if entry.kind != _FOLDER and look(self._root, path).kind is Kind.FOLDER:
                for hidden in walk(self._root, path + "/"):
                    if hidden.path not in written:
                        changes[hidden.path] = Found(path=hidden.path, kind=Kind.GONE)
        laid = {path for path, data in over.items() if data is not None}
        for path in laid.union(*map(folders_above, laid)):
            if path not in written:  # it was put there, and has no trace where nothing lies below it
                changes[path] = Found(path=path, kind=Kind.GONE)
        return changes

    async def _counted(self, before: Before, changes: Mapping[str, Found]) -> set[str]:
        """Which of them git shows: as they are, or as they were."""
        top = self._layers.files(self.upper)

        def rules_now(path: str) -> bytes | None:
            found = changes.get(path)
            if found is not None:
                return read_file(top, path) if found.kind is Kind.FILE else None
            return rules_then(path)

        def rules_then(path: str) -> bytes | None:
            return before.read(path) if before.at(path).kind is Kind.FILE else None

        now = {_asked(found): path for path, found in changes.items() if found.kind is not Kind.GONE}
        then = {_asked(before.at(path)): path for path in changes if before.at(path).kind is not Kind.GONE}
        changed = any(path.rpartition("/")[2] == RULES for path in changes)
        ignored = await ignored_of(self._means.checker, rules_now, [*now] if changed else [*{**now, **then}])
        before_ignored = await ignored_of(self._means.checker, rules_then, [*then]) if changed else ignored
        return {path for asked, path in now.items() if asked not in ignored} | {
            path for asked, path in then.items() if asked not in before_ignored
        }


def _found(top: str, entry: LayerEntry) -> Found:
    match entry.kind:
        case "folder" | "opaque":
            kind = Kind.FOLDER
        case "gone":
            kind = Kind.GONE
        case _:
            return look(top, entry.path)
    return Found(path=entry.path, kind=kind, mode=entry.mode & PERMISSIONS if kind is Kind.FOLDER else 0)


def _asked(found: Found) -> str:
    """A path as ignore rules are asked about it."""
    return found.path + "/" if found.kind is Kind.FOLDER else found.path
