"""Several processes at work on one database: each gets right results, and the database stays sound."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.crash_stories import FILES, random_tree
from tests.support.crash_world import CrashWorld, Ended
from tests.support.fork_server import Server
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.model import RunStatus
from vibe_workflows.engine.store.reader import open_reader


@pytest.fixture
def world(server: Server) -> Iterator[CrashWorld]:
    seed = random.randrange(2**32)
    print("seed", seed)
    with memory_folder() as folder:
        yield CrashWorld(server, folder, random_tree(random.Random(seed), 3), FILES)


def right(world: CrashWorld, ended: Ended) -> None:
    assert ended.status == 0, ended.outcome
    assert ended.outcome["exit_code"] == 0, ended.outcome["error"]
    assert ended.outcome["result"] == world.expected.result


def at_once(world: CrashWorld, count: int, **more: object) -> None:
    pids = {str(number): world.start(str(number), latency_s=0.01, **more) for number in range(count)}
    for name, pid in pids.items():
        right(world, world.wait(pid, name))
    with closing(open_reader(world.store)) as reader:
        assert {run.status for run in reader.runs(count)} == {RunStatus.COMPLETED}
    answered = sum((world.asked(name)[1] for name in pids), world.committed)
    world.committed = world.committed_turns()
    assert world.committed == answered, "each turn that the model gave is stored, once"
    assert not world.needed - world.committed


@pytest.mark.parametrize("made", [False, True])
def test_four_processes_that_run_one_fan_out_at_once_all_end_right(world: CrashWorld, made: bool) -> None:
    """On a store that is there, or that they all make."""
    if made:
        assert world.run(die_at=("before INSERT INTO turns", 1)).killed
    at_once(world, 4, new=True)
    right(world, world.unchecked_run())
    assert not world.asked()[0].total(), "what they stored answers the next run"


@pytest.mark.parametrize("point", [("before INSERT INTO turns", 25), ("after INSERT INTO turns", 5)])
def test_two_processes_that_go_on_with_the_same_steps_both_end_right(world: CrashWorld, point: tuple[str, int]) -> None:
    assert world.run(die_at=point).killed
    at_once(world, 2)
    right(world, world.unchecked_run())
    assert not world.asked()[0].total(), "what they stored answers the next run"
