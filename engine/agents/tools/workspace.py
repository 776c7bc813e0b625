"""The project's files as tools see them: confined below one root, regular files only, secrets refused.

A path is checked twice. `locate` resolves symbolic links and refuses what leads out or is secret; opening then goes
down from the root one real folder at a time without following links (`descent`), so that a link put in place between
the two (by a command that runs at the same moment) leads to an error and never out of the root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import trio

from ...errors import ToolDenied, ToolFailed
from ...ports import Checker
from . import descent
from .descent import NO_FILE, EntryKind, Place, kind_of, told, visible
from .overlay import Overlay
from .secrets import refusal, write_refusal

__all__ = ["INLINE_BYTES", "MAX_PATH_CHARS", "EntryKind", "Place", "Workspace", "as_text", "visible"]

#: Files up to this size are read in place, larger ones in a thread.
INLINE_BYTES = 256 * 1024

MAX_PATH_CHARS = 4_096

_BINARY_PROBE = 8192


class Workspace:
    """The files below `root`. Paths are relative and POSIX; messages name them so, and never where the root lies."""

    def __init__(
        self, root: Path, checker: Checker | None, *, overlay: Mapping[str, bytes | None] | None = None
    ) -> None:
        """Without a checker it is for whole files: nothing can be matched in it."""
        self._root = os.path.realpath(root)
        self._below = self._root.rstrip("/") + "/"
        self._checker = checker
        self._overlay = Overlay(self._root, overlay) if overlay else None

    def over(self, files: Mapping[str, bytes | None]) -> Workspace:
        """The same project with some files otherwise, by real path; None: absent. For looks only; see `Overlay`."""
        if not files:
            return self
        return Workspace(Path(self._root), self._checker, overlay={**self.overlaid, **files})

    @property
    def checker(self) -> Checker:
        assert self._checker is not None, "this workspace is for whole files"
        return self._checker

    @property
    def overlaid(self) -> Mapping[str, bytes | None]:
        """The files that are not as the disk has them."""
        return self._overlay.files if self._overlay is not None else {}

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
        over = self.lies_over(place)
        if over is not None:
            return over if len(over) <= limit else None
        with self.open_file(place) as (file, found), told(place, NO_FILE):
            if found.st_size > limit:
                return None
            if found.st_size <= INLINE_BYTES:
                data = _drain(file, limit)
            else:
                data = await trio.to_thread.run_sync(_drain, file, limit)
        return data if len(data) <= limit else None

    async def read_present(self, place: Place, *, limit: int) -> bytes | None:
        """As `read`, but None where nothing lies there, so that a file could be made."""
        try:
            return await self.read(place, limit=limit)
        except ToolFailed as error:
            if is_absence(place, error):
                return None
            raise

    def lies_over(self, place: Place) -> bytes | None:
        """The contents that this workspace has instead of the disk's; None where the disk's count.

        Raises ToolFailed where there is no file, whatever the disk holds.
        """
        return self._overlay.contents(place) if self._overlay is not None else None

    async def read_text(self, place: Place, *, limit: int) -> str:
        """The file as text; bytes that are no UTF-8 become U+FFFD. Raises ToolFailed where it is binary."""
        text = as_text(await self.read(place, limit=limit))
        if text is None:
            raise ToolFailed(f"{visible(place.path)}: a binary file, not text")
        return text

    def is_file(self, place: Place) -> bool:
        """Whether a regular file lies there now."""
        known = self._overlay.is_file(place) if self._overlay is not None else None
        if known is not None:
            return known
        try:
            with descent.open_parent(self._root, place) as (folder, name):
                return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def is_folder(self, place: Place) -> bool:
        known = self._overlay.is_folder(place) if self._overlay is not None else None
        if known is not None:
            return known
        try:
            with descent.open_folder(self._root, place):
                return True
        except ToolFailed:
            return False

    @contextmanager
    def listing(self, folder: Place) -> Iterator[Iterator[tuple[str, EntryKind]]]:
        """Names and kinds of what lies directly in a folder, as they come. Raises ToolFailed where there is none."""
        changed = self._overlay.changed_names(folder) if self._overlay is not None else {}
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(descent.open_folder(self._root, folder))
            except ToolFailed as error:
                gone = isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)
                if not gone or self._overlay is None or not self._overlay.makes(folder):
                    raise
                scan: Iterator[os.DirEntry[str]] = iter(())
            else:
                scan = stack.enter_context(os.scandir(descriptor))
            held = ((item.name, kind_of(item)) for item in scan)
            if changed:
                held = (entry for entry in held if entry[0] not in changed)
            yield chain(held, ((name, kind) for name, kind in changed.items() if kind is not None))

    def stat_file(self, place: Place) -> os.stat_result:
        """Of the regular file that lies there on the disk. Raises as `read`."""
        return descent.stat_file(self._root, place)

    @contextmanager
    def open_file(self, place: Place) -> Iterator[tuple[int, os.stat_result]]:
        """A descriptor of a regular file of the disk, and what it is. Raises as `read`."""
        with descent.open_file(self._root, place) as opened:
            yield opened

    # ------------------------------------------------------------ edits

    def require_writable(self, place: Place) -> None:
        """Raises ToolDenied where no tool writes: also for paths of a store, which anybody may have made."""
        for parts in (place.parts, place.path.split("/")):
            self._refuse_secret(visible(place.path), tuple(parts))
            reason = write_refusal(parts)
            if reason is not None:
                raise ToolDenied(f"{visible(place.path)}: {reason}")

    async def write(self, place: Place, data: bytes, *, before: bytes | None) -> None:
        """Make `data` the contents of one file, at once: nobody ever sees a part. The folders that it needs are made.

        Raises ToolFailed where the file is not as `before` says (None: absent), and then it is as it was; ToolDenied as
        `require_writable`. Not cut short by a cancellation. A hard link of another name keeps the old contents.
        """
        from .writing import replace_file  # most runs write nothing

        self.require_writable(place)
        await trio.to_thread.run_sync(replace_file, self._root, place, data, before)

    async def remove(self, place: Place, *, before: bytes, and_folders: bool = False) -> None:
        """Remove one file; with `and_folders` also the folders that this leaves empty. Raises as `write`."""
        from .writing import remove_file

        self.require_writable(place)
        await trio.to_thread.run_sync(remove_file, self._root, place, before, and_folders)

    def clear_leftovers(self, place: Place) -> int:
        """Remove what a `write` of `place` left behind when its process was killed. Returns how many files."""
        from .writing import clear_leftovers

        return clear_leftovers(self._root, place)

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


def is_absence(place: Place, error: ToolFailed) -> bool:
    """Whether a file could not be read since nothing lies there, so that one could be made.

    Raises ToolFailed where that could not be either.
    """
    if isinstance(error.__cause__, NotADirectoryError):
        raise ToolFailed(f"{visible(place.path)}: a file lies where one of its folders should be") from error.__cause__
    return isinstance(error.__cause__, FileNotFoundError)


def plain_path(path: str) -> str:
    """A path as `Place.path` has it. What `locate` refuses, it refuses in this form as well."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + ("/".join(parts) or ".")


def as_text(data: bytes) -> str | None:
    """Text of a file's contents, or None where they are binary: a NUL near the start."""
    if b"\0" in data[:_BINARY_PROBE]:
        return None
    return data.decode("utf-8", "replace")


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
