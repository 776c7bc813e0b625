"""Programs that read the project for a tool: which walls they need, and what they get."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.projects import Project
from tests.support.repositories import repository, write
from vibe_workflows.cli.commands import ConfinedCommands
from vibe_workflows.engine.errors import CommandUnavailable, ToolFailed
from vibe_workflows.engine.ports import Command
from vibe_workflows.sandbox import confine
from vibe_workflows.sandbox.confine.layers import SECCOMP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")

LEVELS = {
    "strong": confine.ALL_LAYERS,
    "good": confine.FLOOR_LAYERS,
    "weak": confine.FLOOR_LAYERS - {SECCOMP},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = repository(tmp_path / "project", {"a.txt": "one\n"})
    write(root, "a.txt", "changed\n")
    return root


def _held_by(monkeypatch: pytest.MonkeyPatch, layers: Iterable[str]) -> None:
    monkeypatch.setattr(confine, "run_confined", partial(confine.run_confined, layers=frozenset(layers)))


def _diff(root: Path, accepted: str) -> Any:
    commands = ConfinedCommands(root, accepted=accepted, environ=os.environ)
    return Project(root, commands=commands).call("git_diff").text


@pytest.mark.parametrize(
    ("level", "accepted", "runs"),
    [
        ("strong", "strong", True),
        ("good", "strong", True),
        ("good", "good", True),
        ("weak", "strong", False),
        ("weak", "good", False),
        ("weak", "weak", True),
    ],
)
def test_good_is_enough_to_read_a_repository_and_weak_takes_the_persons_word(
    root: Path, monkeypatch: pytest.MonkeyPatch, level: str, accepted: str, runs: bool
) -> None:
    _held_by(monkeypatch, LEVELS[level])
    if runs:
        assert "+changed" in _diff(root, accepted)
        return
    with pytest.raises(ToolFailed, match=r"git cannot be run here: commands are confined to level weak here"):
        _diff(root, accepted)


@pytest.mark.parametrize("level", ["strong", "good"])
def test_a_program_reads_the_project_and_what_it_is_shown_and_writes_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    _held_by(monkeypatch, LEVELS[level])
    monkeypatch.setenv("API_KEY", "secret")
    write(tmp_path, "shown", "shown\n")
    write(tmp_path, "hidden", "hidden\n")
    script = (
        f"pwd; cat a.txt {tmp_path}/shown {tmp_path}/hidden; echo $API_KEY $MINE; "
        f"echo x > a.txt; echo x > new; echo x > {tmp_path}/new"
    )
    command = Command(
        argv=("/bin/sh", "-c", script),
        readable=(str(tmp_path / "shown"),),
        environment={"MINE": "mine"},
        timeout_s=30,
        output_bytes=1000,
    )
    end = trio.run(ConfinedCommands(root, accepted="strong", environ=os.environ).run, command)
    assert end.stdout.decode() == f"{root}\nchanged\nshown\nmine\n"
    assert end.level == level
    assert (root / "a.txt").read_text() == "changed\n"
    assert not (root / "new").exists()
    assert not (tmp_path / "new").exists()


def test_a_program_that_is_not_there_is_an_error(root: Path) -> None:
    commands = ConfinedCommands(root, accepted="strong", environ=os.environ)
    assert commands.find("no-such-program") is None
    command = Command(argv=("/no/such/program",), timeout_s=30, output_bytes=1000)
    with pytest.raises(CommandUnavailable, match="did not start"):
        trio.run(commands.run, command)


def test_a_fan_out_of_programs_takes_turns(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0

    async def slow(_argv: object, **_options: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1

    async def main() -> None:
        commands = ConfinedCommands(root, accepted="strong", environ=os.environ)
        command = Command(argv=("x",), timeout_s=30, output_bytes=1000)
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(commands.run, command)

    monkeypatch.setattr(confine, "run_confined", slow)
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert most == 8
