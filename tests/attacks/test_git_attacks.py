"""What a hostile repository has git do: nothing. Each attack gets through to a git that is started as anyone would.

Two walls stand one behind the other, and each is tried without the other: the borrowed repository in `engine/git`, and
the confinement of the program that reads it.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from tests.attacks.git_attacks import ATTACKS, FORGED, SECRET, GitAttack, Trap
from tests.support.commands import PlainCommands
from tests.support.projects import Project
from tests.support.repositories import git, repository, write
from vibe_workflows.cli.commands import ConfinedCommands
from vibe_workflows.engine.errors import ToolDenied, ToolFailed
from vibe_workflows.engine.ports import Command, CommandRunner

linux = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


@dataclass(slots=True)
class Outcomes:
    """Of every attack: what showed of it without both walls, and behind each of them alone; and what git_diff said."""

    careless: dict[str, list[str]] = field(default_factory=dict)
    borrowed: dict[str, list[str]] = field(default_factory=dict)
    confined: dict[str, list[str]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    found = Outcomes()
    for number, attack in enumerate(ATTACKS):
        trap = _trap(tmp_path_factory.mktemp(f"git-{number}"))
        attack.make(trap)
        found.said[attack.name] = _careful(trap, PlainCommands(trap.project), attack.base)
        found.borrowed[attack.name] = _signs(trap, found.said[attack.name])
        trap.mark.unlink(missing_ok=True)
        if sys.platform == "linux":
            found.confined[attack.name] = _signs(trap, _careless(trap, _confined(trap.project), attack.base))
            trap.mark.unlink(missing_ok=True)
        # Last: this one may write to the repository.
        found.careless[attack.name] = _signs(trap, _careless(trap, PlainCommands(trap.project), attack.base))
    return found


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return _trap(tmp_path)


def _trap(folder: Path) -> Trap:
    repository(folder / "other", {"secret.txt": SECRET + "\n"})
    return Trap(folder)


def _confined(project: Path) -> CommandRunner:
    return ConfinedCommands(project, accepted="strong", environ=os.environ)


def _careless(trap: Trap, runner: CommandRunner, base: str) -> str:
    """`git diff` as anyone starts it, in the project."""
    program = runner.find("git")
    assert program is not None
    command = Command(argv=(program, "diff", base, "--"), timeout_s=30, output_bytes=1 << 20)

    async def main() -> str:
        end = await runner.run(command)
        return (end.stdout + end.stderr).decode(errors="replace")

    return trio.run(main)


def _careful(trap: Trap, runner: CommandRunner, base: str) -> str:
    project = Project(trap.project, commands=runner)
    try:
        return project.call("git_diff", base=base).text
    except ToolFailed as error:
        return error.message


def _signs(trap: Trap, said: str) -> list[str]:
    return [text for text in (SECRET, FORGED) if text in said] + ["the mark"] * trap.mark.exists()


@every_attack
def test_an_attack_gets_through_to_a_git_that_is_started_as_anyone_would(outcomes: Outcomes, attack: GitAttack) -> None:
    assert outcomes.careless[attack.name]


@every_attack
def test_a_borrowed_repository_stops_it_without_any_confinement(outcomes: Outcomes, attack: GitAttack) -> None:
    assert not outcomes.borrowed[attack.name]
    assert attack.says in outcomes.said[attack.name]


@linux
@pytest.mark.parametrize("attack", [each for each in ATTACKS if each.confined], ids=lambda attack: attack.name)
def test_confinement_stops_it_without_a_borrowed_repository(outcomes: Outcomes, attack: GitAttack) -> None:
    assert not outcomes.confined[attack.name]


VARIABLES = {
    "GIT_EXTERNAL_DIFF": "EVIL",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.fsmonitor",
    "GIT_CONFIG_VALUE_0": "EVIL",
    "GIT_DIR": "OTHER/.git",
}


@linux
def test_variables_of_the_environment_do_not_reach_git(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(trap.project, {"a.txt": "one\n"})
    write(trap.project, "a.txt", "changed\n")
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value.replace("EVIL", trap.evil).replace("OTHER", str(trap.other)))
    handed_on = PlainCommands(trap.project, environ=os.environ)
    assert SECRET in _careless(trap, handed_on, "HEAD") or trap.mark.exists(), "without the allowlist"
    trap.mark.unlink(missing_ok=True)
    assert "+changed" in _careful(trap, _confined(trap.project), "HEAD")
    assert not trap.mark.exists()


@pytest.mark.parametrize(
    "base",
    ["--output=MARK", "-O/etc/passwd", "--no-index", "HEAD:a.txt", "HEAD..main", "main@{yesterday}", ":/first", "a b",
     "HEAD^{/first}", "", "-", "\n", "HEAD\n--output=MARK"],
)  # fmt: skip
def test_a_revision_is_never_an_option_or_more_than_a_commit(trap: Trap, base: str) -> None:
    repository(trap.project, {"a.txt": "one\n"})
    project = Project(trap.project)
    with pytest.raises(ToolDenied, match="give one commit, branch or tag"):
        project.call("git_diff", base=base.replace("MARK", str(trap.mark)))
    assert not trap.mark.exists()


def test_an_option_as_a_revision_gets_through_without_its_guards(trap: Trap) -> None:
    repository(trap.project, {"a.txt": "one\n"})
    write(trap.project, "a.txt", "changed\n")
    _careless(trap, PlainCommands(trap.project), f"--output={trap.mark}")
    assert trap.mark.exists()


@pytest.mark.parametrize("path", [":(top)", ":!a.txt", ":/", "--cached", "-p", "*.txt"])
def test_a_path_is_never_an_option_or_a_pattern(trap: Trap, path: str) -> None:
    repository(trap.project, {"a.txt": "one\n"})
    write(trap.project, "a.txt", "changed\n")
    with pytest.raises(ToolFailed, match="no such file or folder"):
        Project(trap.project).call("git_diff", path=path)


@pytest.mark.parametrize("path", ["../other", "/etc", ".git", ".env", "link/x"])
def test_a_path_out_of_the_project_or_to_a_secret_is_denied(trap: Trap, path: str) -> None:
    repository(trap.project, {"a.txt": "one\n"})
    (trap.project / "link").symlink_to(trap.other)
    with pytest.raises(ToolDenied):
        Project(trap.project).call("git_diff", path=path)


def test_a_link_in_the_place_of_a_file_or_folder_is_not_followed(trap: Trap) -> None:
    repository(trap.project, {"a.txt": "one\n", "folder/secret.txt": "mine\n"})
    (trap.project / "a.txt").unlink()
    (trap.project / "a.txt").symlink_to(trap.other / "secret.txt")
    (trap.project / "folder/secret.txt").unlink()
    (trap.project / "folder").rmdir()
    (trap.project / "folder").symlink_to(trap.other)
    result = Project(trap.project).call("git_diff")
    assert SECRET not in result.text
    assert "type changed +1 -1 a.txt" in result.text
    assert "deleted +0 -1 folder/secret.txt" in result.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user_is_read_and_believed_in_nothing(trap: Trap) -> None:
    repository(trap.project, {"a.txt": "one\n"})
    write(trap.project, "a.txt", "changed\n")
    git(trap.project, "config", "core.fsmonitor", trap.evil)
    for path in [trap.project, *trap.project.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    assert "+changed" in _careful(trap, PlainCommands(trap.project), "HEAD")
    assert not trap.mark.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user_above_the_project_does_not_count(trap: Trap) -> None:
    repository(trap.folder / "shared", {"project/a.txt": FORGED})
    os.chown(trap.folder / "shared/.git", 12345, 12345)
    with pytest.raises(ToolFailed, match="belongs to another user"):
        Project(trap.folder / "shared/project").call("git_diff")
    os.chown(trap.folder / "shared/.git", 0, 0)
    (trap.folder / "shared/project/a.txt").unlink()
    assert FORGED in Project(trap.folder / "shared/project").call("git_diff").text, "with its owner believed"


@linux
def test_a_project_does_not_bring_its_own_programs(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(trap.project, {"a.txt": "one\n"})
    (trap.project / "git").symlink_to(trap.evil)
    elsewhere = trap.folder / "bin"
    elsewhere.mkdir()
    (elsewhere / "git").symlink_to(trap.evil)
    real = os.environ["PATH"]
    for path in (f"{trap.project}:{real}", f".:{real}"):
        monkeypatch.chdir(trap.project)
        found = ConfinedCommands(trap.project, accepted="strong", environ={"PATH": path}).find("git")
        assert found is not None
        assert not os.path.realpath(found).startswith(str(trap.project))
    assert ConfinedCommands(trap.project, accepted="strong", environ={"PATH": str(elsewhere)}).find("git") is None
    (elsewhere / "git").unlink()
    shutil.copy(trap.evil, elsewhere / "git")
    monkeypatch.chdir(elsewhere)
    found = ConfinedCommands(trap.project, accepted="strong", environ={"PATH": f".:{real}"}).find("git")
    assert found is not None
    assert not os.path.samefile(found, elsewhere / "git"), "wherever vibe is started"
