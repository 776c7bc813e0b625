"""The files that a script hands to its agents with `files=`: where they lie, what they are, and what is in them.

Paths follow the rules of the read tools, and a path that these deny is ToolDenied here too. What a script's author has
to mend (a missing file, another kind, too much) is SetupError; a file that changed since a moment ago is Conflict.

A step is keyed by the digests of its files. Contents are not kept for that: they are read again when the step goes
live, must still have the digest, and are let go when the last of the running steps that share them has ended.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TypeAlias

import trio
from msgspec import Struct

from .agents.tools.known_files import Digested, KnownFiles, Restless
from .agents.tools.workspace import INLINE_BYTES, Place, Workspace, visible
from .errors import Conflict, SetupError, StepFault, ToolFailed
from .keys import DIGEST_BYTES, content_digest
from .media_types import KINDS, KindReader
from .model import FilePart

MIB = 1024 * 1024
#: Of all files of one step together; providers take little more in one request.
MAX_BYTES = 20 * MIB

_PIECE_BYTES = MIB

#: The files of one step, or why they cannot be had.
Looked: TypeAlias = tuple[FilePart, ...] | StepFault


class _Digested(Digested, frozen=True, kw_only=True):
    media_type: str | None


class _Held(Struct, kw_only=True):
    contents: bytes
    users: int = 0


class Attachments:
    """The attached files of one run. `clock` gives seconds since the epoch, as file systems count them."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float]) -> None:
        self._workspace = workspace
        self._known = KnownFiles(clock, _digest)
        self._held: dict[str, _Held] = {}  # by digest; Invariant: each has a user, or is about to get its first
        self._reading = trio.Lock()  # one file at a time: so two steps that start together read a shared one once

    # ------------------------------------------------------------ what they are

    async def look(self, wanted: Sequence[tuple[str, ...]]) -> list[Looked]:
        """The files of each of some steps, in their order. A path that several name is looked at once."""
        seen: dict[str, FilePart] = {}  # by the path as it was asked for
        steps: dict[tuple[str, ...], Looked] = {}
        for paths in wanted:
            if paths in steps:
                continue
            try:
                steps[paths] = await self._look(paths, seen)
            except StepFault as error:
                steps[paths] = error
        return [steps[paths] for paths in wanted]

    async def _look(self, paths: Sequence[str], seen: dict[str, FilePart]) -> tuple[FilePart, ...]:
        places = {path: self._place(path) for path in paths if path not in seen}
        sizes = {seen[path].path: seen[path].size for path in paths if path in seen}
        # Before anything is read: what is too much may be far too much.
        _require_little(sizes | {place.path: self._stat(place).st_size for place in places.values()})
        for path, place in places.items():
            seen[path] = await self._part(place)
        parts = {seen[path].path: seen[path] for path in paths}  # a file that was named twice goes along once
        _require_little({path: part.size for path, part in parts.items()})
        return tuple(parts.values())

    def _place(self, path: str) -> Place:
        place = self._workspace.locate(path)
        try:
            place.path.encode()
        except UnicodeEncodeError as error:
            raise SetupError(f"agent: files: {visible(path)}: not a path in UTF-8; rename the file") from error
        return place

    def _stat(self, place: Place) -> os.stat_result:
        try:
            return self._workspace.stat_file(place)
        except ToolFailed as error:
            raise _author_s(error) from error

    async def _part(self, place: Place) -> FilePart:
        await trio.lowlevel.checkpoint()  # small files are read in place, and there may be thousands
        found = await self._digested(place)
        shown = visible(place.path)
        if found.media_type is None:
            raise SetupError(f"agent: files: {shown}: none of the kinds that go along, which are {KINDS}")
        return FilePart(path=place.path, media_type=found.media_type, digest=found.digest, size=found.size)

    async def _digested(self, place: Place) -> _Digested:
        try:
            return await self._known.digested(self._workspace, place)
        except Restless as error:
            raise Conflict(
                f"agent: files: {visible(place.path)}: it changes while it is read; run again when it rests"
            ) from error
        except ToolFailed as error:
            raise _author_s(error) from error

    # ------------------------------------------------------------ what is in them

    @asynccontextmanager
    async def held(self, files: Sequence[FilePart]) -> AsyncIterator[Mapping[str, bytes]]:
        """The contents by digest, for a step that runs. Steps that run at the same time share them.

        Raises Conflict where a file is no longer what the step was keyed by.
        """
        taken: list[str] = []
        try:
            for file in files:
                await self._hold(file)
                taken.append(file.digest)
            yield {digest: self._held[digest].contents for digest in taken}
        finally:
            for digest in taken:
                self._release(digest)

    async def _hold(self, file: FilePart) -> None:
        if file.digest not in self._held:
            await self._read_once(file)
        self._held[file.digest].users += 1  # with no await since the contents were there

    async def _read_once(self, file: FilePart) -> None:
        async with self._reading:
            if file.digest not in self._held:
                self._held[file.digest] = _Held(contents=await self._contents(file))

    def _release(self, digest: str) -> None:
        held = self._held[digest]
        held.users -= 1
        if not held.users:
            del self._held[digest]

    async def _contents(self, file: FilePart) -> bytes:
        place = self._workspace.locate(file.path)
        try:
            contents = await self._workspace.read_small(place, limit=file.size)
        except ToolFailed as error:
            raise Conflict(f"{_changed(file)} ({error.message})") from error
        if contents is None or await _content_digest(contents) != file.digest:
            raise Conflict(_changed(file))
        return contents


def _changed(file: FilePart) -> str:
    return (
        f"agent: files: {visible(file.path)}: it changed between the moment when the script asked and the one when the "
        "step began; run again, and the step gets the new contents"
    )


def _author_s(error: ToolFailed) -> SetupError:
    return SetupError(f"agent: files: {error.message}")


def _require_little(sizes: Mapping[str, int]) -> None:
    """Raises SetupError above MAX_BYTES in all."""
    total = sum(sizes.values())
    if total <= MAX_BYTES:
        return
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    named = ", ".join(f"{visible(path)} ({size / MIB:,.1f} MB)" for path, size in largest)
    more = f" and {len(sizes) - len(largest)} more" if len(sizes) > len(largest) else ""
    raise SetupError(
        f"agent: files: {total / MIB:,.1f} MB in all, and {MAX_BYTES // MIB} MB at most go along with one step: "
        f"{named}{more}; split them over several steps, or let the agent read with tools"
    )


async def _content_digest(contents: bytes) -> str:
    if len(contents) <= INLINE_BYTES:
        return content_digest(contents)
    return await trio.to_thread.run_sync(content_digest, contents)


def _digest(file: int) -> _Digested:
    """Digest and kind of an open file, a piece at a time, and at most one piece beyond MAX_BYTES."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    kind = KindReader()
    size = 0
    while size <= MAX_BYTES and (piece := os.read(file, _PIECE_BYTES)):
        digest.update(piece)
        kind.feed(piece)
        size += len(piece)
    return _Digested(digest=digest.hexdigest(), media_type=kind.media_type(), size=size)
