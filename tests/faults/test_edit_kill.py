"""`kill -9` of runs whose steps edit files: in the end, the files and the result are those of an undisturbed run.

After each kill every file holds what it held before or after some edit. What goes on asks for no finished turn again,
and makes no edit twice: each adds a line of its own.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tests.support.crash_world import Costs, Course, crash_server
from tests.support.edit_stories import EditStory, editing_story
from tests.support.edit_world import EditWorld
from tests.support.fork_server import Server
from tests.support.memory_folder import memory_folder

#: Kills at random moments.
MOMENTS = int(os.environ.get("VIBE_CRASH_MOMENTS", "200"))
KILLS_A_STORY = 50

#: Points that come with every edit.
OF_AN_EDIT = (
    *("before INSERT INTO changes", "after INSERT INTO changes", "before INSERT INTO tool_calls"),
    *("before INSERT INTO changes, done", "before sync of an edit"),
    *("after open of an edit", "before rename of an edit", "after rename of an edit"),
    *("before COMMIT", "after COMMIT", "before INSERT INTO turns", "before INSERT INTO steps"),
)


def a_seed() -> int:
    seed = random.randrange(2**32)
    print("seed", seed)
    return seed


def new_world(server: Server, folder: Path, story: EditStory, course: Course | None, costs: Costs) -> EditWorld:
    return EditWorld(server, Path(tempfile.mkdtemp(dir=folder)), story, course=course, costs=costs)


def test_a_kill_at_every_point_of_an_edit_leaves_it_made_once(server: Server) -> None:
    """Early and late, one run after another on the same store, or on a new one where that is complete."""
    dice = random.Random(a_seed())
    story = editing_story(dice, 3)
    costs = Costs()
    with memory_folder() as folder:
        undisturbed = new_world(server, folder, story, None, costs)
        course = undisturbed.learn()
        world = new_world(server, folder, story, course, costs)
        moments = [(point, time) for time in (1, dice.randrange(2, 8)) for point in OF_AN_EDIT]
        for moment in moments:
            if not world.run(die_at=moment).killed:
                assert world.left_behind() == undisturbed.left_behind()
                world = new_world(server, folder, story, course, costs)
                assert world.run(die_at=moment).killed, moment
        world.run()
        assert world.left_behind() == undisturbed.left_behind()
    print(costs)
    assert costs.kills == len(moments)


def test_a_turn_with_several_edits_that_is_killed_behind_each_of_them_makes_each_once(server: Server) -> None:
    """So that it is gone on with again and again, without a turn of its own in between."""
    story = EditStory()
    for path in ("a.txt", "b.txt"):
        story.has(path)
    turn = [story.read("a.txt"), *(story.edit(path) for path in ("a.txt", "b.txt", "a.txt", "b.txt"))]
    story.alone(story.agent([turn, [story.read("a.txt"), story.read("b.txt")]]))
    with memory_folder() as folder:
        course = new_world(server, folder, story, None, Costs()).learn()
        for moment, kills in ((("after rename of an edit", 1), 4), (("before rename of an edit", 2), 3)):
            world = new_world(server, folder, story, course, Costs())
            while world.run(die_at=moment).killed:
                pass
            assert world.costs.kills == kills


def test_kills_at_random_moments_of_a_hundred_steps_with_edits_lose_nothing_and_repeat_nothing() -> None:
    seeds = [random.randrange(2**32) for _ in range(-(-MOMENTS // KILLS_A_STORY))]
    with ThreadPoolExecutor(4) as threads:
        costs = list(threads.map(tell, seeds))
    print(*costs, sep="\n")
    assert sum(each.kills for each in costs) >= MOMENTS


def tell(seed: int) -> Costs:
    """Kill runs of one story again and again, in one project after another, and let each come to its end."""
    print("seed", seed)
    dice = random.Random(seed)
    story = editing_story(dice, 10)
    costs = Costs()
    with crash_server() as server, memory_folder() as folder:
        undisturbed = new_world(server, folder, story, None, costs)
        course = undisturbed.learn()
        while costs.kills < KILLS_A_STORY:
            world = new_world(server, folder, story, course, costs)
            world.concurrency = dice.choice((1, 4, 16))
            while costs.kills < KILLS_A_STORY and kill_once(world, dice):
                pass
            world.run()
            assert world.left_behind() == undisturbed.left_behind()
    return costs


def kill_once(world: EditWorld, dice: random.Random) -> bool:
    """One run, killed at a random moment or at a random event. False: it came to its end before."""
    if dice.random() < 0.5:
        return world.run(die_at=(dice.choice(OF_AN_EDIT), dice.randrange(2, 30)), latency_s=0.002).killed
    pid = world.start(latency_s=0.002)
    time.sleep(dice.random() * 0.4)  # the moment of the kill, not a wait for something
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    ended = world.wait(pid)
    world.check(ended)
    return ended.killed
