"""Who works on which run: the owner of a run holds a lock on its file, and the kernel drops it with the process."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StoreError
from ..model import RunId
from .failures import os_words

#: The folder may have come with a repository: no link is followed, and no pipe is waited for.
_CAREFUL = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

_SUFFIX = ".lock"


class RunLocks:
    """The locks of one store's runs: `.vibe/runs/RUN.lock` for `.vibe/vibe.db`, in `NAME.runs/` beside another file."""

    def __init__(self, store: Path) -> None:
        self.folder = store.parent / "runs" if store.parent.name == ".vibe" else store.with_name(store.name + ".runs")

    @contextmanager
    def hold(self, run_id: RunId) -> Iterator[None]:
        """Own a run for the block. Take it before the run's row is written, since a row without an owner is a dead run.

        Raises StoreError where another process owns it, or the folder cannot be written.
        """
        path = self._path(run_id)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            with folder_lock(self.folder):  # for microseconds: between making and locking it is no dead one
                self._remove_dead()
                fd = os.open(path, os.O_RDWR | os.O_CREAT | _CAREFUL, 0o600)
                owned = _lock(fd, fcntl.LOCK_EX)
        except OSError as error:
            raise StoreError(f"lock {path}: {os_words(error, 'check the permissions of the folder')}") from error
        try:
            if not owned:
                raise StoreError(f"run {run_id} is being worked on by another vibe process; wait for it, or cancel it")
            try:
                yield
            finally:
                path.unlink(missing_ok=True)  # while it is held: nobody can own the new file by then
        finally:
            os.close(fd)

    def _remove_dead(self) -> None:
        """Remove what killed processes left. A run gets a new id each time, so that nobody comes back for one.

        The folder may have come with a repository: only what looks like a lock is removed, and only from here.
        """
        if self.folder.is_symlink():
            return
        with os.scandir(self.folder) as entries:
            locks = [entry for entry in entries if entry.name.endswith(_SUFFIX) and _looks_like_ours(entry)]
        for entry in locks:
            if not self.is_owned(RunId(entry.name.removesuffix(_SUFFIX))):
                Path(entry.path).unlink(missing_ok=True)

    def is_owned(self, run_id: RunId) -> bool:
        """Whether a live process, perhaps this one, works on the run."""
        try:
            fd = os.open(self._path(run_id), os.O_RDONLY | _CAREFUL)
        except OSError:
            return False
        try:
            return not _lock(fd, fcntl.LOCK_SH)
        finally:
            os.close(fd)

    def _path(self, run_id: RunId) -> Path:
        return self.folder / f"{run_id.replace('/', '_')}{_SUFFIX}"  # an id read from a strange store may be anything


def alive_runs(connection: sqlite3.Connection, locks: RunLocks) -> tuple[RunId, ...]:
    """The runs that a process works on."""
    unfinished = connection.execute("SELECT id FROM runs WHERE finished_at IS NULL").fetchall()
    return tuple(RunId(run) for (run,) in unfinished if locks.is_owned(run))


def _looks_like_ours(entry: os.DirEntry[str]) -> bool:
    """An empty file of this user: whether another user's is locked cannot be told."""
    try:
        if not entry.is_file(follow_symlinks=False):
            return False
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # its owner has just removed it
        return False
    return status.st_size == 0 and status.st_uid == os.geteuid()


def _lock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Be the only process of this user in a folder that locks it so. Leaves no file behind; waits. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
