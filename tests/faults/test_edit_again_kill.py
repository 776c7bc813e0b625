"""`kill -9` where edits are made again, settled or withdrawn, and where a script starts over."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crash_world import Course
from tests.support.edit_stories import EditStory
from tests.support.edit_world import EditWorld
from tests.support.fork_server import Server
from tests.support.memory_folder import memory_folder
from tests.support.reuse_world import FLOW

#: Of edits that are made again: their intent, their writes, and the marks that they are done.
AGAIN = (
    *(("before INSERT INTO changes", 2), ("after INSERT INTO changes", 1), ("after UPDATE steps", 1)),
    *(("before rename of an edit", 1), ("after rename of an edit", 1), ("before rename of an edit", 2)),
    *(("after rename of an edit", 2), ("before rename of an edit", 3), ("before INSERT INTO changes, done", 1)),
    ("before INSERT INTO changes, done", 4),
)
#: Of a start that settles two edits which were not made, or not marked.
SETTLING = (
    *(("after open of an edit", 1), ("before rename of an edit", 1), ("after rename of an edit", 1)),
    *(("after rename of an edit", 2), ("before INSERT INTO changes, done", 1), ("after INSERT INTO changes", 1)),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as made:
        yield made


def story_of_two_files() -> EditStory:
    """Two files by one step, one of them by a later one, and a tool: whoever reverts all has them made again."""
    story = EditStory()
    for path in ("a.txt", "b.txt"):
        story.has(path)
    story.alone(story.agent([[story.read("a.txt")], [story.edit("a.txt"), story.edit("b.txt")]]))
    story.alone(story.agent([[story.edit("a.txt"), story.read("a.txt")]]))
    story.alone(story.tool(story.write("new/c.txt")))
    return story


def revert(world: EditWorld) -> None:
    """By hand, to what it was in the beginning."""
    world.unbroken = False
    for path, history in world.story.histories.items():
        if history[0] is None:
            (world.project / path).unlink(missing_ok=True)
        else:
            world.write(path, history[0])


def complete_world(server: Server, folder: Path) -> EditWorld:
    world = EditWorld(server, folder, story_of_two_files())
    world.learn()
    return world


def test_a_kill_between_the_writes_of_edits_that_are_made_again_leaves_each_made_once(
    server: Server, folder: Path
) -> None:
    world = complete_world(server, folder)
    for moment in AGAIN:
        revert(world)
        assert world.run(die_at=moment).killed, moment
        world.run()
        assert not world.asked()[0], moment
    assert world.costs.kills == len(AGAIN)


@pytest.mark.parametrize("left", [("before rename of an edit", 1), ("after rename of an edit", 1)])
def test_a_kill_while_an_earlier_one_is_settled_leaves_each_edit_made_once(
    server: Server, folder: Path, left: tuple[str, int]
) -> None:
    world = complete_world(server, folder)
    kills = 0
    for moment in SETTLING:
        revert(world)
        assert world.run(die_at=left).killed
        kills += world.run(die_at=moment).killed
        world.run()
        assert not world.asked()[0], moment
    assert kills == len(SETTLING), "each is a moment of settling, or of what follows"


def test_a_kill_behind_two_edits_of_one_file_that_are_made_again_leaves_both_in_its_chain(
    server: Server, folder: Path
) -> None:
    """Both intents are stored before the first write; the file shows the second edit alone."""
    story = EditStory()
    story.has("a.txt")
    story.alone(story.agent([[story.edit("a.txt"), story.edit("a.txt")]]))
    world = EditWorld(server, folder, story)
    world.learn()
    for number, point in enumerate(("before rename of an edit", "after rename of an edit") * 2):
        revert(world)
        assert world.run(die_at=(point, 1 + number // 2)).killed
        world.run()
        assert not world.asked()[0]
        assert world.changes() == [("a.txt", True)] * (4 + 2 * number)


def story_of_one_edit() -> EditStory:
    story = EditStory()
    story.has("a.txt")
    story.alone(story.agent([[story.edit("a.txt")], [story.read("a.txt")]]))
    return story


def killed_at_an_edit(server: Server, folder: Path, point: str = "before rename of an edit") -> EditWorld:
    """The intent is stored, and the file is as it was."""
    story = story_of_one_edit()
    course = EditWorld(server, Path(tempfile.mkdtemp(dir=folder)), story).learn()
    world = EditWorld(server, Path(tempfile.mkdtemp(dir=folder)), story, course=course)
    assert world.run(die_at=(point, 1)).killed
    assert world.changes() == [("a.txt", False)]
    return world


WITHDRAWING = ("before DELETE FROM tool_calls", "before DELETE FROM changes", "after DELETE FROM changes", None)


@pytest.mark.parametrize("point", WITHDRAWING)
def test_an_edit_that_a_hand_overtook_is_withdrawn_and_made_on_what_the_hand_left(
    server: Server, folder: Path, point: str | None
) -> None:
    world = killed_at_an_edit(server, folder)
    world.write("a.txt", "by hand\nend\n")
    world.story.histories["a.txt"] += ["by hand\nend\n", "by hand\nline 1\nend\n"]
    if point is not None:
        assert world.unchecked_run(die_at=(point, 1)).killed
        assert not world.asked()[0]
    ended = world.unchecked_run()
    assert ended.outcome["exit_code"] == 0, ended.outcome
    world.committed = world.committed_turns()
    assert world.asked()[0].total() == 2, "the turn of the edit is not asked for again"
    world.check_files()
    assert world.changes() == [("a.txt", True)]


def test_a_run_that_may_not_write_withdraws_an_edit_and_the_next_one_makes_it(server: Server, folder: Path) -> None:
    world = killed_at_an_edit(server, folder)
    world.write("other.py", "async def main(args):\n    return 1\n")
    world.story.has("other.py", "async def main(args):\n    return 1\n")
    assert world.unchecked_run(allow="", flow="other.py").outcome["result"] == 1
    assert world.changes() == []
    assert world.lying().keys() == {"a.txt", "other.py"}
    world.run()


# ---------------------------------------------------------------- starting over

#: Of a run whose script starts over: when what is adopted comes to light, and behind it.
OVER = (
    *(("before INSERT INTO turns", 2), ("before DELETE FROM deliveries", 1), ("after DELETE FROM deliveries", 1)),
    *(("before rename of an edit", 1), ("after rename of an edit", 1), ("before INSERT INTO runs", 2)),
)


def story_of_an_adoption(words: str) -> EditStory:
    """A look, a review in some words, and an edit of what both have read."""
    story = EditStory()
    story.has("a.txt")
    story.has("b.txt")
    story.alone(story.agent([[story.read("a.txt")]], takes='""', name="look"))
    story.alone(story.agent([[story.read("b.txt")], [story.read("a.txt")]], takes='""', name=words))
    story.alone(story.agent([[story.edit("a.txt")], [story.read("a.txt")]], takes='""', name="edit"))
    return story


def reworded(server: Server, folder: Path, course: Course | None = None) -> EditWorld:
    """A complete run, whose script has other words by now."""
    world = EditWorld(server, Path(tempfile.mkdtemp(dir=folder)), story_of_an_adoption("one"))
    world.learn()
    world.starts_over = True
    world.write(FLOW, story_of_an_adoption("other").source)
    world.story.histories["a.txt"].append("begin\nline 1\nline 1\nend\n")  # the edit runs again, on what it made
    if course is not None:
        world._course = course
    return world


def test_a_script_that_starts_over_and_is_killed_comes_to_the_same_end(server: Server, folder: Path) -> None:
    undisturbed = reworded(server, folder)
    log = folder / "points"
    ended = undisturbed.unchecked_run(points=str(log))
    course = undisturbed.learn_more(ended)
    assert "before DELETE FROM deliveries" in log.read_text()
    for moment in OVER:
        world = reworded(server, folder, course)
        assert world.run(die_at=moment).killed, moment
        world.run()
        assert world.left_behind() == undisturbed.left_behind()
