"""Removes folders that a command filled: any mode, any depth, no link followed. And says who may work on one.

The supervisor loads this, too, at each command: few imports.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import time
from contextlib import suppress
from typing import Final

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OWNERS_ALL: Final = stat.S_IRWXU
#: What is killed keeps its locks until its memory is given back.
_WAIT_S: Final = 5.0


def claim(folder: int) -> None:
    """Lock an upper folder for this process and those that it forks. Raises BlockingIOError while others work on it."""
    until = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            select.select([], [], [], 0.01)
        else:
            return


def open_up(folder: int, name: str) -> tuple[int, int | None]:
    """Open a folder and give its owner all rights to it. Returns what mode it had, if that was another one."""
    with suppress(PermissionError):
        fd = os.open(name, FOLDER, dir_fd=folder)
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode & _OWNERS_ALL == _OWNERS_ALL:
            return fd, None
        os.close(fd)
    path = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        mode = stat.S_IMODE(os.fstat(path).st_mode)
        os.chmod(f"/proc/self/fd/{path}", mode | _OWNERS_ALL)
        return os.open(name, FOLDER, dir_fd=folder), mode
    finally:
        os.close(path)


def remove(folder: int, name: str) -> None:
    """Remove whatever is called `name` there; nothing, if nothing is."""
    try:
        found = os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    inner, _ = open_up(folder, name)
    try:
        empty(inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=folder)


def remove_folder(path: str) -> None:
    """Remove a folder of the caller's, with all in it."""
    fd = os.open(path, FOLDER)
    try:
        empty(fd)
    finally:
        os.close(fd)
    os.rmdir(path)


def empty(folder: int) -> None:
    """Remove all that lies in a folder. No recursion, one descriptor: folders nest deeper than either reaches."""
    here = os.dup(folder)
    above: list[tuple[str, tuple[int, int], list[str]]] = []  # the way down: name, identity of its parent, what is left
    inside = _unlink_files(here)
    try:
        while True:
            if inside:
                name = inside.pop()
                above.append((name, _identity(here), inside))
                inner, _ = open_up(here, name)
                os.close(here)
                here = inner
                inside = _unlink_files(here)
            elif above:
                outer = os.open("..", FOLDER, dir_fd=here)
                os.close(here)
                here = outer
                name, identity, inside = above.pop()
                if _identity(here) != identity:
                    raise OSError(f"{name!r} was moved while it was removed")
                os.rmdir(name, dir_fd=here)
            else:
                return
    finally:
        os.close(here)


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


def _unlink_files(folder: int) -> list[str]:
    """Remove what is no folder; returns the names of those that are."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
    return [name for name, is_folder in found if is_folder]
