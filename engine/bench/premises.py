"""Folders of this process in the user's cache: what it makes there ends with it, or at the next start.

`snapshots/PROJECT/OWNER/N`: PROJECT is a digest of the project's path, OWNER a process that holds the lock of a file in
its folder, which the kernel drops with it. Whoever starts removes what nobody holds, of any project.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from ..agents.tools.descent import Place
from ..agents.tools.writing import clear_leftovers
from ..errors import ToolFailed
from .removal import remove_folder

_LOCK = "lock"
#: In the folder of an owner: the project, and the folders in which it is at work, each ended by a NUL.
_PUTTING = "putting"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Premises:
    """Of one project and one process. All methods block; any thread may call them."""

    def __init__(self, cache_dir: Path, project: str) -> None:
        """`project` is the real path of its root."""
        self._base = os.path.join(os.path.realpath(cache_dir), "snapshots")
        self._project = project
        self._own = ""
        self._lock = -1
        self._made = 0
        self._making = threading.Lock()

    def new_folder(self) -> str:
        """The path of a new empty folder, which `remove` removes. Raises ToolFailed where there can be none."""
        self._require_outside()
        with _told(self._base), self._making:
            if not self._own:
                self._settle()
            self._made += 1
            path = f"{self._own}/{self._made}"
            os.mkdir(path, 0o700)
            return path

    def remove(self, path: str) -> None:
        """What cannot be removed is left to the next start."""
        with suppress(OSError):
            remove_folder(path)

    @contextmanager
    def putting(self, folders: Iterable[str]) -> Iterator[None]:
        """While this process makes something in these folders of the project, by their paths from its root."""
        with self._making:
            note = f"{self._own}/{_PUTTING}-{secrets.token_hex(8)}"
        with open(note, "wb") as file:
            file.write(b"".join(os.fsencode(path) + b"\0" for path in (self._project, *folders)))
        yield
        with suppress(OSError):
            os.unlink(note)

    def clear_dead(self) -> int:
        """Remove what processes left that were killed. Returns how many there were."""
        try:
            with _alone(self._base):
                dead = [path for path in _owners(self._base) if not _is_held(path)]
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except OSError:
            return 0  # nobody's that could be told
        for path in dead:
            _clear_project(path)
            self.remove(path)
        with suppress(OSError), _alone(self._base):
            for path in {os.path.dirname(path) for path in dead}:
                with suppress(OSError):  # others live there
                    os.rmdir(path)
        return len(dead)

    def close(self) -> None:
        with self._making:
            if not self._own:
                return
            self.remove(self._own)
            os.close(self._lock)
            with suppress(OSError), _alone(self._base):
                os.rmdir(os.path.dirname(self._own))
            self._own, self._lock = "", -1

    def _require_outside(self) -> None:
        """What lies in the project would be part of the next snapshot."""
        if (self._base + "/").startswith(self._project.rstrip("/") + "/"):
            raise ToolFailed(
                f"the cache folder {os.path.dirname(self._base)} lies in the project, so that no copy of the project "
                "can be kept there; set XDG_CACHE_HOME to a folder outside of it"
            )

    def _settle(self) -> None:
        os.makedirs(self._base, mode=0o700, exist_ok=True)
        _require_ours(self._base)
        folder = f"{self._base}/{blake2b(os.fsencode(self._project), digest_size=16).hexdigest()}"
        own = f"{folder}/{secrets.token_hex(8)}"
        with _alone(self._base):  # between making and locking it is no dead one
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)
            os.mkdir(own, 0o700)
            lock = os.open(f"{own}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._own, self._lock = own, lock


def _require_ours(path: str) -> None:
    folder = os.open(path, _FOLDER)
    try:
        found = os.fstat(folder)
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ToolFailed(
                f"{path}: others may write there, so that no copy of the project is kept in it; run "
                f"`chmod go-w {path}`, or remove it"
            )
    finally:
        os.close(folder)


def _owners(base: str) -> list[str]:
    with os.scandir(base) as projects:
        folders = [project.path for project in projects if project.is_dir(follow_symlinks=False)]
    found: list[str] = []
    for folder in folders:
        with os.scandir(folder) as owners:
            found += [owner.path for owner in owners if owner.is_dir(follow_symlinks=False)]
    return found


def _clear_project(owner: str) -> None:
    """Remove what a dead process left half made in its project."""
    with suppress(OSError), os.scandir(owner) as scan:
        notes = [item.path for item in scan if item.name.startswith(_PUTTING) and item.is_file(follow_symlinks=False)]
        for note in notes:
            with open(note, "rb") as file:
                project, *folders = [os.fsdecode(path) for path in file.read().split(b"\0")[:-1]] or [""]
            if project:
                for folder in folders:
                    clear_leftovers(project, Place.at(f"{folder}/any" if folder else "any"))


def _is_held(owner: str) -> bool:
    try:
        lock = os.open(f"{owner}/{_LOCK}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False  # made and locked in one
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def _alone(base: str) -> Iterator[None]:
    """For as long as a few folders are made or looked at."""
    folder = os.open(base, _FOLDER)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ToolFailed(f"{path}: no copy of the project can be kept there: {error.strerror}") from error
