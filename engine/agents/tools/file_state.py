"""file_state: what lies at a path, as the digest of one whole file.

The engine takes this look itself, at attached files and before an edit. It is in no tool box: neither a model nor a
script can ask for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TypeAlias

import msgspec
import trio
from msgspec import Struct

from ...errors import ToolFailed
from ...keys import DIGEST_BYTES, content_digest
from ...media_types import KindReader
from ...model import FILE_STATE, JSON, Fault, ToolSpec
from ...ports import Footprint, ToolResult
from .arguments import parameters_of, parse
from .footprints import footprint_of
from .workspace import INLINE_BYTES, Place, Workspace, is_absence, visible

#: Larger files are not digested.
MAX_FILE_BYTES = 32 * 1024 * 1024

#: A file that changed this short a time ago may change once more within the same tick of its file system's clock (FAT
#: has the coarsest: two seconds), and look unchanged. Its digest is not kept.
SETTLED_NS = 2_000_000_000

_PIECE_BYTES = 1024 * 1024

_Signature: TypeAlias = tuple[int, int, int, int, int]


class Unsteady(ToolFailed):
    """A file changes while it is read."""

    def to_fault(self) -> Fault:
        return ToolFailed(self.message).to_fault()  # the name that scripts know


class DigestedFile(Struct, frozen=True, kw_only=True):
    digest: str  # `keys.content_digest` of its contents
    media_type: str | None  # None: no model can be given such a file
    size: int


class _Known(Struct, frozen=True, kw_only=True):
    signature: _Signature
    digested: DigestedFile


class FileDigests:
    """Digests of the files of one workspace, each computed once for as long as the file rests.

    `clock` gives seconds since the epoch, as file systems count them.
    """

    def __init__(self, workspace: Workspace, clock: Callable[[], float]) -> None:
        self._workspace = workspace
        self._clock = clock
        self._known: dict[str, _Known] = {}  # by real path
        self._reading = trio.Lock()  # one file at a time: those who look at the same one together read it once

    async def of(self, place: Place) -> DigestedFile:
        """Raises ToolFailed (Unsteady, where it changes meanwhile) and ToolDenied."""
        known = self._kept(place)
        if known is not None:
            return known
        async with self._reading:
            return self._kept(place) or await self._read(place)

    def _kept(self, place: Place) -> DigestedFile | None:
        known = self._known.get(place.real_path)
        if known is not None and known.signature == _signature(self._workspace.stat_file(place)):
            return known.digested
        return None

    async def _read(self, place: Place) -> DigestedFile:
        with self._workspace.open_file(place) as (file, before):
            if before.st_size > MAX_FILE_BYTES:
                raise ToolFailed(
                    f"{visible(place.path)}: larger than {MAX_FILE_BYTES:,} bytes, which is what is digested"
                )
            began_ns = int(self._clock() * 1e9)
            try:
                if before.st_size <= INLINE_BYTES:
                    found = _digest(file)
                else:
                    found = await trio.to_thread.run_sync(_digest, file)
            except OSError as error:
                raise ToolFailed(f"{visible(place.path)}: {os.strerror(error.errno or 0)}") from error
            after = os.fstat(file)
        if _signature(before) != _signature(after) or found.size != after.st_size:
            raise Unsteady(f"{visible(place.path)}: it changes while it is read; run again when it rests")
        if max(after.st_mtime_ns, after.st_ctime_ns) < began_ns - SETTLED_NS:
            self._known[place.real_path] = _Known(signature=_signature(after), digested=found)
        return found


class FileStateArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str


class FileState:
    spec = ToolSpec(
        name=FILE_STATE,
        description="The digest of one whole file of the project.",
        parameters=parameters_of(FileStateArguments),
    )
    group = "read"
    observes = True

    def __init__(self, workspace: Workspace, digests: FileDigests) -> None:
        self._workspace = workspace
        self._digests = digests

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return footprint_of(self._workspace, self.spec.name, FileStateArguments, arguments)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {digest}, which is None where there is no such file. Raises as `FileDigests.of` for all else."""
        wanted = parse(self.spec.name, FileStateArguments, arguments)
        digest = await self.digest(self._workspace.locate(wanted.path))
        return ToolResult(text=digest or "no such file", data={"digest": digest})

    async def digest(self, place: Place) -> str | None:
        """None where there is no such file. Raises as `FileDigests.of`."""
        try:
            over = self._workspace.lies_over(place)
            return (await self._digests.of(place)).digest if over is None else await digest_of(over)
        except ToolFailed as error:
            if is_absence(place, error):
                return None
            raise


async def digest_of(contents: bytes) -> str:
    """`keys.content_digest`, in a thread where it takes long."""
    if len(contents) <= INLINE_BYTES:
        return content_digest(contents)
    return await trio.to_thread.run_sync(content_digest, contents)


def _signature(found: os.stat_result) -> _Signature:
    """What changes when the contents do. The change time is the system's own: no one sets it back."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(file: int) -> DigestedFile:
    """Digest and kind of an open file, a piece at a time, and at most one piece beyond MAX_FILE_BYTES."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    kind = KindReader()
    size = 0
    while size <= MAX_FILE_BYTES and (piece := os.read(file, _PIECE_BYTES)):
        digest.update(piece)
        kind.feed(piece)
        size += len(piece)
    return DigestedFile(digest=digest.hexdigest(), media_type=kind.media_type(), size=size)
