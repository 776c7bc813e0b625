"""A repository that would have git start its programs, or say another one's secrets, gets neither from a worktree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.git_attacks import ATTACKS, FORGED, SECRET, GitAttack, Trap
from tests.support.deeds import isolated, read, write
from tests.support.repositories import git, repository
from tests.support.whole_runs import RunProject, new_project
from vibe_workflows.engine.model import Role

from .conftest import Lab

#: Of each kind one; `tests/attacks` has all of them against the tool that asks git.
CHOSEN = [attack for attack in ATTACKS if attack.name in ("info/attributes", "include.path", "alternates")]


@pytest.fixture
def trapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Lab, Trap]:
    project = new_project(tmp_path, monkeypatch)
    (project.folder / "vibe.yaml").unlink()
    repository(tmp_path / "other", {"secret.txt": SECRET + "\n"})
    return Lab(project), Trap(tmp_path)


def told(project: RunProject) -> str:
    return "\n".join(m.text for m in project.backend.requests[-1].messages if m.role is Role.TOOL)


@pytest.mark.parametrize("attack", CHOSEN, ids=lambda attack: attack.name)
def test_nothing_is_started_and_nothing_is_said(trapped: tuple[Lab, Trap], attack: GitAttack) -> None:
    lab, trap = trapped
    attack.make(trap)
    call = isolated([["git_diff", {}], ["list_files", {}], read("a.txt")], [write("made.txt", "made\n")])
    lab.result(f"return await {call}")
    assert lab.read("made.txt") == "made\n"
    assert not trap.mark.exists()
    assert SECRET not in told(lab.project)
    assert FORGED not in told(lab.project)


def test_links_out_of_the_project_lead_nowhere_and_submodules_are_folders(lab: Lab, tmp_path: Path) -> None:
    inner = repository(tmp_path / "inner", {"in.txt": "inner\n"})
    root = repository(lab.project.folder, {"a.txt": "one\n"})
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    (tmp_path / "secret").write_text(SECRET)
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to("../secret")
    heads = git(root, "for-each-ref")
    looks = [read("out"), read("up"), write("out", "x"), write("up", "x"), read("sub/in.txt")]
    call = isolated(looks, [write("sub/new.txt", "new\n"), write(".git/hooks/post-checkout", "x"), write(".env", "x")])
    lab.result(f"return await {call}")
    assert SECRET not in told(lab.project)
    assert (tmp_path / "secret").read_text() == SECRET
    assert "inner" in told(lab.project)
    assert lab.read("sub/new.txt") == "new\n"
    assert not (root / ".git/hooks/post-checkout").exists()
    assert not (root / ".env").exists()
    assert git(root, "for-each-ref") == heads
    assert not (root / ".git/worktrees").exists()
