"""Benches as the command line opens them: from the settings, late, and after what others left."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import trio
from msgspec.structs import replace

from tests.support.benches import shell
from tests.support.checking import PlainChecker
from tests.support.config_place import Place
from tests.support.memory_folder import memory_folder
from vibe_workflows.cli.benches import LazyBenches, open_benches
from vibe_workflows.cli.working import Trees
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.ports import OwnProgram
from vibe_workflows.sandbox import confine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")


@pytest.fixture
def settings() -> Iterator[Settings]:
    with memory_folder() as folder:
        place = Place(folder)
        place.user("worktree: {setup: [[touch, ready]]}\nsandbox: {accept: weak}")
        (place.project / ".gitignore").write_text("ready\ntools\n")
        (place.project / "tools").mkdir()
        (place.project / "tools/version").write_text("1")
        place.vibe_yaml("worktree: {link: [tools]}")
        yield place.load()


def _left(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.cache_dir.glob("snapshots/*"))


def _open(settings: Settings) -> tuple[Workspace, Trees]:
    workspace = Workspace(settings.project_root, PlainChecker())
    return workspace, Trees(workspace, settings.cache_dir)


def test_benches_have_what_the_settings_say_and_leave_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "hide_this_process", lambda: True)  # it lasts, and the tests look into theirs

    async def main() -> None:
        async with open_benches(settings, *_open(settings)) as benches:
            async with benches.project.working(shell("echo new > new"), {}) as worked:
                assert [made.path for made in worked.files] == ["new"]
            async with (
                benches.worktrees.open() as worktree,
                worktree.bench.working(shell("ls ready; cat tools/version; echo 2 > tools/version"), {}) as worked,
            ):
                assert worked.end.stdout == b"ready\n1"
            own = replace(shell("cat tools/version"), own=OwnProgram(environ={}))
            async with benches.project.working(own, {}) as worked:
                assert worked.end.stdout == b"1"
            async with benches.worktrees.open() as worktree, worktree.bench.working(own, {}) as worked:
                assert worked.end.stdout == b"1"
            assert len(_left(settings)) == 1

    trio.run(main)
    assert _left(settings) == []
    assert (settings.project_root / "tools/version").read_text() == "1"


def test_what_the_dead_left_goes_when_benches_are_opened_and_nothing_comes_before_one_is_used(
    settings: Settings,
) -> None:
    dead = settings.cache_dir / "snapshots" / "project" / "owner"
    dead.mkdir(parents=True)
    (dead / "lock").touch()
    (dead / "1").mkdir()

    async def main() -> None:
        async with open_benches(settings, *_open(settings)) as benches:
            assert isinstance(benches, LazyBenches)
            assert _left(settings) == []

    trio.run(main)
    assert _left(settings) == []
