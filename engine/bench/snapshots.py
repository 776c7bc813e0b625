"""Snapshots of the project: all its files that count, as they were at one moment, shared by those who work from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import trio
from msgspec import Struct

from ..errors import ToolFailed
from ..tree import ProjectTree, TreeFiles
from .copying import RULES, Copied, copy_tree
from .premises import Premises

#: A snapshot whose ignore rules change while it is made would hold what it should not.
_MAX_TRIES = 3
#: Kinds of files, as marks tell them, that cannot be read, or are devices.
_NOT_COPIED = (b"u", b"o")


class Snapshot(Struct, eq=False, kw_only=True):
    copied: Copied
    digest: str  # of what was copied, as `FILE_TREE` gives it
    origin: str  # of what was looked at; empty where something else was copied, since it changed meanwhile
    users: int = 0

    @property
    def root(self) -> str:
        return self.copied.root


class Snapshots:
    """Of one project. The newest one stays for the next to be made from, until the premises are closed."""

    def __init__(self, root: str, tree: ProjectTree, premises: Premises) -> None:
        self._root = root
        self._tree = tree
        self._premises = premises
        self._newest: Snapshot | None = None
        self._making = trio.Lock()
        self._looks = 0  # at the project, that began
        self._right_by = 0  # the last of them that came to its end

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[Snapshot]:
        """The project as it lies now; one that is unchanged is not copied again. Nobody writes to a snapshot.

        Raises ToolFailed where it cannot be made, and then nothing of it is left.
        """
        looks = self._looks
        async with self._making:
            if self._right_by <= looks:  # else one began while this task waited, and it is as good
                await self._look()
            snapshot = self._newest
            assert snapshot is not None
            snapshot.users += 1
        try:
            yield snapshot
        finally:
            snapshot.users -= 1
            with trio.CancelScope(shield=True):  # bounded by what it holds
                await self._drop(snapshot)

    async def _look(self) -> None:
        """Make the newest snapshot the one of the project as it lies now."""
        self._looks += 1
        for _ in range(_MAX_TRIES):
            found = await self._tree.files()
            if self._newest is None or self._newest.origin != found.digest:
                made = await self._make(found)
                if made is None:
                    continue
                old, self._newest = self._newest, made
                if old is not None:
                    await self._drop(old)
            self._right_by = self._looks
            return
        raise ToolFailed("the .gitignore files of the project change while it is copied; try again when they rest")

    async def _make(self, found: TreeFiles) -> Snapshot | None:
        """None where ignore rules have changed since they said what to copy."""
        base = self._newest.copied if self._newest is not None else None
        folder = await trio.to_thread.run_sync(self._premises.new_folder)
        try:
            copied = await trio.to_thread.run_sync(copy_tree, self._root, folder, found.folders, base)
            if _same_rules(copied, found):
                origin = found.digest if all(_held(copied, found)) else ""
                return Snapshot(copied=copied, digest=copied.digest, origin=origin)
        except BaseException:
            await self._remove(folder)
            raise
        await self._remove(folder)
        return None

    async def _drop(self, snapshot: Snapshot) -> None:
        if not snapshot.users and snapshot is not self._newest:
            await self._remove(snapshot.root)

    async def _remove(self, folder: str) -> None:
        with trio.CancelScope(shield=True):  # bounded by what it holds
            await trio.to_thread.run_sync(self._premises.remove, folder)


def _same_rules(copied: Copied, found: TreeFiles) -> bool:
    return all(_held(copied, found, only=RULES))


def _held(copied: Copied, found: TreeFiles, only: str | None = None) -> Iterator[bool]:
    """Of each file that could be copied, or of those of one name, whether it was copied as it was found."""
    for prefix, folder in found.folders.items():
        files = copied.folders[prefix].files if prefix in copied.folders else {}
        for name, known in folder.files.items():
            if known.mark[:1] not in _NOT_COPIED and only in (None, name):
                copy = files.get(name)
                yield copy is not None and copy.mark == known.mark
