"""Runs jobs in a private copy of the project, and finds out what they did by comparing it.

It takes nothing of the system but files: for where commands are confined without mounts, and for programs that are not
confined at all.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from msgspec import Struct
from msgspec.structs import replace

from ..agents.tools.workspace import Workspace
from ..errors import ToolFailed
from ..ports import Checker, CommandEnd, Ground, Job, JobRunner, Worked
from ..tree import ProjectTree, TreeFiles
from ..tree.records import UNSETTLED, FolderRecord, content_mark, mark_of
from .before import NEW_FILE_MODE, NEW_FOLDER_MODE, Before, folders_above
from .copying import RULES, Copied, copy_tree
from .effects import Effects, sorted_out
from .finished import Destination, Finished
from .found import Found, Kind, walk
from .laying import lay
from .left_out import HISTORY, LeftOut
from .links import GIT, linked_folders, make_links, readable
from .premises import Premises
from .snapshots import Snapshot, Snapshots

#: For the clock of a file system to move on; the coarsest has steps of two seconds.
_TICK_S = 2.5
_LOOK_AGAIN_S = 0.001
_CTIME = 5  # in a signature


class Means(Struct, frozen=True, kw_only=True):
    """What benches of one project work with."""

    project: str  # the real path of its root
    checker: Checker
    premises: Premises
    link: tuple[str, ...]  # paths of folders that copies may only read
    protected: tuple[str, ...]  # further paths that no job changes
    clock: Callable[[], float]


class CopyingBench:
    """Implements `ports.Workbench` for the project: each job has a copy of its own. `confined`: behind walls."""

    def __init__(self, means: Means, snapshots: Snapshots, runner: JobRunner, *, confined: bool = True) -> None:
        self._means = means
        self._snapshots = snapshots
        self._runner = runner
        self._confined = confined

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        copying = partial(copied_out, self._means, confined=self._confined)
        async with self._snapshots.taken() as snapshot, copying(snapshot) as copy:
            end, effects = await copy.run(self._runner, job, over)
            yield Finished(end, effects, copy.root, Destination(self._means.project, self._means.premises))


class KeptCopyBench:
    """Implements `ports.Workbench` for a worktree: all jobs have the same copy, one after the other."""

    def __init__(self, copy: Copy, runner: JobRunner) -> None:
        self._copy = copy
        self._runner = runner
        self._working = trio.Lock()

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[Worked]:
        async with self._working:
            end, effects = await self._copy.run(self._runner, job, over)
            yield Finished(end, effects, self._copy.root, None)


class Copy:
    """A copy of a snapshot, in which jobs run one after the other."""

    def __init__(self, means: Means, snapshot: Copied, copied: Copied, linked: Sequence[str]) -> None:
        self.root = copied.root
        self._means = means
        self._snapshot = snapshot
        self._own = frozenset((GIT, *linked))
        self._linked = linked
        self._tree = ProjectTree(Workspace(Path(copied.root), means.checker), None, means.clock, copied.folders)
        self._touched: set[str] = set()  # files that may be otherwise than in the snapshot
        self._names: frozenset[str] = frozenset()  # of what no job finds here any more
        self._left_out = LeftOut()

    async def run(self, runner: JobRunner, job: Job, over: Mapping[str, bytes | None]) -> tuple[CommandEnd, Effects]:
        before = Before(self._snapshot.root, over)
        await trio.to_thread.run_sync(self._lay, before, over)
        if job.own is not None:
            await trio.to_thread.run_sync(self._leave_out, job.own.leaves_out)
        ground = Ground(folder=self.root, readable=readable(self._means.project, self._linked))
        end = await runner.run(job, ground)
        after = await self._tree.files()
        effects = await trio.to_thread.run_sync(self._compare, before, over, after)
        self._touched.update(made.path for made in effects.files)
        return end, effects

    def _lay(self, before: Before, over: Mapping[str, bytes | None]) -> None:
        """What the last job did to a file counts from `over`, or not at all."""
        plain = Before(self._snapshot.root, {})
        try:
            for path in sorted(self._touched - over.keys()):
                is_file = plain.at(path).kind is Kind.FILE
                lay(self.root, path, plain.read(path) if is_file else None, plain.at(path).mode)
            for path in sorted(over):
                lay(self.root, path, over[path], before.at(path).mode)
        except OSError as error:
            raise ToolFailed(f"{self.root}: the copy cannot be brought up to date: {error.strerror}") from error
        self._touched.update(over)

    def _leave_out(self, names: Sequence[str]) -> None:
        """Also what an earlier job left under such a name, and what is laid for this one."""
        self._names |= {*names, HISTORY}
        self._left_out = LeftOut(self._names)
        try:
            self._left_out.remove_from(self.root)
        except OSError as error:
            raise ToolFailed(f"{self.root}: the copy keeps what has to be left out: {error.strerror}") from error

    def _compare(self, before: Before, over: Mapping[str, bytes | None], after: TreeFiles) -> Effects:
        unlisted: set[str] = set()
        walked = {found.path: found for found in walk(self.root, leave_out=self._own, unlisted=unlisted)}
        now = _marks(after.folders)
        old = _marks(self._snapshot.folders)
        for path, data in over.items():
            old.pop(path, None)
            if data is not None:
                old[path] = mark_of(stat.S_IFREG | before.at(path).mode, content_mark(data))
        folders = {prefix[:-1] for prefix in self._snapshot.folders} - {""}
        changes = [found for found in walked.values() if _may_differ(found, old, now, folders)]
        rules = {prefix + RULES for prefix, folder in self._snapshot.folders.items() if RULES in folder.ignored}
        gone = {path for path in {*old, *folders, *rules} - walked.keys() if not self._left_out.holds(path)}
        changes += [Found(path=path, kind=Kind.GONE) for path in gone if unlisted.isdisjoint(folders_above(path))]
        counted = {*old, *now, *folders, *(prefix[:-1] for prefix in after.folders)}
        return sorted_out(before, self.root, changes, counted, self._means.protected, self._left_out)


def _marks(folders: Mapping[str, FolderRecord]) -> dict[str, bytes]:
    return {prefix + name: file.mark for prefix, folder in folders.items() for name, file in folder.files.items()}


def _may_differ(found: Found, old: Mapping[str, bytes], now: Mapping[str, bytes], folders: set[str]) -> bool:
    if found.kind is Kind.FOLDER:
        return found.path not in folders or found.mode != NEW_FOLDER_MODE
    mark = now.get(found.path)
    if mark is None or mark != old.get(found.path):
        return True
    return found.kind is Kind.FILE and found.mode != (0o755 if mark[:1] == b"x" else NEW_FILE_MODE)


@asynccontextmanager
async def copied_out(means: Means, snapshot: Snapshot, *, confined: bool = True) -> AsyncIterator[Copy]:
    """A copy of a snapshot to work in. Raises ToolFailed where there can be none; nothing of it is left afterwards.

    Who is not confined could write to the project's history, and so does not find it there.
    """
    linked = await linked_folders(means.project, means.link, means.checker)
    folder = await trio.to_thread.run_sync(means.premises.new_folder)
    try:
        copied = await trio.to_thread.run_sync(_copy, means.project, snapshot.copied, folder, linked, confined)
        yield Copy(means, snapshot.copied, copied, linked)
    finally:
        with trio.CancelScope(shield=True):  # bounded by what it holds
            await trio.to_thread.run_sync(means.premises.remove, folder)


def _copy(project: str, snapshot: Copied, folder: str, linked: Sequence[str], history: bool) -> Copied:
    copied = copy_tree(snapshot.root, folder, snapshot.folders)
    try:
        make_links(project, folder, linked, history=history)
    except OSError as error:
        raise ToolFailed(f"{folder}: the copy cannot be made: {error.strerror}") from error
    return copied if _moves_on(folder, copied) else _unsettled(copied)


def _moves_on(folder: str, copied: Copied) -> bool:
    """Return when the clock of the file system is past all files of a copy, so that any later change shows in theirs.

    False where it does not move. Mostly there is nothing to wait for, and never more than for a tick of that clock.
    """
    newest = max(
        (file.signature[_CTIME] for each in copied.folders.values() for file in each.files.values()), default=0
    )
    until = time.monotonic() + _TICK_S
    while time.monotonic() < until:
        os.utime(folder)
        if os.stat(folder).st_ctime_ns > newest:
            return True
        time.sleep(_LOOK_AGAIN_S)
    return False


def _unsettled(copied: Copied) -> Copied:
    """The same, of which all is read again."""
    return replace(
        copied,
        folders={
            prefix: replace(
                folder, files={name: replace(file, signature=UNSETTLED) for name, file in folder.files.items()}
            )
            for prefix, folder in copied.folders.items()
        },
    )
