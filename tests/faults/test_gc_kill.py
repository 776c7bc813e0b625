"""`kill -9` during a collection: the store is whole at every moment, and the next collection ends what was begun."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

from tests.engine.store.processes import go, line_of, upkeep_child
from tests.engine.store.test_gc import SOURCE, with_steps
from tests.support.stores import assert_whole, ids, write_store
from vibe_workflows.engine.ports import Record
from vibe_workflows.engine.store.gc import collect
from vibe_workflows.engine.store.retention import Retention

ROUNDS = 6
RUNS, KEPT = 300, 10


def test_a_collection_can_be_killed_at_any_moment(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    full = tmp_path / "full" / "project" / ".vibe" / "vibe.db"
    records: list[Record] = [SOURCE]
    for number in range(RUNS):
        records += with_steps(number, 1, 2)
    write_store(full, records)
    whole, longest = _collected_in_peace(full, tmp_path / "peace")
    states = set()
    for round_ in range(ROUNDS):
        path = _copy(full, tmp_path / f"round{round_}")
        with upkeep_child(path, "collect", KEPT) as child:
            go(child)
            time.sleep(dice.uniform(0, longest))  # the moment is what is tried
            child.kill()
            child.wait()
        assert_whole(path, no_loose_blobs=False)
        states.add((len(ids(path, "runs")), len(ids(path, "steps"))))
        assert {f"run{number}" for number in range(RUNS - KEPT, RUNS)} <= ids(path, "runs")
        collect(path, Retention(keep_runs=KEPT), 1_000.0)
        assert_whole(path)
        assert (ids(path, "runs"), ids(path, "steps")) == whole
    print(states)


def _collected_in_peace(full: Path, folder: Path) -> tuple[tuple[set[str], set[str]], float]:
    path = _copy(full, folder)
    with upkeep_child(path, "collect", KEPT) as child:
        begun = time.monotonic()
        go(child)
        assert line_of(child)[0] == "done"
        longest = time.monotonic() - begun
    return (ids(path, "runs"), ids(path, "steps")), longest


def _copy(full: Path, folder: Path) -> Path:
    path = folder / "project" / ".vibe" / "vibe.db"
    shutil.copytree(full.parent, path.parent)
    return path
