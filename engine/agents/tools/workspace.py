"""The project's files as tools see them: confined below one root, regular files only, secrets refused.

A path is checked twice. `locate` resolves symbolic links and refuses what leads out or is secret; opening then goes
down from the root one real folder at a time without following links, so that a link put in place between the two
(by a command that runs at the same moment) leads to an error and never out of the root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio
from msgspec import Struct

from ...errors import ToolDenied, ToolFailed
from ...ports import Checker
from .secrets import refusal

#: Files up to this size are read in place, larger ones in a thread.
INLINE_BYTES = 256 * 1024

MAX_PATH_CHARS = 4_096

_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a FIFO would block, and without O_NOCTTY a terminal would become ours.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_BINARY_PROBE = 8192


class Place(Struct, frozen=True, kw_only=True):
    """A path below the root: as it was asked for, normalised, and where it really lies."""

    path: str  # "." is the root
    parts: tuple[str, ...]  # without symbolic links when it was resolved

    @property
    def real_path(self) -> str:
        return "/".join(self.parts) or "."


class Workspace:
    """Reads below `root`. Paths are relative and POSIX; messages name them so, and never where the root lies."""

    def __init__(self, root: Path, checker: Checker) -> None:
        self._root = os.path.realpath(root)
        self._below = self._root.rstrip("/") + "/"
        self.checker = checker

    @property
    def root(self) -> str:
        """Resolved. For what has to find the project by its own means; no message shows it."""
        return self._root

    def locate(self, path: str) -> Place:
        """Resolve `path`. Raises ToolDenied where it is absolute, has `..`, leads out of the root or is secret.

        Nothing is said about whether it exists. Raises ToolFailed where it is longer than any path can be.
        """
        if len(path) > MAX_PATH_CHARS:  # an error that repeats it would be as long
            raise ToolFailed(f"{visible(path[:40])}…: too long: a path has at most {MAX_PATH_CHARS:,} characters")
        shown = visible(path) or "."
        if "\0" in path:
            raise ToolDenied(f"{shown}: a path holds no NUL character")
        if path.startswith("/"):
            raise ToolDenied(f"{shown}: paths are relative to the project root; leave out the leading `/`")
        parts = tuple(part for part in path.split("/") if part not in ("", "."))
        if ".." in parts:
            raise ToolDenied(f"{shown}: paths are relative to the project root and have no `..`")
        self._refuse_secret(shown, parts)
        try:
            if self._has_no_link(parts):  # the usual case, at a fraction of the price
                return Place(path="/".join(parts) or ".", parts=parts)
            real = os.path.realpath(self._below + "/".join(parts))
        except ValueError as error:
            raise ToolDenied(f"{shown}: not a valid path") from error
        if real == self._root:
            return Place(path="/".join(parts) or ".", parts=())
        if not real.startswith(self._below):
            raise ToolDenied(f"{shown}: leads out of the project through a symbolic link")
        real_parts = tuple(real[len(self._below) :].split("/"))
        self._refuse_secret(shown, real_parts)
        return Place(path="/".join(parts) or ".", parts=real_parts)

    async def read(self, place: Place, *, limit: int) -> bytes:
        """The contents of a regular file. Raises ToolFailed or ToolDenied where that cannot be had."""
        data = await self.read_small(place, limit=limit)
        if data is None:
            raise ToolFailed(f"{visible(place.path)}: larger than {limit:,} bytes, which is what this tool reads")
        return data

    async def read_small(self, place: Place, *, limit: int) -> bytes | None:
        """As `read`, but None where the file is larger than `limit` bytes."""
        with self.open_file(place) as (file, found), _told(place, "no such file"):
            if found.st_size > limit:
                return None
            if found.st_size <= INLINE_BYTES:
                data = _drain(file, limit)
            else:
                data = await trio.to_thread.run_sync(_drain, file, limit)
        return data if len(data) <= limit else None

    async def read_text(self, place: Place, *, limit: int) -> str:
        """The file as text; bytes that are no UTF-8 become U+FFFD. Raises ToolFailed where it is binary."""
        text = as_text(await self.read(place, limit=limit))
        if text is None:
            raise ToolFailed(f"{visible(place.path)}: a binary file, not text")
        return text

    def is_file(self, place: Place) -> bool:
        """Whether a regular file lies there now."""
        try:
            with self._open_parent(place) as (folder, name):
                return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except (OSError, ToolFailed):
            return False

    def is_folder(self, place: Place) -> bool:
        try:
            with self.open_folder(place):
                return True
        except ToolFailed:
            return False

    @contextmanager
    def open_folder(self, place: Place) -> Iterator[int]:
        """A descriptor to list a folder with. Raises ToolFailed where there is none."""
        with _told(place, "no such folder"), self._open_parent(place) as (parent, name):
            folder = os.open(name, _LIST_FLAGS, dir_fd=parent)
        try:
            yield folder
        finally:
            os.close(folder)

    def stat_file(self, place: Place) -> os.stat_result:
        """Of the regular file that lies there. Raises as `read`."""
        with _told(place, "no such file"), self._open_parent(place) as (parent, name):
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        self._refuse_irregular(place, found)
        return found

    @contextmanager
    def open_file(self, place: Place) -> Iterator[tuple[int, os.stat_result]]:
        """A descriptor of a regular file, and what it is. Raises as `read`."""
        with _told(place, "no such file"), self._open_parent(place) as (parent, name):
            # Looked at before it is opened: opening a device may already do something.
            self._refuse_irregular(place, os.stat(name, dir_fd=parent, follow_symlinks=False))
            file = os.open(name, _FILE_FLAGS, dir_fd=parent)
        try:
            now = os.fstat(file)
            self._refuse_irregular(place, now)
            yield file, now
        finally:
            os.close(file)

    @contextmanager
    def _open_parent(self, place: Place) -> Iterator[tuple[int, str]]:
        """The folder that holds `place`, opened from the root without following a link, and the name in it."""
        parent = os.open(self._root, _FOLDER_FLAGS)
        try:
            for part in place.parts[:-1]:
                inner = os.open(part, _FOLDER_FLAGS, dir_fd=parent)
                os.close(parent)
                parent = inner
            yield parent, place.parts[-1] if place.parts else "."
        finally:
            os.close(parent)

    def _has_no_link(self, parts: tuple[str, ...]) -> bool:
        """Whether a path is where it says. What does not exist, or cannot be looked at, is no link."""
        path = self._root
        for part in parts:
            path = f"{path}/{part}"
            try:
                if stat.S_ISLNK(os.lstat(path).st_mode):
                    return False
            except OSError:
                return True
        return True

    @staticmethod
    def _refuse_secret(shown: str, parts: tuple[str, ...]) -> None:
        reason = refusal(parts)
        if reason is not None:
            raise ToolDenied(f"{shown}: {reason}")

    @staticmethod
    def _refuse_irregular(place: Place, found: os.stat_result) -> None:
        shown = visible(place.path)
        if stat.S_ISDIR(found.st_mode):
            raise ToolFailed(f"{shown}: a folder, not a file; list_files shows what is in it")
        if not stat.S_ISREG(found.st_mode):
            raise ToolDenied(f"{shown}: not a regular file (a device, pipe, socket or link), which tools do not open")


def as_text(data: bytes) -> str | None:
    """Text of a file's contents, or None where they are binary: a NUL near the start."""
    if b"\0" in data[:_BINARY_PROBE]:
        return None
    return data.decode("utf-8", "replace")


def visible(text: str) -> str:
    """`text` on one line: characters that do not print (a newline in a file's name) are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@contextmanager
def _told(place: Place, missing: str) -> Iterator[None]:
    """Turn an OSError into a ToolFailed whose text depends on nothing but the workspace."""
    shown = visible(place.path)
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ToolFailed(f"{shown}: {missing}") from error
    except PermissionError as error:
        raise ToolFailed(f"{shown}: permission denied") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ToolFailed(f"{shown}: a symbolic link that leads nowhere") from error
        raise ToolFailed(f"{shown}: {os.strerror(error.errno or 0)}") from error


def _drain(file: int, limit: int) -> bytes:
    """At most one byte more than `limit`, so that the caller sees a file that grew."""
    chunks: list[bytes] = []
    left = limit + 1
    while left > 0:
        chunk = os.read(file, min(left, 1 << 20))
        if not chunk:
            break
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)
