"""Profiles by name: the nearest folder that has one, and each file read once a run."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ..errors import ConfigError, SetupError, StepFault, ToolDenied
from ..grants import require_profile
from ..nearest import did_you_mean
from .profile_folders import ProfileFolder, ProjectFolder, UserFolder
from .profile_text import Profile, Vocabulary, parse_profile
from .tools.registry import ToolBox

#: Folders of a project, nearest first.
_PROJECT_FOLDERS = ((".vibe", "agents"), (".claude", "agents"))
_MAX_PROFILES = 50  # of one run: strangers write them, and can make one take a tenth of a second


class ProfileSource(Protocol):
    def get(self, name: str) -> Profile:
        """The profile of that name. Raises SetupError, and ToolDenied where it asks for what was not granted."""
        ...


class NoProfiles:
    """Implements `ProfileSource` where there are none."""

    def get(self, name: str) -> Profile:
        raise SetupError(f"agent: no profile `{name}`; none is known here")


class Examined(Struct, frozen=True, kw_only=True):
    """A profile, or a folder that is not read: `problem` is why no step can have it, `notes` what does not count."""

    where: str
    problem: str = ""
    notes: tuple[str, ...] = ()


def profile_folders(project: Path, user_config_dir: Path, home: Path) -> tuple[ProfileFolder, ...]:
    """Where profiles are looked for, nearest first."""
    folders = [ProjectFolder(project, parts, _PROJECT_FOLDERS) for parts in _PROJECT_FOLDERS]
    return (*folders, UserFolder(user_config_dir / "agents", home))


def vocabulary(tools: ToolBox, aliases: Container[str]) -> Vocabulary:
    """What names in profiles mean in a run with these tools."""
    groups: dict[str, list[str]] = {}
    for name, tool in tools.by_name.items():
        groups.setdefault(tool.group, []).append(name)
    return Vocabulary(tools={**groups, **{name: [name] for name in tools.by_name}}, aliases=aliases)


def examine(folders: Sequence[ProfileFolder], words: Vocabulary) -> list[Examined]:
    """All profiles that there are, sound or not, and the folders that are not read."""
    found: list[Examined] = []
    for folder in folders:
        if folder.problem:
            found.append(Examined(where=folder.shown, problem=folder.problem))
        for name in folder.names():
            where = f"{folder.shown}/{name}.md"
            try:
                profile = parse_profile(name, where, folder.read(name) or b"", words)
            except ConfigError as error:
                found.append(Examined(where=where, problem=error.message))
            else:
                found.append(Examined(where=where, notes=profile.notes))
    return found


class Profiles:
    """Implements `ProfileSource`. A file that changes during a run stays what it was when it was first named."""

    def __init__(self, folders: Sequence[ProfileFolder], words: Vocabulary, granted: Sequence[str]) -> None:
        self._folders = folders
        self._words = words
        self._granted = granted
        self._held: dict[str, Profile | StepFault] = {}  # what was named: failures are not looked up again, either

    def get(self, name: str) -> Profile:
        held = self._held.get(name)
        if held is None:
            if len(self._held) >= _MAX_PROFILES:
                raise SetupError(f"agent: more than {_MAX_PROFILES} profiles are named in one run; use `system=`")
            held = self._held[name] = self._looked_up(name)
        if isinstance(held, StepFault):
            raise type(held)(held.message)
        return held

    def _looked_up(self, name: str) -> Profile | StepFault:
        try:
            profile = self._read(name)
            if profile is None:
                return SetupError(self._unknown(name))
            require_profile(profile.where, profile.permissions, self._granted)
        except ConfigError as error:
            return SetupError(f"agent: profile `{name}`: {error.message}")
        except ToolDenied as error:
            return error
        return profile

    def _read(self, name: str) -> Profile | None:
        """From the nearest folder that has it; what that hides of the person's own is noted."""
        notes: list[str] = []
        for number, folder in enumerate(self._folders):
            if folder.problem:
                notes.append(folder.problem)
                continue
            content = folder.read(name)
            if content is not None:
                profile = parse_profile(name, f"{folder.shown}/{name}.md", content, self._words)
                notes += self._hidden(name, number)
                return replace(profile, notes=(*notes, *profile.notes))
        return None

    def _hidden(self, name: str, nearest: int) -> list[str]:
        return [
            f"profile `{name}` is the project's, and hides your own, {own.shown}/{name}.md"
            for own in self._folders[nearest + 1 :]
            if isinstance(own, UserFolder) and name in own.names()
        ]

    def _unknown(self, name: str) -> str:
        known = {each for folder in self._folders for each in folder.names()}
        places = ", ".join(folder.shown for folder in self._folders)
        left_out = "".join(f"; {folder.problem}" for folder in self._folders if folder.problem)
        return f"agent: no profile `{name}` in {places}; {did_you_mean(name, known)}{left_out}"
