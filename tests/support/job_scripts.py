"""Random trees, and random scripts that work in one: performed in place, or by a command.

A script is a list of operations; one that fails is passed over, as by a shell. This file is also the program that
performs one, so that it imports nothing of ours there.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

Operation: TypeAlias = Sequence[Any]

#: By path: kind, permission bits, contents or target.
Shown: TypeAlias = dict[str, tuple[str, int, bytes]]


def perform(script: Sequence[Operation], root: str) -> None:
    """In the folder `root`. Paths are as `os.fsdecode` gives them."""
    home = os.getcwd()
    os.chdir(root)
    umask = os.umask(0o022)
    try:
        for name, *arguments in script:
            with suppress(OSError, shutil.Error):
                _OPERATIONS[name](*arguments)
    finally:
        os.umask(umask)
        os.chdir(home)


def shown(root: Path, leave_out: Sequence[str] = (".git",)) -> Shown:
    """All that lies in a folder, without its times."""
    found: Shown = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in leave_out]
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = _described(path)
    return found


def _described(path: str) -> tuple[str, int, bytes]:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return "link", 0, os.fsencode(os.readlink(path))
    if stat.S_ISDIR(mode):
        return "folder", mode & 0o777, b""
    return "file", mode & 0o777, Path(path).read_bytes() if stat.S_ISREG(mode) else b""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _plant(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    _write(path, text)


def _append(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def _move(source: str, target: str) -> None:
    """As mv does: where the system cannot rename (a folder of a lower layer), copy."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with suppress(FileNotFoundError):
            os.rmdir(target)
        shutil.copytree(source, target, symlinks=True)
        shutil.rmtree(source)


def _set_mode(path: str, mode: int) -> None:
    """A folder stays open: who may not look into one sees no difference."""
    if not os.path.islink(path):
        os.chmod(path, mode | 0o100 if os.path.isdir(path) else mode)


_OPERATIONS: dict[str, Callable[..., object]] = {
    "write": _write,
    "plant": _plant,
    "append": _append,
    "remove": os.unlink,
    "make": lambda path: os.makedirs(path, exist_ok=True),
    "empty": os.rmdir,
    "clear": shutil.rmtree,
    "move": _move,
    "link": os.symlink,
    "mode": _set_mode,
    "again": lambda path: os.replace(shutil.copy2(path, f"{path}~"), path),
}

if __name__ == "__main__":
    perform(json.loads(sys.argv[1]), ".")
