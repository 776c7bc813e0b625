"""The environment of a command: an allowlist, never what is left after taking secrets out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final

from .paths import holds

_KEPT: Final = frozenset({"PATH", "LANG", "LANGUAGE", "TERM", "TZ", "NO_COLOR", "SOURCE_DATE_EPOCH"})
_FALLBACK_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
USER_NAME: Final = "user"
#: The system's git configuration is not shown, and one that is there but closed is an error to git.
_GIT: Final = {"GIT_CONFIG_NOSYSTEM": "1"}
#: Python takes compiled code for that of a file of the same size and the same second. An agent that edits a file twice
#: within one, with its tests between, would have them judge what it has mended already.
_PYTHON: Final = {"PYTHONDONTWRITEBYTECODE": "1"}


def command_environment(ours: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """What a command gets of our environment, and `extra`. HOME and the temporary folder come from the supervisor."""
    kept = {name: value for name, value in ours.items() if name in _KEPT or name.startswith("LC_")}
    return {"PATH": _FALLBACK_PATH, "USER": USER_NAME, "LOGNAME": USER_NAME, **_GIT, **_PYTHON, **kept, **extra}


def path_entries(path: str, *, private: Iterable[str]) -> list[str]:
    """The folders of a PATH that may be shown, resolved: absolute, there, and around none of the `private` ones."""
    entries = [entry for entry in path.split(os.pathsep) if os.path.isabs(entry) and os.path.isdir(entry)]
    found = [os.path.realpath(entry) for entry in entries]
    return [entry for entry in dict.fromkeys(found) if not any(holds(entry, each) for each in private)]
