"""How what a step changed in a worktree comes into the project: one merge after the other, all of it or none.

What is to be written is decided while others may edit, and made while nobody may, if the project is still as it was
when it was decided. With the edits, the answer of the step is stored: whoever finds them finds it completed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import trio
from msgspec import Struct

from ..agents.tools.workspace import Place, Workspace
from ..errors import Conflict, ToolDenied, ToolFailed
from ..model import Observation
from ..observe import tree_observation
from ..ports import FileMade, Record, Worktree
from ..time_limit import Paused
from ..timeline.project import Project
from ..timeline.timeline import Witness
from .isolation import Isolation
from .opening import open_worktree

#: Others may edit between the decision and the deed.
_TRIES = 5
_MOST_BYTES = 32 * 1024 * 1024

_Read = Callable[[str], Awaitable[bytes | None]]


class Gate(Protocol):
    """The gate of a step, which has to hold for what comes of the merge as well."""

    @property
    def tree(self) -> str:
        """The digest of all files of the project, as they were when it was green."""
        ...

    async def require_green(self, worktree: Worktree, files: Mapping[str, bytes | None]) -> None:
        """Run it on `worktree` with these files otherwise. Raises GateFailed, and what running it raises."""
        ...


class Arrival(Struct, frozen=True, kw_only=True):
    """What a step brings. `along` gives what is stored with its edits; it is told how they are observed."""

    witness: Witness
    number: int  # of its call
    changes: Sequence[FileMade]
    along: Callable[[Sequence[Observation]], Sequence[Record]]
    paused: Paused  # stops the clock of its time limit
    gate: Gate | None = None


class _Decided(Struct, frozen=True, kw_only=True):
    files: tuple[FileMade, ...]  # as they lie in the project, and what they are to be
    tree: str | None = None  # the digest of all files for which that holds; None: no other file counts
    looks: tuple[Observation, ...] = ()


class MergeQueue:
    """Of one run."""

    def __init__(self, project: Project, isolation: Isolation) -> None:
        self._project = project
        self._worktrees = isolation.worktrees
        self._differ = isolation.differ
        self._tree = isolation.tree
        self._queue = trio.StrictFIFOLock()

    async def land(self, arrival: Arrival) -> None:
        """Merge it into the project, behind those that came before it.

        Raises Conflict where a file cannot be merged, GateFailed, and ToolFailed or ToolDenied where one cannot be
        written; then nothing of it is in the project.
        """
        with arrival.paused():
            await self._queue.acquire()
        try:
            for _ in range(_TRIES):
                decided = await self._decide(arrival)
                async with self._project.writing():
                    if decided.tree is None or decided.tree == await self._tree():
                        landed = await self._project.landings.land(
                            arrival.witness, arrival.number, decided.files, decided.looks, arrival.along
                        )
                        if landed:
                            return self._tell(arrival, decided)
        finally:
            self._queue.release()
        raise Conflict("nothing was merged: the project was edited each time that its files were about to be written")

    def _tell(self, arrival: Arrival, decided: _Decided) -> None:
        for made in decided.files:
            if made.before != made.after:
                self._project.collisions.changed(arrival.witness, made.path, made.before, made.after)

    async def _decide(self, arrival: Arrival) -> _Decided:
        gate = arrival.gate
        async with self._project.lock.shared():
            tree = None if gate is None else await self._tree()
            ours = await _present(arrival.changes, self._project.files.read)
        if gate is None or gate.tree == tree:
            return _Decided(files=await self._merged(arrival.changes, ours), tree=tree)
        async with open_worktree(self._project, self._worktrees) as opened:
            snapshot = Workspace(Path(opened.worktree.root), None)
            ours = await _present(arrival.changes, partial(_read_at, snapshot))
            files = await self._merged(arrival.changes, ours)
            await gate.require_green(opened.worktree, {made.path: made.after for made in files})
            look = tree_observation(opened.worktree.tree, epoch=opened.epoch, aside=True)
            return _Decided(files=files, tree=opened.worktree.tree, looks=(look,))

    async def _merged(self, changes: Sequence[FileMade], ours: Mapping[str, bytes | None]) -> tuple[FileMade, ...]:
        from ..merging import Trio, merged  # most runs merge nothing

        trios = [Trio(path=made.path, base=made.before, ours=ours[made.path], theirs=made.after) for made in changes]
        files = (await merged(self._differ, trios)).require_clean()
        return tuple(FileMade(path=path, before=ours[path], after=after) for path, after in files.items())


async def _present(changes: Sequence[FileMade], read: _Read) -> dict[str, bytes | None]:
    try:
        return {made.path: await read(made.path) for made in changes}
    except (ToolFailed, ToolDenied) as error:  # no file lies there now
        raise Conflict(f"nothing was merged: {error.message}") from error


async def _read_at(workspace: Workspace, path: str) -> bytes | None:
    return await workspace.read_present(Place.at(path), limit=_MOST_BYTES)
