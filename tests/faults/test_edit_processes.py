"""Several processes that edit the files of one project: each edit is whole, and none is lost without a word."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.crash_world import Ended
from tests.support.edit_stories import EditStory, Order
from tests.support.edit_world import EditWorld
from tests.support.fork_server import Server
from tests.support.leaks import wait_until
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.store.reader import open_reader

OTHER = "other.py"


@pytest.fixture
def world(server: Server) -> Iterator[EditWorld]:
    """Its workflow edits a.txt by one step, and reads it by the next turn of that step."""
    story = EditStory()
    story.has("a.txt")
    story.alone(story.agent([[story.edit("a.txt")], [story.read("a.txt")]]))
    with memory_folder() as folder:
        yield EditWorld(server, folder, story)


def write_other(world: EditWorld, body: str) -> None:
    source = f"async def main(args):\n    return {body}\n"
    world.write(OTHER, source)
    world.story.has(OTHER, source)


def write_of(path: str, content: str) -> str:
    return f"await tool('write_file', path={path!r}, content={content!r})"


def stopped_at(world: EditWorld, point: str, name: str = "run", **more: Any) -> int:
    """A run that has come to a point, and stops there."""
    pid = world.start(name, stop_at=(point, 1), **more)
    assert wait_until(lambda: state_of(pid) == "T", 60)
    return pid


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def go_on(world: EditWorld, pid: int, name: str = "run") -> Ended:
    os.kill(pid, signal.SIGCONT)
    ended = world.wait(pid, name)
    assert ended.outcome["exit_code"] == 0, ended.outcome
    return ended


def run_other(world: EditWorld) -> Ended:
    ended = world.wait(world.start("other", flow=OTHER), "other")
    assert ended.outcome["exit_code"] == 0, ended.outcome
    return ended


def outputs(world: EditWorld) -> list[tuple[str, str]]:
    """Outcome and output of every call of a tool by an agent, in all runs."""
    with closing(open_reader(world.store)) as reader:
        steps = [step for run in reader.runs(10) for step in reader.steps_of_run(run.id)]
        return [(call.outcome, call.output) for step in steps for call in reader.tool_calls(step.id)]


@pytest.mark.parametrize("point", ["before sync of an edit", "before rename of an edit", "after rename of an edit"])
def test_the_edit_of_a_run_that_is_alive_is_settled_by_no_other_run(world: EditWorld, point: str) -> None:
    write_other(world, write_of("b.txt", "b\n"))
    world.story.histories["b.txt"] = [None, "b\n"]
    pid = stopped_at(world, point)
    lying = world.lying()["a.txt"]
    run_other(world)
    assert world.lying()["a.txt"] == lying
    assert world.changes() == [("a.txt", False), ("b.txt", True)]
    go_on(world, pid)
    world.check_files()
    assert outputs(world)[0][0] == "ok"


def test_an_edit_that_another_process_was_faster_with_fails_and_its_agent_sees_why(world: EditWorld) -> None:
    write_other(world, write_of("a.txt", "another\nend\n"))
    world.story.histories["a.txt"].append("another\nend\n")
    pid = stopped_at(world, "before sync of an edit")
    run_other(world)
    go_on(world, pid)
    (outcome, output), (_, read) = outputs(world)
    assert outcome == "error"
    assert "it changed while it was edited; nothing was written: read it again" in output
    assert "another" in read
    world.check_files()
    assert world.changes() == [("a.txt", True)]


def test_an_edit_that_was_overwritten_all_the_same_answers_no_rerun(world: EditWorld) -> None:
    """The process stood still between its last look at the file and the rename: the other one's edit is gone."""
    write_other(world, write_of("a.txt", "another\nend\n"))
    world.story.histories["a.txt"].append("another\nend\n")
    pid = stopped_at(world, "before rename of an edit")
    run_other(world)
    go_on(world, pid)
    assert world.lying()["a.txt"][1] == "begin\nline 1\nend\n"
    assert run_other(world).outcome["live"] == 1, "its edit is made again, now on what the first one left"
    assert world.lying()["a.txt"][1] == "another\nend\n"
    world.unbroken = False
    world.check_files()


def edits_of(name: str, count: int) -> list[Order]:
    return [("edit_file", {"path": "a.txt", "old": "end", "new": f"{name} {number};\nend"}) for number in range(count)]


def test_two_processes_that_edit_one_file_at_once_lose_no_edit_without_a_word(world: EditWorld) -> None:
    names = ("one", "two")
    for name in names:
        prompt = {"orders": [edits_of(f"{name} {turn}", 10) for turn in range(10)], "name": name}
        step = f"agent(json.dumps({prompt!r}), tools=['write'], retries=0)"
        world.write(f"{name}.py", f"async def main(args):\n    return await {step}\n")
    pids = {name: stopped_at(world, "after open of an edit", name, flow=f"{name}.py") for name in names}
    for pid in pids.values():  # both are about to replace what both have read
        os.kill(pid, signal.SIGCONT)
    for name, pid in pids.items():
        assert world.wait(pid, name).outcome["exit_code"] == 0
    said = outputs(world)
    made = [outcome for outcome, _ in said].count("ok")
    text = world.lying()["a.txt"][1]
    print(made, "of", len(said))
    assert len(said) == 200
    assert made < 200, "they did meet"
    assert text.count(";") == made, "each edit that was said to be made is there"
    assert all("it changed while it was edited" in output for outcome, output in said if outcome != "ok")
    assert len(world.changes()) == made
    assert all(done for _, done in world.changes())
    assert not [path for path in world.lying() if ".vibe-tmp-" in path]
