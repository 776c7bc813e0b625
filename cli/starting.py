"""What `vibe init` makes. Everything is made only where it is missing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from vibe_workflows.catalog.discovery import PROJECT_FOLDERS
from vibe_workflows.engine.errors import ConfigError
from vibe_workflows.engine.places import PROJECT_FILE, find_places

from .new_files import add_lines, make_file, make_folder
from .starting_config import own_config, project_config

_MOST = 1024 * 1024
_IGNORED = """\
# The store of vibe is for this machine only. Workflows and agents in that folder are yours to commit.
/.vibe/*
!/.vibe/workflows/
!/.vibe/agents/
"""
#: Lines by which a project keeps the store out of git; the first ones keep all of the folder out.
_WHOLE = frozenset({".vibe", ".vibe/", "/.vibe", "/.vibe/", "**/.vibe", "**/.vibe/"})
_CONTENTS = frozenset({".vibe/*", "/.vibe/*", ".vibe/**", "/.vibe/**"})


class Change(NamedTuple):
    done: str  # "made" or "added to"
    path: str
    what: str


class Started(NamedTuple):
    """`kept` are names of what was there already."""

    folder: Path
    changes: tuple[Change, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...] = ()


def start_own() -> Started:
    """The person's config file. Raises ConfigError."""
    file = find_places(Path.cwd(), os.environ).user_config_dir / "config.yaml"
    make_folder(file.parent)
    if not make_file(file, own_config()):
        return Started(file.parent, (), (file.name,))
    return Started(file.parent, (Change("made", str(file), "every setting, commented out"),), ())


def start_project(named: str | None) -> Started:
    """A project in the folder `named`, which is made, or in the current one. Raises ConfigError."""
    folder = Path(os.path.abspath(named)) if named is not None else Path.cwd()
    notes: list[str] = []
    above = find_places(folder, os.environ).project_root
    if above != folder:
        if named is None:
            from shlex import quote  # only on the way to this message

            raise ConfigError(
                f"this folder lies in the project {above}; `vibe init {quote(str(above))}` is about that one, and "
                "`vibe init .` makes this folder a project of its own"
            )
        notes.append(f"note: it lies in the project {above}, whose settings and workflows do not count in here")
    make_folder(folder)
    changes: list[Change] = []
    kept: list[str] = []
    if make_file(folder / PROJECT_FILE, project_config()):
        changes.append(
            Change("made", str(folder / PROJECT_FILE), "every setting that a project may have, commented out")
        )
    else:
        kept.append(PROJECT_FILE)
    _start_workflows(folder, changes, kept)
    _start_ignoring(folder, changes, kept, notes)
    return Started(folder, tuple(changes), tuple(kept), tuple(notes))


def _start_workflows(folder: Path, changes: list[Change], kept: list[str]) -> None:
    there = [name for name in PROJECT_FOLDERS if (folder / name).is_dir()]
    if there:
        kept += [f"{name}/" for name in there]
        return
    make_folder(folder / PROJECT_FOLDERS[-1])
    changes.append(Change("made", str(folder / PROJECT_FOLDERS[-1]), "`vibe new` writes workflows here"))


def _start_ignoring(folder: Path, changes: list[Change], kept: list[str], notes: list[str]) -> None:
    """Keep the store out of git. Without git there is nothing to do: the store brings a .gitignore of its own along."""
    file = folder / ".gitignore"
    what = "git passes over the store in .vibe/"
    if file.is_symlink():
        notes.append("note: .gitignore is a link, which git does not follow; nothing was added to it")
    elif not file.exists():
        if any(os.path.lexists(above / ".git") for above in (folder, *folder.parents)):
            make_file(file, _IGNORED)
            changes.append(Change("made", str(file), what))
    elif (lines := _lines(file)) & (_WHOLE | _CONTENTS):
        kept.append(file.name)
        if lines & _WHOLE:
            notes.append("note: .gitignore keeps all of .vibe/ out of git, workflows and agents in it, too")
    else:
        add_lines(file, _IGNORED, most=_MOST)
        changes.append(Change("added to", str(file), what))


def _lines(file: Path) -> frozenset[str]:
    if not file.is_file():
        raise ConfigError(f"{file}: not a regular file; move it away")
    try:
        with file.open("rb") as held:
            text = held.read(_MOST).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}; mend its permissions") from error
    return frozenset(line.strip() for line in text.splitlines())
