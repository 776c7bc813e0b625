"""The look at one whole file: what an edit is about to replace, and what goes along with a step.

Not a tool of agents or scripts, and so in no ToolBox: the engine takes this look, and verifies it like others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import blake2b

import msgspec
import trio

from ...errors import ToolFailed
from ...keys import DIGEST_BYTES, content_digest
from ...model import FILE_STATE, JSON, ToolSpec
from ...ports import Footprint, ToolResult
from .arguments import parameters_of, parse
from .footprints import footprint_of
from .known_files import Digested, KnownFiles, Restless
from .workspace import INLINE_BYTES, Place, Workspace, is_absence, visible

_PIECE_BYTES = 1024 * 1024
_ATTEMPTS = 3


class FileStateArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str


class FileState:
    """`known` may be shared: by looks at one workspace, and at others laid over it."""

    spec = ToolSpec(
        name=FILE_STATE, description="The digest of one file.", parameters=parameters_of(FileStateArguments), version=1
    )
    group = "read"
    observes = True

    def __init__(self, workspace: Workspace, known: KnownFiles[Digested]) -> None:
        self._workspace = workspace
        self._known = known

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return footprint_of(self._workspace, self.spec.name, FileStateArguments, arguments)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {digest}: `content_digest` of the whole file, or null where nothing lies there."""
        wanted = parse(self.spec.name, FileStateArguments, arguments)
        digest = await self.digest(self._workspace.locate(wanted.path))
        return ToolResult(text=digest or "absent", data={"digest": digest})

    async def digest(self, place: Place) -> str | None:
        """Raises ToolFailed or ToolDenied where what lies there is no file that could be read or made."""
        try:
            over = self._workspace.lies_over(place)
            return await self._digest_of_disk(place) if over is None else await _digest_of(over)
        except ToolFailed as error:
            if is_absence(place, error):
                return None
            raise

    async def _digest_of_disk(self, place: Place) -> str:
        for _ in range(_ATTEMPTS):
            try:
                return (await self._known.digested(self._workspace, place)).digest
            except Restless:
                await trio.lowlevel.checkpoint()
        raise ToolFailed(f"{visible(place.path)}: it changes while it is read")


async def _digest_of(contents: bytes) -> str:
    if len(contents) <= INLINE_BYTES:
        return content_digest(contents)
    return await trio.to_thread.run_sync(content_digest, contents)


def known_states(clock: Callable[[], float]) -> KnownFiles[Digested]:
    """For the looks of one run. `clock` gives seconds since the epoch, as file systems count them."""
    return KnownFiles(clock, _digest)


def _digest(file: int) -> Digested:
    digest = blake2b(digest_size=DIGEST_BYTES)
    size = 0
    while piece := os.read(file, _PIECE_BYTES):
        digest.update(piece)
        size += len(piece)
    return Digested(digest=digest.hexdigest(), size=size)
