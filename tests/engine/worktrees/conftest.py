"""A project for the steps that work in worktrees of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.whole_runs import RunProject, new_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    return new_project(tmp_path, monkeypatch)
