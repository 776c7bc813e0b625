"""Paths as a person would type them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Near(NamedTuple):
    """Where somebody stands, and where they live."""

    cwd: Path
    home: Path

    def path(self, path: Path) -> str:
        """Relative below the current folder, with `~` below the home folder, absolute elsewhere."""
        if path.is_relative_to(self.cwd):
            return os.path.relpath(path, self.cwd)
        if path.is_relative_to(self.home) and self.home != Path("/"):
            return str(Path("~") / path.relative_to(self.home))
        return str(path)
