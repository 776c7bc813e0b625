"""A temporary GIT_DIR of our own, which borrows objects, refs and index of a repository and nothing else of it.

Git believes what lies in its GIT_DIR: config, hooks, info/attributes, grafts, alternates, worktree lists. None of it is
there to be believed. What is borrowed is data: it says what was committed and staged, and starts nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import trio
from msgspec import Struct

from ..errors import ToolFailed
from .repository import Repository, find_repository, read_settings, read_small

_HEAD = re.compile(r"ref: refs/[^\s\0]+|[0-9a-f]{40}|[0-9a-f]{64}")
_LOOSE = re.compile(r"[0-9a-f]{2}")
#: What a repository's own config may say: how its files lie on this disk. Everything else of it is left out.
_BORROWED_SETTINGS = {
    "core.filemode": ("true", "false"),
    "core.symlinks": ("true", "false"),
    "core.ignorecase": ("true", "false"),
    "core.autocrlf": ("true", "false", "input"),
    "core.eol": ("lf", "crlf", "native"),
}
_CONFIG = """\
[core]
\trepositoryFormatVersion = 1
\tbare = false
\tfsmonitor = false
\thooksPath = /dev/null
\tattributesFile = /dev/null
\texcludesFile = /dev/null
\tcommitGraph = false
\tmultiPackIndex = false
\tuntrackedCache = false
\tquotePath = false
\tbigFileThreshold = 16m
[safe]
\tbareRepository = explicit
"""
_EMPTY_TREES = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}


class Borrowed(Struct, frozen=True, kw_only=True):
    git_dir: str
    top: str
    sources: tuple[str, ...]  # of what is borrowed: what a confined git has to be able to read
    empty_tree: str
    folder: str = ""  # where git starts, if `top` is not the working tree that holds the project


@asynccontextmanager
async def borrow(project: str) -> AsyncIterator[Borrowed]:
    """Lend the repository around `project`, a resolved path, for as long as this is open.

    Raises ToolFailed where there is none, or where its parts lie elsewhere. Hundreds of links are made and removed, so
    a thread does it.
    """
    borrowed = await trio.to_thread.run_sync(_lend, project)
    try:
        yield borrowed
    finally:
        with trio.CancelScope(shield=True):  # bounded by what was made
            await trio.to_thread.run_sync(partial(shutil.rmtree, borrowed.git_dir, ignore_errors=True))


def make_empty(git_dir: str) -> None:
    """A repository of nothing, for a git that is to look into no other one."""
    os.mkdir(git_dir)
    for name in ("objects", "refs"):
        os.mkdir(f"{git_dir}/{name}")
    _write(f"{git_dir}/config", _config({}, "sha1", reftable=False))
    _write(f"{git_dir}/HEAD", "ref: refs/heads/none\n")


def _lend(project: str) -> Borrowed:
    repository = find_repository(project)
    git_dir = os.path.realpath(tempfile.mkdtemp(prefix="vibe-git-"))
    try:
        return _fill(git_dir, repository)
    except BaseException:
        shutil.rmtree(git_dir, ignore_errors=True)
        raise


def _fill(git_dir: str, repository: Repository) -> Borrowed:
    settings = read_settings(f"{repository.common}/config")
    hashing = "sha256" if settings.get("extensions.objectformat") == "sha256" else "sha1"
    _write(f"{git_dir}/config", _config(settings, hashing, reftable=os.path.isdir(f"{repository.common}/reftable")))
    head = (read_small(f"{repository.own}/HEAD") or "").strip()
    if not _HEAD.fullmatch(head):
        raise ToolFailed("the repository's HEAD is not one that git writes")
    _write(f"{git_dir}/HEAD", head + "\n")
    sources = [_borrow_objects(f"{repository.common}/objects", f"{git_dir}/objects")]
    for name in ("refs", "reftable", "packed-refs"):
        sources += _borrow(f"{repository.common}/{name}", f"{git_dir}/{name}")
    if "refs" not in os.listdir(git_dir):
        os.mkdir(f"{git_dir}/refs")
    with _told(repository.own):
        for name in os.listdir(repository.own):
            if name == "index" or name.startswith("sharedindex."):
                _copy(f"{repository.own}/{name}", f"{git_dir}/{name}")
    return Borrowed(
        git_dir=git_dir,
        top=repository.top,
        sources=tuple(sources),
        empty_tree=_EMPTY_TREES[hashing],
    )


def _config(settings: dict[str, str], hashing: str, *, reftable: bool) -> str:
    lines = [_CONFIG.rstrip("\n"), "[extensions]", f"\tobjectFormat = {hashing}"]
    if reftable:
        lines.append("\trefStorage = reftable")
    lines.append("[core]")
    for name, values in _BORROWED_SETTINGS.items():
        value = settings.get(name, "").lower()
        if value in values:
            lines.append(f"\t{name.removeprefix('core.')} = {value}")
    return "\n".join(lines) + "\n"


def _borrow_objects(source: str, target: str) -> str:
    """Folder by folder, so that `info/alternates` stays behind, and no link leads to another repository's objects."""
    os.mkdir(target)
    with _told(source), os.scandir(_real(source)) as entries:
        for entry in entries:
            if entry.name == "pack" or _LOOSE.fullmatch(entry.name):
                with os.scandir(_real(entry.path)) as files:
                    if any(file.is_symlink() for file in files):
                        raise ToolFailed(_FOREIGN)
                os.symlink(entry.path, f"{target}/{entry.name}")
    return source


def _borrow(source: str, target: str) -> list[str]:
    with _told(source):
        if not os.path.lexists(source):
            return []
        os.symlink(_real(source), target)
    return [source]


def _copy(source: str, target: str) -> None:
    """Copied, not linked: git writes the index back when it finds only dates that changed.

    With its date: a file that is not older than the index may have changed since, so that git looks into it.
    """
    found = os.stat(_real(source), follow_symlinks=False)
    shutil.copyfile(source, target, follow_symlinks=False)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


_FOREIGN = "parts of the repository are links that lead elsewhere, which are not followed"


def _real(path: str) -> str:
    mode = os.lstat(path).st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise ToolFailed(_FOREIGN)
    return path


@contextmanager
def _told(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ToolFailed(f"the repository's {os.path.basename(source)}: {os.strerror(error.errno or 0)}") from error


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
