"""Where this user's and this project's files are."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .errors import ConfigError

PROJECT_FILE = "vibe.yaml"
USER_FILE = "config.yaml"
_MARKERS = (".vibe", PROJECT_FILE, ".git")


class Places(NamedTuple):
    """All absolute; none of them need exist."""

    home: Path
    project_root: Path
    user_config_dir: Path
    state_dir: Path
    cache_dir: Path


def find_places(cwd: Path, environ: Mapping[str, str]) -> Places:
    """The folders that matter from `cwd`. Raises ConfigError where the user has no home."""
    home = _home(environ)
    cwd = Path(os.path.abspath(cwd))
    return Places(
        home=home,
        project_root=_project_root(cwd, home),
        user_config_dir=_user_folder(environ, "XDG_CONFIG_HOME", home / ".config"),
        state_dir=_user_folder(environ, "XDG_STATE_HOME", home / ".local" / "state"),
        cache_dir=_user_folder(environ, "XDG_CACHE_HOME", home / ".cache"),
    )


def _home(environ: Mapping[str, str]) -> Path:
    named = environ.get("HOME", "")
    if os.path.isabs(named):
        return Path(named)
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError as error:
        raise ConfigError(
            f"user {os.getuid()} has no home folder, and HOME is not an absolute path; set HOME: vibe keeps what you "
            "trust below it"
        ) from error


def _user_folder(environ: Mapping[str, str], variable: str, default: Path) -> Path:
    named = environ.get(variable, "")
    return (Path(named) if os.path.isabs(named) else default) / "vibe"  # a relative one is void, says the XDG standard


def _project_root(cwd: Path, home: Path) -> Path:
    """The nearest folder upwards that holds .vibe/, vibe.yaml or .git; else `cwd`.

    Beyond `cwd`, the home folder does not count (other tools keep a ~/.vibe), nor one that anybody may write (/tmp).
    """
    for folder in (cwd, *cwd.parents):
        if not any(os.path.lexists(folder / marker) for marker in _MARKERS):
            continue
        if folder == cwd or not (folder == home or os.stat(folder).st_mode & stat.S_IWOTH):
            return folder
    return cwd
