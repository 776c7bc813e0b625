from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import FLOW, Command, CommandHere


@pytest.fixture
def vibe(tmp_path: Path) -> Command:
    """The command in an empty project that holds `flow.py`."""
    command = Command(tmp_path)
    command.write("flow.py", FLOW)
    return command


@pytest.fixture
def here(vibe: Command, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandHere:
    """The same command, run in this process."""
    return CommandHere(vibe, monkeypatch, capfd)
