"""`kill -9` while a second process writes: what it had acknowledged is there, whole, and the store goes on."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from tests.engine.store.making import a_step, with_store
from tests.engine.store.processes import go, line_of, writing_child
from vibe_workflows.engine.model import RunId, StepId, StepKey
from vibe_workflows.engine.store.reader import open_reader

COUNT = 100_000  # more than a child can write before it is killed


def write_and_kill(path: Path, name: str, acknowledgements: int) -> set[str]:
    """Kill a writing process after so many acknowledgements; gives all that it got out."""
    with writing_child(path, name, COUNT) as child:
        assert line_of(child) == ["ready", "True\n"]
        go(child)
        done = {line_of(child)[1].strip() for _ in range(acknowledgements)}
        child.kill()
        assert child.stdout is not None
        rest = child.stdout.read()  # not communicate(): it reads past what readline() has buffered
    # The last line may be cut off in its middle: it was said, but not heard.
    return done | {line.split()[1] for line in rest.split("\n")[:-1]}


def assert_whole(path: Path, acknowledged: set[str]) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    stored = {id_ for (id_,) in connection.execute("SELECT id FROM steps")}
    halves = connection.execute(
        "SELECT (SELECT count(*) FROM steps), (SELECT count(*) FROM turns), (SELECT count(*) FROM deliveries)"
    ).fetchone()
    numbers = [number for (number,) in connection.execute("SELECT finished_seq FROM steps ORDER BY finished_seq")]
    connection.close()
    assert acknowledged <= stored
    assert len(set(halves)) == 1, "a step came without its turn or its delivery"
    assert numbers == list(range(1, len(stored) + 1))


@pytest.mark.parametrize("round_", range(4))
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path, round_: int) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    path = tmp_path / "project" / ".vibe" / "vibe.db"
    acknowledged = write_and_kill(path, "one", dice.randrange(1, 400))
    assert_whole(path, acknowledged)
    reader = open_reader(path)
    for id_ in acknowledged:
        (step,) = reader.pool(StepKey(f"s1:{id_}"))
        assert (step.id, step.spec, step.result) == (id_, "p" * 3000 + id_, f'"{id_}"')
        assert len(reader.turns(StepId(id_))) == 1
    assert {each.delivery.step_id for each in reader.deliveries(RunId("one"))} >= acknowledged
    reader.close()


def test_a_store_goes_on_after_kills_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "project" / ".vibe" / "vibe.db"
    with writing_child(path, "survivor", 400) as survivor:
        assert line_of(survivor) == ["ready", "True\n"]
        go(survivor)
        acknowledged = write_and_kill(path, "killed", 50)
        output, _ = survivor.communicate()
    done = {line.split()[1] for line in output.splitlines()}
    assert len(done) == 400, output
    assert_whole(path, acknowledged | done)
    with_store(path, lambda store: store.commit([a_step("afterwards")]))
