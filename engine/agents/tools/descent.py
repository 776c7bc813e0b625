"""Opens what lies below a root, one real folder at a time: a link in its way is an error, never followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from msgspec import Struct

from ...errors import ToolDenied, ToolFailed

FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a FIFO would block, and without O_NOCTTY a terminal would become ours.
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

NO_FILE = "no such file"
NO_FOLDER = "no such folder"
A_FOLDER = "a folder, not a file; list_files shows what is in it"


class Place(Struct, frozen=True, kw_only=True):
    """A path below the root: as it was asked for, normalised, and where it really lies."""

    path: str  # "." is the root
    parts: tuple[str, ...]  # without symbolic links when it was resolved

    @classmethod
    def at(cls, real_path: str) -> Place:
        """The place of a path that is known to be real: without links, normalised, from the root; "" is the root.

        Raises ToolDenied for one that cannot be, such as a stranger may have put into a store.
        """
        if real_path in ("", "."):
            return cls(path=".", parts=())
        parts = tuple(real_path.split("/"))
        if "\0" in real_path or not {"", ".", ".."}.isdisjoint(parts):
            raise ToolDenied(f"{visible(real_path)}: not a path from the project root")
        return cls(path=real_path, parts=parts)

    @property
    def real_path(self) -> str:
        return "/".join(self.parts) or "."


class EntryKind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


@contextmanager
def open_parent(root: str, place: Place) -> Iterator[tuple[int, str]]:
    """The folder that holds `place`, opened from the root without following a link, and the name in it."""
    parent = os.open(root, FOLDER_FLAGS)
    try:
        for part in place.parts[:-1]:
            inner = os.open(part, FOLDER_FLAGS, dir_fd=parent)
            os.close(parent)
            parent = inner
        yield parent, place.parts[-1] if place.parts else "."
    finally:
        os.close(parent)


@contextmanager
def open_folder(root: str, place: Place) -> Iterator[int]:
    """A descriptor to list a folder with. Raises ToolFailed where there is none."""
    with told(place, NO_FOLDER), open_parent(root, place) as (parent, name):
        folder = os.open(name, _LIST_FLAGS, dir_fd=parent)
    try:
        yield folder
    finally:
        os.close(folder)


def stat_file(root: str, place: Place) -> os.stat_result:
    """Of the regular file that lies there. Raises ToolFailed or ToolDenied where there is none."""
    with told(place, NO_FILE), open_parent(root, place) as (parent, name):
        return stat_regular(place, parent, name)


@contextmanager
def open_file(root: str, place: Place) -> Iterator[tuple[int, os.stat_result]]:
    """A descriptor of a regular file, and what it is. Raises as `stat_file`."""
    with told(place, NO_FILE), open_parent(root, place) as (parent, name):
        file = open_regular(place, parent, name)
    try:
        now = os.fstat(file)
        _refuse_irregular(place, now)
        yield file, now
    finally:
        os.close(file)


def stat_regular(place: Place, folder: int, name: str) -> os.stat_result:
    """Of the regular file of that name in an open folder."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    _refuse_irregular(place, found)
    return found


def open_regular(place: Place, folder: int, name: str) -> int:
    """A descriptor; the caller closes it, and asks it whether it still is that of a regular file."""
    stat_regular(place, folder, name)  # looked at before it is opened: opening a device may already do something
    return os.open(name, FILE_FLAGS, dir_fd=folder)


def kind_of(item: os.DirEntry[str]) -> EntryKind:
    if item.is_symlink():
        return EntryKind.LINK
    if item.is_dir(follow_symlinks=False):
        return EntryKind.FOLDER
    if item.is_file(follow_symlinks=False):
        return EntryKind.FILE
    return EntryKind.OTHER


def visible(text: str) -> str:
    """`text` on one line: characters that do not print (a newline in a file's name) are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@contextmanager
def told(place: Place, missing: str) -> Iterator[None]:
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


def _refuse_irregular(place: Place, found: os.stat_result) -> None:
    shown = visible(place.path)
    if stat.S_ISDIR(found.st_mode):
        raise ToolFailed(f"{shown}: {A_FOLDER}")
    if not stat.S_ISREG(found.st_mode):
        raise ToolDenied(f"{shown}: not a regular file (a device, pipe, socket or link), which tools do not open")
