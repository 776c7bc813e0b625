"""The folders that hold profiles, and how a file in one is read. A project's may have been made by a stranger."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

from ..errors import ConfigError, ToolDenied, ToolFailed
from .profile_text import MAX_BYTES
from .tools import descent
from .tools.descent import Place
from .tools.secrets import refusal

#: The name of a profile, as a script gives it; the child tells its author the same.
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,64}\Z"

_MAX_LISTED = 1_000  # files of one folder


class ProfileFolder(Protocol):
    shown: str  # as a person knows it

    @property
    def problem(self) -> str:
        """Why nothing in it is read; empty where that is not so."""
        ...

    def names(self) -> list[str]:
        """Of the profiles that are in it, as far as they can be named."""
        ...

    def path(self, name: str) -> Path:
        """Of a profile's file, also where there is none."""
        ...

    def read(self, name: str) -> bytes | None:
        """The contents of a profile's file, one byte more than there may be at most; None where there is none.

        `name` fits NAME_PATTERN. Raises ConfigError.
        """
        ...


class ProjectFolder:
    """A folder of a project. What leads out of the project, or to what no tool reads, is not read."""

    def __init__(self, project: Path, parts: tuple[str, ...], own: Sequence[tuple[str, ...]]) -> None:
        """`own` are all folders of profiles: one may lead to another one, though no tool reads `.vibe`."""
        self.shown = "/".join(parts)
        self._own = own
        self._root = os.path.realpath(project)
        self._folder = os.path.realpath(os.path.join(self._root, *parts))

    @property
    def problem(self) -> str:
        if self._below(self._folder) is not None:
            return ""
        return f"{self.shown}: leads out of the project through a symbolic link, so no profile in it is read"

    def names(self) -> list[str]:
        return [] if self.problem else _names(self._folder)

    def path(self, name: str) -> Path:
        return Path(self._folder, f"{name}.md")

    def read(self, name: str) -> bytes | None:
        file = self.path(name)
        if self.problem or not os.path.lexists(file):
            return None
        shown = f"{self.shown}/{name}.md"
        parts = self._below(os.path.realpath(file))
        if parts is None:
            raise ConfigError(f"{shown}: leads out of the project through a symbolic link; put the file itself there")
        if parts[:-1] not in self._own and (reason := refusal(parts)) is not None:
            raise ConfigError(f"{shown}: leads to what no tool reads: {reason}")
        try:  # without following links: one may have been put in place since
            with descent.open_file(self._root, Place(path=shown, parts=parts)) as (descriptor, _):
                return _start_of(descriptor)
        except (ToolDenied, ToolFailed) as error:
            raise ConfigError(error.message) from error

    def _below(self, real: str) -> tuple[str, ...] | None:
        """A real path from the root; None where it is outside."""
        below = self._root.rstrip("/") + "/"
        return tuple(real[len(below) :].split("/")) if real.startswith(below) else None


class UserFolder:
    """The person's own: links are followed wherever they lead."""

    problem = ""

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder = folder
        self.shown = f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)

    def names(self) -> list[str]:
        return _names(str(self._folder))

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.md"

    def read(self, name: str) -> bytes | None:
        shown = f"{self.shown}/{name}.md"
        try:
            # Without O_NONBLOCK a FIFO would block, and without O_NOCTTY a terminal would become ours.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(self.path(name), flags)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ConfigError(f"{shown}: not a regular file; rename or remove it, or put a profile there")
                return _start_of(descriptor)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigError(f"{shown}: cannot be read: {error.strerror}; mend its permissions") from error


def _start_of(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(MAX_BYTES + 1)


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in islice(entries, _MAX_LISTED)]
    except OSError:
        return []
    stems = (name.removesuffix(".md") for name in found if name.endswith(".md"))
    return sorted(stem for stem in stems if re.match(NAME_PATTERN, stem))
