"""`kill -9` of a whole run, at every point where it writes and at random moments: nothing finished is lost.

The model has a log that no kill takes back. After each kill the database is sound, what was committed is there, and the
next run asks for no turn of it; in the end the result is that of a run that nobody disturbed.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from tests.support.crash_stories import FILES, random_tree
from tests.support.crash_world import Costs, CrashWorld, crash_server
from tests.support.fork_server import Server
from tests.support.memory_folder import memory_folder
from tests.support.reuse_world import Tree

#: Kills at random moments. test_edit_kill.py has more, of steps that read as well.
MOMENTS = int(os.environ.get("VIBE_CRASH_MOMENTS", "40"))
KILLS_A_STORY = 10

#: Points that come again and again while a run is at work.
OFTEN = (
    *("before BEGIN", "after BEGIN", "before COMMIT", "after COMMIT", "before INSERT INTO events"),
    *("before INSERT INTO steps", "after INSERT INTO steps", "before INSERT INTO observations"),
    *("before INSERT INTO turns", "after INSERT INTO turns", "before INSERT INTO tool_calls"),
    *("before INSERT INTO attempts", "before INSERT INTO deliveries", "before UPDATE steps"),
)
#: Points that must be among those that are found, or the test has lost sight of what it is for.
NAMED = {
    # A store is made, or brought up to date.
    *("open .gitignore.new", "os.rename .gitignore", "open vibe.db", "open stores.json.new", "os.rename stores.json"),
    *("before CREATE TABLE turns", "before ALTER TABLE turns", "after INSERT OR REPLACE INTO meta"),
    # A run is owned, and writes. After a COMMIT, nobody has been told yet.
    *("open RUN.lock", "os.remove RUN.lock"),
    *OFTEN,
    *("before INSERT INTO runs", "after INSERT INTO runs"),
    *("before INSERT INTO sources", "before INSERT INTO blobs"),
}


def a_seed() -> int:
    seed = random.randrange(2**32)
    print("seed", seed)
    return seed


def points_of(world: CrashWorld) -> Counter[str]:
    """The points of an undisturbed run, in the order of their first time."""
    log = world.folder / "points"
    assert world.run(points=str(log)).status == 0
    return Counter(log.read_text().splitlines())


def new_world(server: Server, folder: Path, tree: Tree, costs: Costs) -> CrashWorld:
    return CrashWorld(server, Path(tempfile.mkdtemp(dir=folder)), tree, FILES, costs=costs)


def test_a_kill_at_every_point_of_writing_loses_nothing(server: Server) -> None:
    """Each at its first time, one run after another on the same store, or on a new one where that is complete."""
    tree = random_tree(random.Random(a_seed()), 4)
    costs = Costs()
    with memory_folder() as folder:
        undisturbed = new_world(server, folder, tree, costs)
        points = points_of(undisturbed)
        assert not NAMED - set(points)
        world = new_world(server, folder, tree, costs)
        for point in points:
            if not world.run(die_at=(point, 1)).killed:
                assert world.left_behind() == undisturbed.left_behind()
                world = new_world(server, folder, tree, costs)
                assert world.run(die_at=(point, 1)).killed, point
        world.run()
        assert world.left_behind() == undisturbed.left_behind()
    print(costs)
    assert costs.kills == len(points)


def test_a_kill_at_the_end_of_a_run_costs_nothing(server: Server) -> None:
    """Everything is stored but the last row of the run; or that too, and its lock is there."""
    with memory_folder() as folder:
        world = CrashWorld(server, folder, random_tree(random.Random(a_seed()), 2), FILES)
        world.run()
        undisturbed = world.left_behind()
        for point in (("before INSERT INTO runs", 2), ("after INSERT INTO runs", 2), ("os.remove RUN.lock", 1)):
            assert world.run(die_at=point).killed
            assert world.left_behind() > undisturbed
            world.run()
            assert not world.asked()[0]
            assert world.left_behind() == undisturbed


def test_a_log_that_ends_anywhere_leaves_whole_transactions(server: Server) -> None:
    """As a loss of power may leave it: the database is sound, and holds what was committed up to there."""
    dice = random.Random(a_seed())
    with memory_folder() as folder:
        world = CrashWorld(server, folder, random_tree(dice, 3), FILES)
        assert world.run(die_at=("before INSERT INTO turns", 25)).killed
        log = world.store.with_name("vibe.db-wal")
        size = log.stat().st_size
        held = [world.committed]
        for end in sorted((dice.randrange(size) for _ in range(60)), reverse=True):
            os.truncate(log, end)
            held.append(world.committed_turns())
        assert all(after <= before for before, after in pairwise(held))
        assert len({each.total() for each in held}) > 2
        world.committed = held[-1]
        world.run()


def test_kills_at_random_moments_of_a_hundred_steps_lose_nothing() -> None:
    """Some stories at a time, each in processes of its own: the end of a sandbox takes time, and no work."""
    seeds = [random.randrange(2**32) for _ in range(-(-MOMENTS // KILLS_A_STORY))]
    with ThreadPoolExecutor(4) as threads:
        costs = list(threads.map(tell, seeds))
    print(*costs, sep="\n")
    assert sum(each.kills for each in costs) >= MOMENTS


def tell(seed: int) -> Costs:
    """Kill runs of a hundred steps again and again, until there were enough kills and no run is left unfinished."""
    print("seed", seed)
    dice = random.Random(seed)
    costs = Costs()
    with crash_server() as server:
        while costs.kills < KILLS_A_STORY:
            with memory_folder() as folder:
                concurrency = dice.choice((1, 4, 16))
                world = CrashWorld(server, folder, random_tree(dice, 10), FILES, concurrency=concurrency, costs=costs)
                while costs.kills < KILLS_A_STORY and kill_once(world, dice):
                    pass
                world.run()
                left = [name for name in world.left_behind() if name.endswith((".lock", ".new", "-wal", "-shm"))]
                assert not left
    return costs


def kill_once(world: CrashWorld, dice: random.Random) -> bool:
    """One run, killed at a random moment or at a random event. False: it came to its end before."""
    if dice.random() < 0.5:
        return world.run(die_at=(dice.choice(OFTEN), dice.randrange(2, 30)), latency_s=0.002).killed
    pid = world.start(latency_s=0.002)
    time.sleep(dice.random() * 0.3)  # the moment of the kill, not a wait for something
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    ended = world.wait(pid)
    world.check(ended)
    return ended.killed
