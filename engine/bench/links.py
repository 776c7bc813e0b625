"""Folders that git ignores, and that a copy of the project needs all the same: what is installed for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from ..agents.tools.descent import open_parent
from ..agents.tools.secrets import refusal, write_refusal
from ..ports import Checker
from .before import folders_above, read_file
from .copying import place_of
from .found import Kind, look
from .rules import ignored_of

GIT = ".git"


async def linked_folders(project: str, names: Sequence[str], checker: Checker) -> tuple[str, ...]:
    """Those of `names` that are real folders of the project which git ignores.

    A link may lead to what no command is to read, wherever a repository wants.
    """
    there = [name for name in names if _is_plain(name) and look(project, name).kind is Kind.FOLDER]
    ignored = await ignored_of(checker, partial(read_file, project), [name + "/" for name in there])
    return tuple(name for name in there if name + "/" in ignored)


def make_links(project: str, copy: str, linked: Sequence[str], *, history: bool) -> None:
    """Let the linked folders, and maybe the history, be found in a copy. Raises OSError."""
    if history and look(project, GIT).kind is Kind.FOLDER:
        os.symlink(f"{project}/{GIT}", f"{copy}/{GIT}")
    for name in linked:
        for folder in reversed([*folders_above(name)]):
            os.makedirs(f"{copy}/{folder}", exist_ok=True)
        with open_parent(copy, place_of(name + "/")) as (parent, last):
            os.symlink(f"{project}/{name}", last, dir_fd=parent)


def readable(project: str, linked: Sequence[str]) -> tuple[str, ...]:
    """What a job in a copy has to see of the project. No link leads it elsewhere."""
    return tuple(f"{project}/{name}" for name in (GIT, *linked) if look(project, name).kind is Kind.FOLDER)


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return {"", ".", ".."}.isdisjoint(parts) and "\0" not in name and not (refusal(parts) or write_refusal(parts))
