"""Replaces and removes single files of the project, each at once or not at all.

New contents go into a temporary file beside the old one, which is then renamed over it: whoever reads meanwhile sees
the old file or the new one, and a process that is killed leaves one of them. As everywhere, folders are entered from
the root without following links. A hard link of another name keeps the old contents.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...errors import ToolFailed
from .descent import FOLDER_FLAGS, NO_FILE, Place, open_parent, open_regular, stat_regular, told, visible
from .secrets import is_temporary

_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES = 1 << 20
#: How long to wait for another process, which holds the lock of a folder for a fraction of a millisecond.
_PATIENCE_S = 1.0
_LOOK_AGAIN_S = 0.001


def replace_file(root: str, place: Place, data: bytes, before: bytes | None) -> None:
    """See `Workspace.write`."""
    with told(place, "a file or a link lies where one of its folders should be"):
        _make_folders(root, place)
        with open_parent(root, place) as (folder, name), _syncable(folder) as synced:
            old = _require(place, folder, name, before)
            temporary = f".vibe-tmp-{secrets.token_hex(8)}"
            file = os.open(temporary, _NEW_FLAGS, 0o666 if old is None else 0o600, dir_fd=folder)
            try:
                with suppress(OSError):  # says that its process lives: see `clear_leftovers`
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _fill(file, data, old)
                with _alone(folder):
                    _require(place, folder, name, before)
                    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            finally:
                os.close(file)
            os.fsync(synced)


def remove_file(root: str, place: Place, before: bytes, and_folders: bool) -> None:
    """See `Workspace.remove`."""
    with told(place, NO_FILE):
        with open_parent(root, place) as (folder, name), _syncable(folder) as synced:
            with _alone(folder):
                _require(place, folder, name, before)
                os.unlink(name, dir_fd=folder)
            os.fsync(synced)
        if and_folders:
            _remove_emptied(root, place)


def clear_leftovers(root: str, place: Place) -> int:
    """See `Workspace.clear_leftovers`. A temporary file that a living process holds is left alone."""
    cleared = 0
    with suppress(OSError), open_parent(root, place) as (folder, _), _syncable(folder) as listed:
        for name in os.listdir(listed):
            if is_temporary(name):
                cleared += _clear(folder, name)
    return cleared


def _clear(folder: int, name: str) -> bool:
    with suppress(OSError):
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)  # nobody can hold one, nor is it there for longer than a rename takes
            return True
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
            return True
        finally:
            os.close(file)
    return False


def _make_folders(root: str, place: Place) -> None:
    """The folders above `place` that are missing, each made in an open one and entered without following a link."""
    folder = os.open(root, FOLDER_FLAGS)
    try:
        for part in place.parts[:-1]:
            made = False
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
                made = True
            if made:
                with _syncable(folder) as synced:
                    os.fsync(synced)
            inner = os.open(part, FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
    finally:
        os.close(folder)


def _remove_emptied(root: str, place: Place) -> None:
    for depth in range(len(place.parts) - 1, 0, -1):
        try:
            with open_parent(root, Place.at("/".join(place.parts[:depth]))) as (folder, name):
                os.rmdir(name, dir_fd=folder)
        except OSError:
            return  # it holds something else, and so do those above


def _require(place: Place, folder: int, name: str, before: bytes | None) -> os.stat_result | None:
    """What lies there. Raises ToolFailed where it is not as `before` says."""
    try:
        found = stat_regular(place, folder, name)
    except FileNotFoundError:
        if before is None:
            return None
        raise _changed(place) from None
    if before is None or found.st_size != len(before):
        raise _changed(place)
    file = open_regular(place, folder, name)
    with os.fdopen(file, "rb") as reader:
        if not stat.S_ISREG(os.fstat(file).st_mode) or reader.read(len(before) + 1) != before:
            raise _changed(place)
    return found


@contextmanager
def _alone(folder: int) -> Iterator[None]:
    """No other process of ours replaces a file of this folder meanwhile, so that none overwrites what it never saw.

    Who waits for too long goes on all the same: a lock is everybody's, and some file systems have none.
    """
    with _syncable(folder) as locked:
        until = time.monotonic() + _PATIENCE_S
        while not _is_locked(locked) and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN_S)
        yield


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # as far as that can be had
    return True


def _changed(place: Place) -> ToolFailed:
    return ToolFailed(f"{visible(place.path)}: it changed while it was edited; nothing was written: read it again")


def _fill(file: int, data: bytes, old: os.stat_result | None) -> None:
    """Contents, and owner and mode of the file that it replaces, on the disk."""
    if old is not None:
        with suppress(PermissionError):  # only root gives files away; then they belong to who edits
            os.fchown(file, old.st_uid, old.st_gid)
        os.fchmod(file, stat.S_IMODE(old.st_mode) & 0o777)  # never setuid or setgid: what they vouched for is gone
    left = memoryview(data)
    while left:
        left = left[os.write(file, left[:_PIECE_BYTES]) :]
    os.fsync(file)


@contextmanager
def _syncable(folder: int) -> Iterator[int]:
    """The same folder opened for reading: what was opened as a mere path can be neither listed nor synchronised."""
    opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield opened
    finally:
        os.close(opened)
