"""What git would say of a project with some files otherwise: it is asked about the disk, and about these files alone.

The two answers make one where that is exact, and where it is not, ToolFailed says so.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import trio
from msgspec.structs import replace

from ..errors import ToolFailed
from .borrowed import Borrowed
from .diff import Change, ChangeKind, Difference

_RULES = (".gitattributes", ".gitignore")
_MOST_FILES = 1_000  # all are named on one command line
_COPY_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_RULE_BYTES = 1024 * 1024


def require_tellable(files: Collection[str]) -> None:
    """Raises ToolFailed where these files say how others are compared."""
    if any(path.rpartition("/")[2] in _RULES for path in files) or len(files) > _MOST_FILES:
        raise ToolFailed(_INEXACT)


def within(path: str, files: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """Those at or below `path`."""
    return {
        name: data for name, data in files.items() if path in (".", name) or name.startswith(path.rstrip("/") + "/")
    }


@asynccontextmanager
async def laid_out(borrowed: Borrowed, project: str, files: Mapping[str, bytes | None]) -> AsyncIterator[Borrowed]:
    """The same repository with a working tree that holds these files, and the rules of their folders, only."""
    tree = await trio.to_thread.run_sync(_lay_out, borrowed.top, project, files)
    try:
        yield replace(borrowed, top=tree, folder=f"{tree}/{project.removeprefix(borrowed.top)}")
    finally:
        with trio.CancelScope(shield=True):  # bounded by what was made
            await trio.to_thread.run_sync(partial(shutil.rmtree, tree, ignore_errors=True))


def composed(disk: Difference, own: Difference, files: Collection[str]) -> Difference:
    """Of the differences on the disk and of `files` alone, neither looked through for renames."""
    changes = [*(change for change in disk.changes if change.path not in files), *own.changes]
    kinds = {change.kind for change in changes}
    exact = disk.complete and own.complete
    # One that went and one that came may be a renamed file, and a folder is named where it is a repository of its own.
    if not exact or kinds >= {ChangeKind.ADDED, ChangeKind.DELETED} or any(_is_folder(change) for change in changes):
        raise ToolFailed(_INEXACT)
    known = [change for change in changes if not change.is_untracked]
    untracked = [change for change in changes if change.is_untracked]
    return Difference(changes=(*_by_name(known), *_by_name(untracked)), complete=True)


_INEXACT = "git cannot tell this of files that are not on the disk"


def _is_folder(change: Change) -> bool:
    return change.is_untracked and change.path.endswith("/")


def _by_name(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: change.path.encode())


def _lay_out(top: str, project: str, files: Mapping[str, bytes | None]) -> str:
    tree = os.path.realpath(tempfile.mkdtemp(prefix="vibe-git-"))
    try:
        holding = {os.path.dirname(os.path.join(project, path)) for path in files}
        for folder in {above for each in holding for above in _up_to(top, each)}:
            os.makedirs(os.path.join(tree, os.path.relpath(folder, top)), exist_ok=True)
            for name in _RULES:
                _copy(os.path.join(folder, name), os.path.join(tree, os.path.relpath(folder, top), name))
        for path, data in files.items():
            if data is not None:
                real = os.path.join(project, path)
                _write(os.path.join(tree, os.path.relpath(real, top)), data, _mode_of(real))
    except OSError as error:
        shutil.rmtree(tree, ignore_errors=True)
        raise ToolFailed(f"{_INEXACT}: {os.strerror(error.errno or 0)}") from error
    except BaseException:
        shutil.rmtree(tree, ignore_errors=True)
        raise
    return tree


def _up_to(top: str, folder: str) -> list[str]:
    """`folder` and those above it, as far as `top`."""
    found = [top]
    while folder != top:
        found.append(folder)
        folder = os.path.dirname(folder)
    return found


def _copy(source: str, target: str) -> None:
    try:
        file = os.open(source, _COPY_FLAGS)
    except OSError:
        return
    with os.fdopen(file, "rb") as reader:
        if stat.S_ISREG(os.fstat(file).st_mode):
            _write(target, reader.read(_RULE_BYTES), None)


def _write(path: str, data: bytes, mode: int | None) -> None:
    with open(path, "wb") as writer:
        writer.write(data)
        if mode is not None:
            os.fchmod(writer.fileno(), mode | stat.S_IRUSR)


def _mode_of(path: str) -> int | None:
    """An edit keeps it, so it is that of the file at any time."""
    try:
        found = os.lstat(path).st_mode
    except OSError:
        return None
    return stat.S_IMODE(found) & 0o777 if stat.S_ISREG(found) else None
