"""What lies in one folder, and what is in it: the disk, with the files of a view in place of its own."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import TypeAlias

import trio
from msgspec import Struct

from ..agents.tools.secrets import is_private
from ..keys import DIGEST_BYTES
from .records import UNSETTLED, Known, content_mark, mark_of, signature_of, unreadable_mark

#: By folder ("" or ending in a slash) and name: contents, None for absent; a name that ends in a slash is a folder.
View: TypeAlias = Mapping[str, Mapping[str, bytes | None]]

_PIECE_BYTES = 1024 * 1024
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW_FILE_MODE = stat.S_IFREG | 0o644


def view_of(over: Mapping[str, bytes | None]) -> View:
    """Of files by path; the folders above one that is there are there, too."""
    folders: dict[str, dict[str, bytes | None]] = {}
    for path, contents in over.items():
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder and folder + "/", {})[name] = contents
        while folder and contents is not None:
            folder, _, name = folder.rpartition("/")
            folders.setdefault(folder and folder + "/", {})[name + "/"] = b""
    return folders


class Listing(Struct, frozen=True, kw_only=True):
    """By name. `descriptor` is the folder's own, None for one that only a view has."""

    descriptor: int | None
    files: dict[str, os.DirEntry[str] | bytes]  # whatever is no folder; bytes are contents in a view
    folders: set[str]

    def text(self, name: str, *, limit: int) -> bytes | None:
        """The contents of a regular file; None where there is none, it cannot be read, or is larger than `limit`."""
        file = self.files.get(name)
        if file is None or isinstance(file, bytes):
            return file
        try:
            if not file.is_file(follow_symlinks=False):
                return None
            with open(name, "rb", opener=lambda path, _: os.open(path, _FILE_FLAGS, dir_fd=self.descriptor)) as opened:
                data = opened.read(limit + 1)
        except OSError:
            return None
        return data if len(data) <= limit else None

    def look(self, name: str, known: Known | None, settled_ns: int) -> Known | None:
        """The file as `known` has it, if the system says that it is unchanged, or read; None where it is gone by now.

        One that changed at `settled_ns` or later, or changes while it is read, is read again next time.
        """
        item = self.files[name]
        if isinstance(item, bytes):
            return Known(UNSETTLED, mark_of(self._mode(name), content_mark(item)))
        try:
            found = item.stat(follow_symlinks=False)
            signature = signature_of(found)
            if known is not None and known.signature == signature:
                return known
            return self._read(name, found, signature, settled_ns)
        except FileNotFoundError:
            return None
        except OSError:  # it is there, and nobody may even look at it
            return Known(UNSETTLED, unreadable_mark(None))

    def _read(self, name: str, found: os.stat_result, signature: tuple[int, ...], settled_ns: int) -> Known:
        try:
            mark = mark_of(found.st_mode, self._digest(name, found))
        except PermissionError:
            return Known(UNSETTLED, unreadable_mark(found))
        now = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        settled = max(found.st_mtime_ns, found.st_ctime_ns) < settled_ns and signature_of(now) == signature
        return Known(signature if settled else UNSETTLED, mark)

    def _digest(self, name: str, found: os.stat_result) -> bytes:
        """Of a file's contents or a link's target."""
        trio.from_thread.check_cancelled()
        if stat.S_ISLNK(found.st_mode):
            return content_mark(os.fsencode(os.readlink(name, dir_fd=self.descriptor)))
        if not stat.S_ISREG(found.st_mode):
            return b""
        digest = blake2b(digest_size=DIGEST_BYTES)
        left = found.st_size + 1  # one that grows is not followed
        file = os.open(name, _FILE_FLAGS, dir_fd=self.descriptor)
        try:
            while left > 0 and (piece := os.read(file, min(left, _PIECE_BYTES))):
                digest.update(piece)
                left -= len(piece)
                if len(piece) == _PIECE_BYTES:
                    trio.from_thread.check_cancelled()
        finally:
            os.close(file)
        return digest.digest()

    def _mode(self, name: str) -> int:
        """Of a file that a view replaces; one that only the view has is not executable."""
        if self.descriptor is not None:
            with suppress(OSError):
                mode = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_mode
                return mode if stat.S_ISREG(mode) else _NEW_FILE_MODE
        return _NEW_FILE_MODE


def list_folder(descriptor: int | None, view: Mapping[str, bytes | None]) -> Listing:
    """Raises OSError where a part would be taken for the whole. Version control and Vibe's own folder are left out."""
    listing = Listing(descriptor=descriptor, files={}, folders=set())
    if descriptor is not None:
        with os.scandir(descriptor) as scan:
            for item in scan:
                if is_private(item.name):
                    continue
                if item.is_dir(follow_symlinks=False):
                    listing.folders.add(item.name)
                else:
                    listing.files[item.name] = item
    for name, contents in view.items():
        if is_private(name.removesuffix("/")):
            continue
        if contents is None:
            listing.files.pop(name, None)
        elif name.endswith("/"):
            listing.folders.add(name[:-1])
        else:
            listing.files[name] = contents
    return listing
