"""What the person lets commands of agents see, beside what all of them do."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from vibe_workflows.cli.jobs import ConfinedJobs
from vibe_workflows.engine.ports import Ground, Job


def shown(jobs: ConfinedJobs, folder: Path, *argv: str) -> tuple[int | None, bytes]:
    end = trio.run(lambda: jobs.run(Job(argv=argv, timeout_s=30.0), Ground(folder=str(folder))))
    return end.exit_code, end.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "note.txt").write_text("seen")
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def test_a_folder_of_the_config_is_read_by_commands_and_no_other_one_beside_it(project: Path) -> None:
    note = project.parent / "tools" / "note.txt"
    hidden = ConfinedJobs(accepted="weak")
    assert shown(hidden, project, "cat", str(note))[1] == b""
    seen = ConfinedJobs(accepted="weak", readable=[note.parent])
    assert shown(seen, project, "cat", str(note)) == (0, b"seen")
    assert shown(seen, project, "cp", str(note), str(note.parent / "more"))[0] != 0


def test_a_variable_of_the_config_reaches_commands_and_no_other_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "secret")
    jobs = ConfinedJobs(accepted="weak", environment={"FLAVOUR": "mint"})
    code, out = shown(jobs, project, "env")
    assert code == 0
    assert b"FLAVOUR=mint" in out
    assert b"secret" not in out
