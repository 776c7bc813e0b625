"""Where the profiles of a project and of its user are, and which of them the user trusts."""

from __future__ import annotations

from pathlib import Path

from vibe_workflows.engine.agents.profile_folders import ProfileFolder
from vibe_workflows.engine.agents.profiles import (
    Examined,
    Hiding,
    Trusts,
    examine,
    hiding,
    profile_folders,
    vocabulary,
)
from vibe_workflows.engine.agents.tools.registry import BUILT_IN
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.trust import TrustKind, TrustStore


def folders_of_profiles(settings: Settings) -> tuple[ProfileFolder, ...]:
    return profile_folders(settings.project_root, settings.user_config_dir, Path.home())


def trust_in_profiles(settings: Settings) -> Trusts:
    trust = TrustStore(settings.state_dir)
    return lambda path, content: trust.trusts(TrustKind.PROFILE, path, content)


def hiding_profiles(settings: Settings) -> list[Hiding]:
    """The project's profiles that cannot be had before `vibe trust`."""
    return hiding(folders_of_profiles(settings), trust_in_profiles(settings))


def examine_profiles(settings: Settings) -> list[Examined]:
    """What is wrong with the profiles that could be named here, as far as no run is needed to tell."""
    return examine(folders_of_profiles(settings), vocabulary(BUILT_IN, settings.aliases))
