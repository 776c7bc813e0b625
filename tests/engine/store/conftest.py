"""Where the tests of the store keep theirs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a store that is not there yet, in a project that is not there yet."""
    return tmp_path / "project" / ".vibe" / "vibe.db"


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder in which this process, whoever runs it, is an ordinary user."""
    with tempfile.TemporaryDirectory(prefix="vibe-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "project" / ".vibe").mkdir(parents=True)
        if os.geteuid() == 0:
            for each in (folder, *folder.rglob("*")):
                os.chown(each, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder / "project"
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
            for each in folder.rglob("*"):
                each.chmod(0o700)
