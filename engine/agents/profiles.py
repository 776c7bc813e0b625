"""Profiles by name: the nearest folder that has one, and each file read once a run."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ..errors import ConfigError, SetupError, StepFault, ToolDenied
from ..grants import require_profile
from ..nearest import did_you_mean
from .profile_folders import ProfileFolder, ProjectFolder, UserFolder
from .profile_text import Profile, Vocabulary, parse_profile

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


class Hiding(Struct, frozen=True, kw_only=True):
    """A project's profile that takes the name of one of the person's own, and says something else."""

    name: str
    path: Path
    content: bytes
    hides: str  # as a person knows it


#: Whether a person trusts this content at this path.
Trusts: TypeAlias = Callable[[Path, bytes], bool]


class Examined(Struct, frozen=True, kw_only=True):
    """A profile, or a folder that is not read: `problem` is why no step can have it, `notes` what does not count."""

    where: str
    problem: str = ""
    notes: tuple[str, ...] = ()


def profile_folders(project: Path, user_config_dir: Path, home: Path) -> tuple[ProfileFolder, ...]:
    """Where profiles are looked for, nearest first."""
    folders = [ProjectFolder(project, parts, _PROJECT_FOLDERS) for parts in _PROJECT_FOLDERS]
    return (*folders, UserFolder(user_config_dir / "agents", home))


def vocabulary(tools: Mapping[str, str], aliases: Container[str]) -> Vocabulary:
    """What names in profiles mean in a run with these tools, each with its group."""
    groups: dict[str, list[str]] = {}
    for name, group in tools.items():
        groups.setdefault(group, []).append(name)
    return Vocabulary(tools={**groups, **{name: [name] for name in tools}}, aliases=aliases)


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


def hiding(folders: Sequence[ProfileFolder], trusts: Trusts) -> list[Hiding]:
    """All that `Profiles` refuses for want of trust. A file that cannot be read is nothing to trust."""
    found: dict[str, Hiding | None] = {}
    for place, folder in enumerate(folders):
        for name in folder.names():
            with suppress(ConfigError):
                if name not in found and (content := folder.read(name)) is not None:
                    found[name] = _hiding(folders, place, name, content, trusts)
    return [each for each in found.values() if each is not None]


def _hiding(folders: Sequence[ProfileFolder], place: int, name: str, content: bytes, trusts: Trusts) -> Hiding | None:
    """What stands between a person and the profile of this name in `folders[place]`."""
    for own in folders[place + 1 :]:
        if not isinstance(own, UserFolder) or own.read(name) in (None, content):
            continue
        path = folders[place].path(name)
        if not trusts(path, content):
            return Hiding(name=name, path=path, content=content, hides=f"{own.shown}/{name}.md")
    return None


class Profiles:
    """Implements `ProfileSource`. A file that changes during a run stays what it was when it was first named."""

    def __init__(
        self, folders: Sequence[ProfileFolder], words: Vocabulary, granted: Sequence[str], trusts: Trusts
    ) -> None:
        self._folders = folders
        self._trusts = trusts
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
        """From the nearest folder that has it. One that hides the person's own needs trust, as a workflow does."""
        passed_over: list[str] = []
        for place, folder in enumerate(self._folders):
            if folder.problem:
                passed_over.append(folder.problem)
                continue
            content = folder.read(name)
            if content is None:
                continue
            where = f"{folder.shown}/{name}.md"
            if (found := _hiding(self._folders, place, name, content, self._trusts)) is not None:
                raise ConfigError(
                    f"{where} takes the name of your own, {found.hides}; `vibe trust` lets it have that name, or "
                    "rename one of them"
                )
            profile = parse_profile(name, where, content, self._words)
            return replace(profile, notes=(*passed_over, *profile.notes))
        return None

    def _unknown(self, name: str) -> str:
        known = {each for folder in self._folders for each in folder.names()}
        places = ", ".join(folder.shown for folder in self._folders)
        left_out = "".join(f"; {folder.problem}" for folder in self._folders if folder.problem)
        return f"agent: no profile `{name}` in {places}; {did_you_mean(name, known)}{left_out}"
