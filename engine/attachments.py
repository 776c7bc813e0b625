"""The files that a script hands to its agents with `files=`: where they lie, what they are, and what is in them.

Paths follow the rules of the read tools, and a path that these deny is ToolDenied here too. What a script's author has
to mend (a missing file, another kind, too much) is SetupError; a file that changes at this very moment is Conflict.

A step looks at its files when it begins, and that is the first thing that it observed. Their contents are held while it
runs, and let go when the last of the running steps that share them has ended.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio
from msgspec import Struct

from .agents.tools.file_state import FileDigests, Unsteady, digest_of
from .agents.tools.workspace import Place, Workspace, visible
from .errors import Conflict, SetupError, ToolFailed
from .media_types import KINDS
from .model import FilePart

MIB = 1024 * 1024
#: Of all files of one step together; providers take little more in one request.
MAX_BYTES = 20 * MIB


class _Held(Struct, kw_only=True):
    contents: bytes
    users: int = 0


class Attachments:
    """The attached files of one run. `kept` gives contents that a file had before it was edited, by digest."""

    def __init__(
        self,
        workspace: Workspace,
        digests: FileDigests,
        kept: Callable[[str], bytes | None] = lambda _digest: None,
    ) -> None:
        self._workspace = workspace
        self._digests = digests
        self._kept = kept
        self._held: dict[str, _Held] = {}  # by digest; Invariant: each has a user, or is about to get its first
        self._reading = trio.Lock()  # one file at a time: so two steps that start together read a shared one once

    # ------------------------------------------------------------ what they are

    async def look(self, paths: Sequence[str]) -> tuple[FilePart, ...]:
        """The files of one step as they are now, in their order. Raises SetupError, ToolDenied and Conflict."""
        places = [self._place(path) for path in paths]
        # Before anything is read: what is too much may be far too much.
        _require_little({place.path: self._stat(place).st_size for place in places})
        parts = tuple([await self._part(place) for place in places])
        _require_little({part.path: part.size for part in parts})
        return parts

    def _place(self, path: str) -> Place:
        try:
            place = self._workspace.locate(path)
        except ToolFailed as error:
            raise _author_s(error) from error
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
        try:
            found = await self._digests.of(place)
        except Unsteady as error:
            raise Conflict(f"agent: files: {error.message}") from error
        except ToolFailed as error:
            raise _author_s(error) from error
        if found.media_type is None:
            shown = visible(place.path)
            raise SetupError(f"agent: files: {shown}: none of the kinds that go along, which are {KINDS}")
        return FilePart(path=place.path, media_type=found.media_type, digest=found.digest, size=found.size)

    # ------------------------------------------------------------ what is in them

    @asynccontextmanager
    async def held(self, files: Sequence[FilePart]) -> AsyncIterator[Mapping[str, bytes]]:
        """The contents by digest, for a step that runs. Steps that run at the same time share them.

        Of a file that a step has edited since, they are the kept ones. Raises Conflict where it is otherwise no longer
        what `look` found.
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
        contents: bytes | None = None
        cause: ToolFailed | None = None
        try:
            contents = await self._workspace.read_small(place, limit=file.size)
        except ToolFailed as error:
            cause = error
        if contents is not None and await digest_of(contents) == file.digest:
            return contents
        if (contents := self._kept(file.digest)) is not None:
            return contents
        raise Conflict(_changed(file) + (f" ({cause.message})" if cause is not None else "")) from cause


def _changed(file: FilePart) -> str:
    return f"agent: files: {visible(file.path)}: it changed just as its step began; run again when it rests"


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
