"""The upper layer of an overlay: what commands wrote, seen from outside; and what is put there before one runs.

All in it was made by commands, and may be a trap: no link is followed, nothing is opened that is no file or folder, and
all is bounded. Nobody may call any of this while a command works on the same layer.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from .removal import FOLDER, claim, empty, open_up, remove

#: Below an upper folder: what was written, the kernel's own room, and stand-ins for names that are not there.
FILES, WORK, NAMES = "files", "work", "names"
_OPAQUE: Final = "user.overlay.opaque"
MAX_WRITTEN: Final = 1_000_000
MAX_DEPTH: Final = 200


class WrittenKind(StrEnum):
    FILE = "file"
    FOLDER = "folder"  # new, or with something written below it, or with other attributes than before
    OPAQUE = "opaque"  # a folder that hides all that the lower layer has there
    LINK = "link"
    GONE = "gone"  # the lower layer has it, the command removed it
    OTHER = "other"  # pipes, sockets


class Written(NamedTuple):
    """One name in the upper layer. What is no folder hides a whole folder of that name in the lower layer, too."""

    path: str  # from the root; bytes that are no UTF-8 as surrogates
    kind: WrittenKind
    mode: int  # permission bits
    size: int  # as the file says, which may be sparse


class TooMuchWritten(Exception):
    """More lies in an upper layer than anybody should read, or deeper than it should."""


def written(upper: Path) -> Iterator[Written]:
    """What lies in the upper layer, parents first, by name; of the root itself nothing is told.

    Raises TooMuchWritten beyond a million names, or 200 folders in each other.
    """
    with ExitStack() as stack:
        try:
            root = stack.enter_context(_root(upper))
        except FileNotFoundError:
            return
        for count, found in enumerate(_below(root, "", 0)):
            if count >= MAX_WRITTEN:
                raise TooMuchWritten(f"more than {MAX_WRITTEN:,} files were written")
            yield found


def _below(folder: int, prefix: str, depth: int) -> Iterator[Written]:
    if depth > MAX_DEPTH:
        raise TooMuchWritten(f"folders were made more than {MAX_DEPTH} deep in each other")
    for name in _names(folder):
        path = prefix + name
        found = os.lstat(name, dir_fd=folder)
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISDIR(found.st_mode):
            yield Written(path, _kind(found), mode, found.st_size)
            continue
        with _opened(folder, name) as inner:
            yield Written(path, WrittenKind.OPAQUE if _is_opaque(inner) else WrittenKind.FOLDER, mode, 0)
            yield from _below(inner, path + "/", depth + 1)


def _names(folder: int) -> list[str]:
    """Bounded, so that one huge folder is no trap either."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > MAX_WRITTEN:
                raise TooMuchWritten(f"more than {MAX_WRITTEN:,} files were written to one folder")
    return sorted(names)


def _kind(found: os.stat_result) -> WrittenKind:
    if stat.S_ISREG(found.st_mode):
        return WrittenKind.FILE
    if stat.S_ISLNK(found.st_mode):
        return WrittenKind.LINK
    is_whiteout = stat.S_ISCHR(found.st_mode) and found.st_rdev == 0
    return WrittenKind.GONE if is_whiteout else WrittenKind.OTHER


def _is_opaque(folder: int) -> bool:
    with suppress(OSError):
        return os.getxattr(folder, _OPAQUE) == b"y"
    return False


def read(upper: Path, path: str, *, most: int) -> bytes:
    """The contents of a file of the layer.

    Raises FileNotFoundError where there is nothing, other OSErrors for what is no file, and TooMuchWritten for more
    than `most` bytes.
    """
    with folder_of(upper, path) as (folder, name), os.fdopen(_open_file(folder, name), "rb") as file:
        data = file.read(most + 1) if os.fstat(file.fileno()).st_size <= most else b""
        if len(data) > most or (not data and os.fstat(file.fileno()).st_size):
            raise TooMuchWritten(f"{path} holds more than {most:,} bytes")
    return data


def _open_file(folder: int, name: str) -> int:
    """A pipe is not waited for, and a file that its owner may not read is read all the same."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "no file", name)
        if found.st_mode & stat.S_IRUSR:
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
        os.chmod(f"/proc/self/fd/{handle}", stat.S_IMODE(found.st_mode) | stat.S_IRUSR)
        try:
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.chmod(f"/proc/self/fd/{handle}", stat.S_IMODE(found.st_mode))
    finally:
        os.close(handle)


def target(upper: Path, path: str) -> str:
    """Where a link of the layer leads, as it says. Raises OSError for what is no link."""
    with folder_of(upper, path) as (folder, name):
        return os.readlink(name, dir_fd=folder)


@contextmanager
def folder_of(upper: Path, path: str) -> Iterator[tuple[int, str]]:
    """The folder of the layer that holds `path`, as a descriptor, and its name there. Raises OSError."""
    *parents, name = _parts(path)
    with ExitStack() as stack:
        folder = stack.enter_context(_root(upper))
        for each in parents:
            folder = stack.enter_context(_opened(folder, each))
        yield folder, name


def put(upper: Path, path: str, data: bytes | None, *, executable: bool = False, like: Path | None = None) -> None:
    """Make `path` a file of the layer with these contents; with None, hide what the lower layer has there.

    What the layer itself has there goes. Folders on the way are made, with the modes that they have in `like`, the
    lower layer; so is `upper`.
    """
    *parents, name = _parts(path)
    prepare(upper, like)
    with ExitStack() as stack:
        folder = stack.enter_context(_root(upper))
        for depth, each in enumerate(parents, start=1):
            _make_folder(folder, each, _mode(like, parents[:depth]))
            folder = stack.enter_context(_opened(folder, each))
        remove(folder, name)
        if data is None:
            os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=folder)
            return
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, how, 0o600, dir_fd=folder), "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o755 if executable else 0o644)


def prepare(upper: Path, like: Path | None) -> None:
    """Make the folder and what files go to, with the mode and the times of `like`. Safe to repeat."""
    upper.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = upper / FILES
    with suppress(FileExistsError):
        files.mkdir(mode=0o755)
        if like is not None:
            found = like.stat()
            files.chmod(stat.S_IMODE(found.st_mode))
            os.utime(files, ns=(found.st_atime_ns, found.st_mtime_ns))


def _make_folder(folder: int, name: str, mode: int) -> None:
    hides = False
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
            return
        remove(folder, name)
        hides = True  # as what was there did
    os.mkdir(name, 0o700, dir_fd=folder)
    fd = os.open(name, FOLDER, dir_fd=folder)
    try:
        os.fchmod(fd, mode)
        if hides:
            os.setxattr(fd, _OPAQUE, b"y")
    finally:
        os.close(fd)


def _mode(like: Path | None, parts: Sequence[str]) -> int:
    """What `like` has there, if it has a folder there."""
    mode = 0o755
    if like is None:
        return mode
    for name in parts:
        like = like / name
        try:
            found = like.lstat().st_mode
        except OSError:
            return 0o755
        if not stat.S_ISDIR(found):
            return 0o755
        mode = stat.S_IMODE(found)
    return mode


def take_away(upper: Path) -> None:
    """Remove the folder with all that lies in it, whatever its modes. Safe to repeat.

    Raises BlockingIOError while a command works on it.
    """
    try:
        fd = os.open(upper, FOLDER)
    except FileNotFoundError:
        return
    try:
        claim(fd)
        empty(fd)
    finally:
        os.close(fd)
    with suppress(FileNotFoundError):
        upper.rmdir()


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if any(each in ("", ".", "..") for each in parts) or "\0" in path:
        raise ValueError(f"{path!r} is no path from the root of a layer")
    return parts


@contextmanager
def _root(upper: Path) -> Iterator[int]:
    fd = os.open(upper, FOLDER)
    try:
        with _opened(fd, FILES) as files:
            yield files
    finally:
        os.close(fd)


@contextmanager
def _opened(folder: int, name: str) -> Iterator[int]:
    """A folder of the layer; what its owner may not do with it is allowed in the meantime."""
    fd, mode = open_up(folder, name)
    try:
        yield fd
    finally:
        if mode is not None:
            os.fchmod(fd, mode)
        os.close(fd)
