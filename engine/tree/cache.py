"""What is known of a tree, kept between processes: one file a project in the user's own cache folder.

Not below `.vibe/`: a repository may bring one along, and then a stranger says which files have not changed. For the
same reason nothing is kept where the cache folder lies in the project. A file that is damaged, is another project's,
or that others may write, is as good as none: all is read anew.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from ..keys import DIGEST_BYTES
from .records import FolderRecord

MAX_BYTES = 128 * 1024 * 1024
#: Projects of one user; the one whose cache was not written for the longest time goes first.
MAX_PROJECTS = 20

_FORMAT = 1


class _Kept(Struct, frozen=True, array_like=True):
    format: int
    root: str
    folders: dict[str, FolderRecord]


_decoder = msgspec.msgpack.Decoder(_Kept)


class TreeCache:
    """The cache of the project at `root`, below the user's `cache_dir`. Nothing here raises for what a file holds."""

    def __init__(self, cache_dir: Path, root: str) -> None:
        self._root = root.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        self._folder = cache_dir / "trees"
        self._path = self._folder / blake2b(os.fsencode(root), digest_size=16).hexdigest()
        self._usable = not (os.path.realpath(self._folder) + "/").startswith(root.rstrip("/") + "/")

    def load(self) -> dict[str, FolderRecord]:
        """By the folders' paths from the root, which is ""."""
        try:
            data = self._read() if self._usable else b""
            body = memoryview(data)[DIGEST_BYTES:]
            if data[:DIGEST_BYTES] != blake2b(body, digest_size=DIGEST_BYTES).digest():
                return {}
            kept = _decoder.decode(body)
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
            return {}
        return kept.folders if (kept.format, kept.root) == (_FORMAT, self._root) else {}

    def save(self, folders: Mapping[str, FolderRecord]) -> None:
        """Replace what is kept, as a whole. Where that cannot be done, all is read anew next time."""
        if not self._usable:
            return
        body = msgspec.msgpack.encode(_Kept(_FORMAT, self._root, dict(folders)))
        if len(body) > MAX_BYTES:
            return
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(blake2b(body, digest_size=DIGEST_BYTES).digest() + body)
            self._drop_oldest()

    def _read(self) -> bytes:
        with open(self._path, "rb", opener=_open) as file:
            found = os.fstat(file.fileno())
            theirs = found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if theirs or not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES + DIGEST_BYTES:
                return b""
            return file.read(found.st_size)

    def _write(self, data: bytes) -> None:
        """Under a name of its own first, since other processes may do the same now. Not flushed: a sum is checked."""
        handle, draft = tempfile.mkstemp(dir=self._folder, prefix=".draft-")  # mode 0600
        try:
            with open(handle, "wb") as file:
                file.write(data)
            os.replace(draft, self._path)
        except BaseException:
            os.unlink(draft)
            raise

    def _drop_oldest(self) -> None:
        """Drafts of processes that were killed count as well."""
        with os.scandir(self._folder) as scan:
            by_age = sorted((item.stat(follow_symlinks=False).st_mtime_ns, item.path) for item in scan)
        for _, path in by_age[:-MAX_PROJECTS]:
            os.unlink(path)


def _open(path: str, flags: int) -> int:
    """Without O_NONBLOCK a pipe that lies there would be waited for."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
