"""Edits on a disk that is full or read-only: the model is told, nothing is half written, and the chains say so."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.edit_stories import EditStory, Order
from tests.support.edit_world import EditWorld
from tests.support.fork_server import Server
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.errors import ExitCode
from vibe_workflows.engine.store.reader import open_reader


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as made:
        yield made


@contextmanager
def a_disk(folder: Path, size: str) -> Iterator[None]:
    """`folder` is a disk of its own."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a disk needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def fill(folder: Path) -> None:
    with suppress(OSError), (folder / "filler.bin").open("wb", buffering=0) as file:
        while file.write(bytes(2**12)):
            pass


def noise(size: int) -> str:
    return random.Random(1).randbytes(size // 2).hex()


def told(world: EditWorld) -> list[tuple[str, str]]:
    """Outcome and output of each tool call of the latest run, as the model saw them."""
    with closing(open_reader(world.store)) as reader:
        (run,) = reader.runs(1)
        calls = [call for step in reader.steps_of_run(run.id) for call in reader.tool_calls(step.id)]
    return [(call.outcome, call.output) for call in calls]


def on_a_disk(*orders: Order) -> EditStory:
    """One step that edits files of the folder `disk`, and one beside it."""
    story = EditStory()
    story.has("disk/a.txt")
    story.has("b.txt")
    story.alone(story.agent([[*orders, story.edit("b.txt")], [story.read("b.txt")]]))
    return story


def check_nothing_was_written(world: EditWorld) -> None:
    """But for the edit on the other disk."""
    assert world.changes() == [("b.txt", True)]
    lying = {path: content for path, (_, content) in world.lying().items() if "filler" not in path}
    assert lying == {"disk/a.txt": "begin\nend\n", "b.txt": "begin\nline 1\nend\n"}


@pytest.mark.parametrize(
    "order",
    [
        ("write_file", {"path": "disk/a.txt", "content": noise(100_000)}),
        ("write_file", {"path": "disk/new.txt", "content": noise(100_000)}),
        ("edit_file", {"path": "disk/a.txt", "old": "end", "new": noise(100_000)}),
    ],
)
def test_an_edit_on_a_full_disk_fails_and_its_agent_goes_on(server: Server, folder: Path, order: Order) -> None:
    with a_disk(folder / "project/disk", "64k"):
        world = EditWorld(server, folder, on_a_disk(order))
        fill(world.project / "disk")
        ended = world.unchecked_run()
        assert ended.outcome["exit_code"] == 0, ended.outcome
        path = order[1]["path"]
        assert ("error", f"Error: {path}: No space left on device") in told(world)
        check_nothing_was_written(world)


@pytest.mark.parametrize("path", ["disk/a.txt", "disk/new.txt", "disk/deep/new.txt"])
def test_an_edit_on_a_read_only_disk_fails_and_its_agent_goes_on(server: Server, folder: Path, path: str) -> None:
    with a_disk(folder / "project/disk", "64k"):
        world = EditWorld(server, folder, on_a_disk(("write_file", {"path": path, "content": "x\n"})))
        remount(world.project / "disk", "ro")
        ended = world.unchecked_run()
        assert ended.outcome["exit_code"] == 0, ended.outcome
        assert ("error", f"Error: {path}: Read-only file system") in told(world)
        check_nothing_was_written(world)


def test_a_tool_step_on_a_read_only_disk_fails_with_the_same_words(server: Server, folder: Path) -> None:
    story = EditStory()
    story.has("disk/a.txt")
    story.alone(story.tool(story.edit("disk/a.txt")))
    with a_disk(folder / "project/disk", "64k"):
        world = EditWorld(server, folder, story)
        remount(world.project / "disk", "ro")
        ended = world.unchecked_run()
        assert ended.outcome["exit_code"] == ExitCode.FAILED, ended.outcome
        assert "disk/a.txt: Read-only file system" in ended.outcome["error"]
        assert world.changes() == []
        remount(world.project / "disk", "rw")
        assert world.unchecked_run().outcome["exit_code"] == 0
        world.check_files()


def test_a_store_without_room_for_an_edit_ends_the_run_before_the_file_is_touched(server: Server, folder: Path) -> None:
    """Both contents are stored before the edit is made."""
    story = EditStory()
    story.has("big.txt", noise(900_000) + "\nend\n")
    story.alone(story.agent([[story.edit("big.txt")]]))
    with a_disk(folder / "project", "2m"):
        world = EditWorld(server, folder, story)
        ended = world.unchecked_run()
        assert ended.outcome["exit_code"] == ExitCode.STORE, ended.outcome
        assert "the disk is full" in ended.outcome["error"]
        assert world.lying()["big.txt"][1] == story.files["big.txt"]
        assert world.changes() == []
        world.committed = world.committed_turns()
        assert world.committed.total() == 1
        remount(world.project, "size=64m")
        assert world.unchecked_run().outcome["exit_code"] == 0
        assert world.asked()[0].total() == 1, "the turn of the edit is not asked for again"
        world.check_files()


def test_edits_that_are_made_again_are_all_made_or_none(server: Server, folder: Path) -> None:
    """The second of two files cannot be written: then the first one is as it was, when the step runs live."""
    story = EditStory()
    for path in ("a.txt", "disk/b.txt"):
        story.has(path)
    story.alone(story.agent([[story.edit("a.txt"), story.edit("disk/b.txt")]]))
    with a_disk(folder / "project/disk", "64k"):
        world = EditWorld(server, folder, story)
        world.learn()
        for path in ("a.txt", "disk/b.txt"):
            world.write(path, "begin\nend\n")
        remount(world.project / "disk", "ro")
        ended = world.unchecked_run()
        assert ended.outcome["exit_code"] == 0, ended.outcome
        lying = {path: content for path, (_, content) in world.lying().items()}
        assert lying == {"a.txt": "begin\nline 1\nend\n", "disk/b.txt": "begin\nend\n"}
        assert [outcome for outcome, _ in told(world)] == ["ok", "error"]
