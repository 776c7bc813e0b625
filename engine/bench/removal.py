"""Removes folders of which a command may have made anything: without rights, a thousand levels deep, full of links."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from msgspec import Struct

from ..agents.tools.descent import FOLDER_FLAGS

_MAX_TRIES = 3


class _Level(Struct):
    """A folder on the way down, but for the last one, which is open."""

    identity: tuple[int, int]
    name: str  # of the folder below it that is being emptied
    left: list[str]  # names of those that wait


def remove_folder(path: str) -> None:
    """Remove a folder with all that is in it; no link is followed. One that is gone is fine. Raises OSError.

    Another process may remove the same meanwhile.
    """
    parent, name = os.path.split(path)
    for tries_left in reversed(range(_MAX_TRIES)):
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                _remove(os.open(parent, FOLDER_FLAGS), name)
            if not os.path.lexists(path):
                return
        except OSError:
            if not tries_left:
                raise


def _remove(holder: int, name: str) -> None:
    try:
        _empty(_open_folder(name, holder))
        os.rmdir(name, dir_fd=holder)
    finally:
        os.close(holder)


def _empty(here: int) -> None:
    """Takes the descriptor over. Only one is open, and nothing recurses: folders nest deeper than either reaches."""
    above: list[_Level] = []
    try:
        left = _unlink_files(here)
        while left or above:
            if left:
                name = left.pop()
                above.append(_Level(identity=_identity(here), name=name, left=left))
                here = _go(here, _open_folder(name, here))
                left = _unlink_files(here)
            else:
                level = above.pop()
                here = _go(here, os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here))
                if _identity(here) != level.identity:
                    raise OSError(0, f"{level.name} was moved while it was removed")
                os.rmdir(level.name, dir_fd=here)
                left = level.left
    finally:
        os.close(here)


def _go(here: int, there: int) -> int:
    os.close(here)
    return there


def _unlink_files(folder: int) -> list[str]:
    """Gives the names of folders."""
    with os.scandir(folder) as scan:
        held = [(item.name, item.is_dir(follow_symlinks=False)) for item in scan]
    for name, is_folder in held:
        if not is_folder:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
    return [name for name, is_folder in held if is_folder]


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


def _open_folder(name: str, parent: int) -> int:
    """To list and to write in, whatever its mode says."""
    folder = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    try:
        if os.fstat(folder).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{folder}", 0o700)  # of what was opened, not of what its name may be by now
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
