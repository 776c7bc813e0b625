"""What was found out by reading whole files, kept for as long as they look unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

import trio
from msgspec import Struct

from .descent import NO_FILE, told
from .workspace import INLINE_BYTES, Place, Workspace

#: A file that changed this short a time ago may change once more within the same tick of its file system's clock (FAT
#: has the coarsest: two seconds), and look unchanged. What was read of it is not kept.
SETTLED_NS = 2_000_000_000

_Signature: TypeAlias = tuple[int, int, int, int, int]


class Digested(Struct, frozen=True, kw_only=True):
    digest: str
    size: int  # of what was read


D = TypeVar("D", bound=Digested)


class _Known(Struct, Generic[D], frozen=True, kw_only=True):
    signature: _Signature
    digested: D


class Restless(Exception):
    """The file changed while it was read."""


class KnownFiles(Generic[D]):
    """`clock` gives seconds since the epoch, as file systems count them; `digest` reads an open file to its end."""

    def __init__(self, clock: Callable[[], float], digest: Callable[[int], D]) -> None:
        self._clock = clock
        self._digest = digest
        self._known: dict[str, _Known[D]] = {}  # by real path

    async def digested(self, workspace: Workspace, place: Place) -> D:
        """Of a file of the disk. Raises Restless, and as `Workspace.read`."""
        known = self._known.get(place.real_path)
        if known is not None and known.signature == _signature(workspace.stat_file(place)):
            return known.digested
        with workspace.open_file(place) as (file, before), told(place, NO_FILE):
            began_ns = int(self._clock() * 1e9)
            if before.st_size <= INLINE_BYTES:
                found = self._digest(file)
            else:
                found = await trio.to_thread.run_sync(self._digest, file)
            after = os.fstat(file)
        if _signature(before) != _signature(after) or found.size != after.st_size:
            raise Restless
        if max(after.st_mtime_ns, after.st_ctime_ns) < began_ns - SETTLED_NS:
            self._known[place.real_path] = _Known(signature=_signature(after), digested=found)
        return found


def _signature(found: os.stat_result) -> _Signature:
    """What changes when the contents do. The change time is the system's own: no one sets it back."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
