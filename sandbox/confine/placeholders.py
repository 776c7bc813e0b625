"""Keeps protected paths that are not there from being made: an empty stand-in, so that a mount can cover the name.

A stand-in is empty and carries a date that nothing else has. Whoever uses one holds a shared lock on it; the last one
removes it. After a crash it lies there until the next command in this project, which takes it over and removes it.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from typing import Final

#: 1970-01-01, one second and one nanosecond.
_MARK: Final = 1_000_000_001


class Placeholders:
    """Made by `cover`; `remove` them in the end."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def cover(self, path: str) -> bool:
        """Make sure that there is something at `path`. False where it cannot be made."""
        while True:
            if not _make(path):
                return False
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # its last user just removed it
            except OSError:  # a link, a socket, unreadable: somebody's own
                return True
            if not _is_placeholder(fd):
                os.close(fd)
                return True
            fcntl.flock(fd, fcntl.LOCK_SH)
            if _still_there(path, fd):
                self._held[path] = fd
                return True
            os.close(fd)

    def remove(self) -> None:
        """Remove those that nobody else uses and nobody has filled. Safe to repeat."""
        while self._held:
            path, fd = self._held.popitem()
            with suppress(OSError):  # others use it, or it is no longer empty: then it is theirs
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_placeholder(fd) and _still_there(path, fd):
                    os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
            os.close(fd)


def _make(path: str) -> bool:
    # A name with a suffix is a file. A folder `.git` that is empty is no repository to git; an empty file is an error.
    a_file = bool(os.path.splitext(path)[1])
    try:
        if a_file:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644))
        else:
            os.mkdir(path, 0o755)
    except FileExistsError:
        return True
    except OSError:
        return False
    os.utime(path, ns=(_MARK, _MARK))
    return True


def _is_placeholder(fd: int) -> bool:
    found = os.fstat(fd)
    content = len(os.listdir(fd)) if stat.S_ISDIR(found.st_mode) else found.st_size
    return found.st_mtime_ns == _MARK and not content


def _still_there(path: str, fd: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    return False
