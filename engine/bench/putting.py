"""Makes in the project what a job did beside its files: links, modes, folders, and all that git ignores.

What a job left may be a trap, and the project may be one by now. As for every edit, folders are entered from the root
without following links, and what tools may not write is not written. Nothing is flushed: nobody counts on it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress

from ..agents.tools.descent import FOLDER_FLAGS, Place, open_file, open_parent
from ..agents.tools.secrets import refusal, write_refusal
from ..errors import ToolDenied, ToolFailed
from .before import link_target
from .found import PERMISSIONS, Found, Kind, kind_of

_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def put(project: str, top: str, to_put: Iterable[Found], modes: Iterable[Found]) -> None:
    """Make what lies below `top` lie below `project`. What cannot be made is left out. Blocking, for a thread."""
    wanted = [found for found in to_put if _may_be_written(found.path)]
    gone = [found for found in wanted if found.kind is Kind.GONE]
    for found in sorted(gone, key=lambda each: each.path, reverse=True):  # what is in a folder before it
        with suppress(OSError):
            _remove(project, found)
    for found in wanted:
        with suppress(OSError, ToolFailed, ToolDenied):
            _put(project, top, found)
    folders = [found for found in reversed(wanted) if found.kind is Kind.FOLDER]  # no mode kept us out of one
    for found in (*(each for each in modes if _may_be_written(each.path)), *folders):
        with suppress(OSError, ToolDenied):
            _set_mode(project, found)


def folders_of(to_put: Iterable[Found]) -> list[str]:
    """Where `put` may leave something half made, should this process be killed meanwhile: for `clear_leftovers`."""
    return sorted({found.path.rpartition("/")[0] for found in to_put if found.kind is not Kind.GONE})


def _may_be_written(path: str) -> bool:
    parts = path.split("/")
    return refusal(parts) is None and write_refusal(parts) is None


def _remove(project: str, found: Found) -> None:
    with open_parent(project, Place.at(found.path)) as (folder, name):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=folder)  # not where the project has by now what the job did not see
        else:
            os.unlink(name, dir_fd=folder)


def _put(project: str, top: str, found: Found) -> None:
    place = Place.at(found.path)
    match found.kind:
        case Kind.FOLDER:
            _put_folder(project, place)
        case Kind.LINK:
            target = link_target(top, found.path)
            if target is not None:
                with open_parent(project, place) as (folder, name):
                    temporary = _temporary()
                    os.symlink(target, temporary, dir_fd=folder)
                    _put_in_place(temporary, name, folder)
        case Kind.FILE:
            with open_file(top, place) as (source, _), open_parent(project, place) as (folder, name):
                temporary = _temporary()
                copy = os.open(temporary, _NEW_FLAGS, 0o600, dir_fd=folder)
                try:
                    with suppress(OSError):  # says that its process lives: see `clear_leftovers`
                        fcntl.flock(copy, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _fill(copy, source)
                    os.fchmod(copy, found.mode)  # without setuid and setgid
                except BaseException:
                    os.unlink(temporary, dir_fd=folder)
                    raise
                finally:
                    os.close(copy)
                _put_in_place(temporary, name, folder)
        case _:
            pass


def _put_folder(project: str, place: Place) -> None:
    with open_parent(project, place) as (folder, name):
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=folder)
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=folder)


def _set_mode(project: str, found: Found) -> None:
    with open_parent(project, Place.at(found.path)) as (folder, name):
        opened = os.open(name, FOLDER_FLAGS & ~os.O_DIRECTORY, dir_fd=folder)
    try:
        mode = os.fstat(opened).st_mode
        if kind_of(mode) is found.kind and mode & PERMISSIONS != found.mode:
            os.chmod(f"/proc/self/fd/{opened}", found.mode)  # of what was opened, whatever its name is by now
    finally:
        os.close(opened)


def _put_in_place(temporary: str, name: str, folder: int) -> None:
    try:
        with suppress(OSError):  # an empty folder makes room, and a full one stays
            os.rmdir(name, dir_fd=folder)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(temporary, dir_fd=folder)
        raise


def _fill(copy: int, source: int) -> None:
    with os.fdopen(os.dup(source), "rb") as reader, os.fdopen(os.dup(copy), "wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
    found = os.fstat(source)
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def _temporary() -> str:
    """As edits name theirs: one that a kill leaves is in no listing and no snapshot."""
    return f".vibe-tmp-{secrets.token_hex(8)}"
