"""A home, a project and the real locked checker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vibe_workflows.engine.config import Settings, load_settings
from vibe_workflows.sandbox.launcher import Zygote, start_zygote


class House:
    """Where workflows may lie: a project, and a user's home."""

    def __init__(self, root: Path) -> None:
        self.home, self.project = root / "home", root / "project"
        self.user_flows = self.home / ".config" / "vibe" / "workflows"
        self.user_flows.mkdir(parents=True)
        (self.project / ".git").mkdir(parents=True)

    def write(self, path: str, text: str = "return 1\n") -> Path:
        """A file below the project, or of the user: `~NAME.py`."""
        file = self.user_flows / path[1:] if path.startswith("~") else self.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def settings(self, **environ: str) -> Settings:
        return load_settings(cwd=self.project, environ={"HOME": str(self.home), **environ}, flags={})


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    held = start_zygote()
    try:
        yield held
    finally:
        held.close()


@pytest.fixture
def builtins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a file into a built-in folder that holds nothing else."""
    folder = tmp_path / "builtin"
    folder.mkdir()
    monkeypatch.setattr("vibe_workflows.catalog.discovery.BUILTIN_FOLDER", folder)

    def put(name: str) -> Path:
        (folder / name).write_text("return 0\n")
        return folder / name

    return put
