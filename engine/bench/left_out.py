"""What a copy does not hold, by name: files that whoever works in it would run, or be configured by."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..agents.tools.descent import open_parent
from ..agents.tools.secrets import folded
from ..agents.tools.workspace import visible
from ..errors import ToolFailed
from .copying import place_of
from .found import Kind, walk
from .removal import remove_folder

#: Whoever may not reach the project's history would take one that an earlier job, or a repository, left for it.
HISTORY = ".git"


class LeftOut:
    """Names of files and folders, in any folder and any case of letters; those that end in `*` begin so."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        known = {folded(name) for name in names}
        self._names = frozenset(name for name in known if not name.endswith("*"))
        self._prefixes = tuple(sorted(name[:-1] for name in known if name.endswith("*")))

    def holds(self, path: str) -> bool:
        """Whether it is one of them, or lies in one."""
        return any(name in self._names or name.startswith(self._prefixes) for name in folded(path).split("/"))

    def remove_from(self, top: str) -> None:
        """Whatever they are below `top`: no link is followed. Blocking, for a thread.

        Raises OSError, and ToolFailed for a folder that cannot be looked through: its files might still be opened.
        """
        unlisted: set[str] = set()
        uppermost = [each for each in walk(top, unlisted=unlisted) if self._is_uppermost(each.path)]
        if unlisted:
            raise ToolFailed(
                f"{top}: the folder `{visible(min(unlisted)) or '.'}` cannot be listed, so that it may hold what "
                "has to be left out; have its rights left as they are"
            )
        for found in uppermost:
            if found.kind is Kind.FOLDER:
                remove_folder(f"{top}/{found.path}")
                continue
            with open_parent(top, place_of(found.path + "/")) as (folder, name):
                os.unlink(name, dir_fd=folder)

    def _is_uppermost(self, path: str) -> bool:
        return self.holds(path) and not self.holds(path.rpartition("/")[0])
