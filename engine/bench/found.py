"""What lies in a folder, as it is after a job or before one, without following any link."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from enum import StrEnum

from msgspec import Struct

from ..agents.tools.descent import open_folder, open_parent
from ..agents.tools.workspace import MAX_PATH_CHARS
from ..errors import ToolFailed
from ..tree.scan import MAX_ENTRIES
from .copying import place_of

PERMISSIONS = 0o777


class Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"
    GONE = "gone"


class Found(Struct, frozen=True, kw_only=True):
    """One name. Of what is gone there is no mode."""

    path: str  # from the root
    kind: Kind
    mode: int = 0  # permission bits
    size: int = 0


def kind_of(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    return Kind.LINK if stat.S_ISLNK(mode) else Kind.OTHER


def look(root: str, path: str) -> Found:
    """What lies at a path, which is GONE where nothing does, or a link is in its way."""
    try:
        with open_parent(root, place_of(path + "/")) as (parent, name):
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return Found(path=path, kind=Kind.GONE)
    return _found(path, found)


def walk(
    root: str, start: str = "", leave_out: Collection[str] = (), unlisted: set[str] | None = None
) -> Iterator[Found]:
    """All below the folder `start` ("" or ending in a slash), each folder before what is in it.

    What is named in `leave_out` is not there. A folder that cannot be listed is as good as empty, and is put into
    `unlisted`. Raises ToolFailed beyond what a project may have.
    """
    folders = [start]
    count = 0
    while folders:
        prefix = folders.pop()
        listed = _listed(root, prefix)
        if listed is None and unlisted is not None:
            unlisted.add(prefix[:-1])
        for found in listed or ():
            if found.path in leave_out:
                continue
            count += 1
            if count > MAX_ENTRIES or len(found.path) > MAX_PATH_CHARS:
                raise ToolFailed(
                    f"the command left more than {MAX_ENTRIES:,} files, or a path longer than {MAX_PATH_CHARS:,} "
                    "characters; nothing of what it did was kept"
                )
            yield found
            if found.kind is Kind.FOLDER:
                folders.append(found.path + "/")


def _listed(root: str, prefix: str) -> list[Found] | None:
    try:
        with open_folder(root, place_of(prefix)) as folder, os.scandir(folder) as scan:
            return [_found(prefix + item.name, item.stat(follow_symlinks=False)) for item in scan]
    except (ToolFailed, OSError):
        return None


def _found(path: str, found: os.stat_result) -> Found:
    return Found(path=path, kind=kind_of(found.st_mode), mode=found.st_mode & PERMISSIONS, size=found.st_size)
