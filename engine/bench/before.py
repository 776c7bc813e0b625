"""What a job found: the files of a folder, some of them otherwise."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping

from ..agents.tools.descent import Place, open_file, open_parent
from ..agents.tools.workspace import visible
from ..errors import ToolDenied, ToolFailed
from ..keys import DIGEST_BYTES
from ..ports.commands import MAX_FILE_BYTES
from .copying import place_of
from .found import Found, Kind, look

NEW_FILE_MODE = 0o644
NEW_FOLDER_MODE = 0o755

_PIECE_BYTES = 1024 * 1024


class Before:
    def __init__(
        self, root: str, over: Mapping[str, bytes | None], is_stale: Callable[[os.stat_result], bool] | None = None
    ) -> None:
        """`is_stale` says of a file of the folder that it changed since the job began."""
        self.root = root
        self._over = over
        self._is_stale = is_stale
        self._folders = {folder for path, data in over.items() if data is not None for folder in folders_above(path)}
        self._looked: dict[str, Found] = {}

    def at(self, path: str) -> Found:
        found = self._looked.get(path)
        if found is None:
            found = self._looked[path] = self._look(path)
        return found

    def _look(self, path: str) -> Found:
        if path in self._over:
            data = self._over[path]
            if data is None:
                return Found(path=path, kind=Kind.GONE)
            found = look(self.root, path)
            mode = found.mode if found.kind is Kind.FILE else NEW_FILE_MODE
            return Found(path=path, kind=Kind.FILE, mode=mode, size=len(data))
        found = look(self.root, path)
        if path in self._folders and found.kind is not Kind.FOLDER:
            return Found(path=path, kind=Kind.FOLDER, mode=NEW_FOLDER_MODE)
        return found

    def read(self, path: str) -> bytes:
        """The contents of a file; something that never lay there, where they have changed since the job began.

        Whoever compares them with the file finds out. Raises ToolFailed or ToolDenied where they cannot be read, or are
        more than MAX_FILE_BYTES.
        """
        data = self._over.get(path)
        return data if data is not None else read_file(self.root, path, self._is_stale)

    def is_like(self, now: Found, top: str) -> bool:
        """Whether what lies below `top` now is what was here, contents and mode."""
        was = self.at(now.path)
        if (was.kind, was.mode) != (now.kind, now.mode) or (now.kind is Kind.FILE and was.size != now.size):
            return now.kind is was.kind is Kind.GONE
        if now.kind is Kind.LINK:
            return link_target(self.root, now.path) == link_target(top, now.path)
        return now.kind is not Kind.FILE or self.holds(now, top)

    def holds(self, now: Found, top: str) -> bool:
        """Whether a file below `top` has the contents that were here."""
        data = self._over.get(now.path)
        if data is not None:
            return holds(top, now.path, data)
        try:
            with (
                open_file(top, Place.at(now.path)) as (ours, _),
                open_file(self.root, Place.at(now.path)) as (theirs, _),
            ):
                return _same_contents(ours, theirs)
        except (ToolFailed, ToolDenied):
            return False


def read_file(root: str, path: str, is_stale: Callable[[os.stat_result], bool] | None = None) -> bytes:
    """See `Before.read`."""
    with open_file(root, Place.at(path)) as (file, found):
        if is_stale is not None and is_stale(found):
            return secrets.token_bytes(DIGEST_BYTES)
        data = b""
        if found.st_size <= MAX_FILE_BYTES:
            with os.fdopen(os.dup(file), "rb") as reader:
                data = reader.read(MAX_FILE_BYTES + 1)
    if max(len(data), found.st_size) > MAX_FILE_BYTES:
        raise ToolFailed(f"{visible(path)}: larger than {MAX_FILE_BYTES:,} bytes")
    return data


def holds(root: str, path: str, data: bytes) -> bool:
    """Whether a file lies there with these contents."""
    try:
        with open_file(root, Place.at(path)) as (file, found):
            return found.st_size == len(data) and os.pread(file, len(data) + 1, 0) == data
    except (ToolFailed, ToolDenied):
        return False


def link_target(root: str, path: str) -> str | None:
    try:
        with open_parent(root, place_of(path + "/")) as (parent, name):
            return os.readlink(name, dir_fd=parent)
    except OSError:
        return None


def folders_above(path: str) -> Iterator[str]:
    """From the nearest one up, without the root."""
    folder = path.rpartition("/")[0]
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def _same_contents(one: int, other: int) -> bool:
    while True:
        piece = os.read(one, _PIECE_BYTES)
        if piece != os.read(other, _PIECE_BYTES):
            return False
        if not piece:
            return True
