"""`kill -9` of runs whose steps run commands that change several files: each command's changes are made once, or never.

A command adds a line to each of its files, so that one that ran twice on its own changes would show; so would one of
which a part was lost.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.support.crash_world import Costs, Course
from tests.support.edit_stories import EditStory
from tests.support.edit_world import EditWorld
from tests.support.fork_server import Server
from tests.support.memory_folder import memory_folder

#: Points of a command whose changes are on their way, each at its first and at a later time.
POINTS = (
    *("before INSERT INTO changes", "after INSERT INTO changes", "before INSERT INTO looks", "after INSERT INTO looks"),
    *(
        "before rename of an edit",
        "after rename of an edit",
        "before sync of an edit",
        "before INSERT INTO changes, done",
    ),
    *("before COMMIT", "after COMMIT"),
)
FILES = ("a.txt", "b.txt", "c.txt")


def a_story() -> EditStory:
    """A command beside an edit in one turn, a command that follows on what both did, and one that a script runs."""
    story = EditStory()
    for path in FILES:
        story.has(path)
    tools = ("read", "write", "command")
    turn = [story.edit("a.txt"), story.command(*FILES), story.read("b.txt"), story.command("b.txt", "c.txt")]
    story.alone(story.agent([turn, [story.read("c.txt")], [story.command("a.txt", "b.txt")]], tools=tools))
    story.alone(story.tool(story.command(*FILES)))
    return story


def new_world(server: Server, folder: Path, story: EditStory, course: Course | None, costs: Costs) -> EditWorld:
    place = Path(tempfile.mkdtemp(dir=folder))
    return EditWorld(server, place, story, course=course, costs=costs, allow="write,command")


def left_behind(world: EditWorld) -> set[str]:
    """But for what is known of the project's files, whose name is the project's."""
    return {path for path in world.left_behind() if not path.startswith(".cache/vibe/trees/")}


def test_a_kill_at_every_point_of_a_command_leaves_all_of_its_changes_made_once(server: Server) -> None:
    story, costs = a_story(), Costs()
    with memory_folder() as folder:
        undisturbed = new_world(server, folder, story, None, costs)
        course = undisturbed.learn()
        world = new_world(server, folder, story, course, costs)
        moments = [*((point, 1) for point in POINTS), *((point, 3) for point in POINTS if "rename" in point)]
        for moment in moments:
            if not world.run(die_at=moment).killed:
                assert left_behind(world) == left_behind(undisturbed)
                world = new_world(server, folder, story, course, costs)
                assert world.run(die_at=moment).killed, moment
        world.run()
        assert left_behind(world) == left_behind(undisturbed)
    assert costs.kills == len(moments)
