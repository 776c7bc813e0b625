"""A project for the steps that work in worktrees of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.deeds import do
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.engine.backends.scripted import Script
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.sandbox import confine

WRITE = {"allow": ("write",)}


@dataclass
class Lab:
    """A project, and runs of scripts in it that are given as the lines of `main`."""

    project: RunProject

    def write(self, path: str, content: str) -> None:
        self.project.write(path, content)

    def read(self, path: str) -> str:
        return (self.project.folder / path).read_text()

    def lies(self, path: str) -> bool:
        return (self.project.folder / path).exists()

    def run(self, *lines: str, answer: Script = do, **wanted: Any) -> RunReport:
        return self.project.run(body(*lines), answer, **{"flags": WRITE, **wanted})

    def result(self, *lines: str, answer: Script = do, **wanted: Any) -> Any:
        return self.project.result(body(*lines), answer, flags=WRITE, **wanted)

    @property
    def asked(self) -> int:
        return self.project.asked


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(confine, "hide_this_process", lambda: None)  # hiding that of the tests would last
    return Lab(new_project(tmp_path, monkeypatch))
