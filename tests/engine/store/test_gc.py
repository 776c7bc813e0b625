"""What a collection takes and what it leaves alone, with other processes at work on the store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.engine.store.editing import an_edit, contents, cut_off, edit_call, entries
from tests.engine.store.making import a_delivery, a_run, a_step
from tests.engine.store.processes import go, line_of, upkeep_child
from tests.support.stores import assert_whole, ids, origins_of, rows, write_store
from vibe_workflows.engine.errors import StoreError
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import LineageId, Run, RunId, RunStatus, StepId, StepStatus, Turn
from vibe_workflows.engine.ports import Record, Source
from vibe_workflows.engine.store.gc import Collected, _Collector, collect, would_go
from vibe_workflows.engine.store.holdings import read_holdings
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.engine.store.retention import Retention, decide
from vibe_workflows.engine.store.upkeep import bytes_on_disk, data_version, open_for_upkeep

NOW = 1_000.0
SOURCE = Source(digest="digest", text="s" * 3000)


def one_run(number: int, **changes: Any) -> Run:
    id_ = RunId(f"run{number}")
    at = float(number)
    return a_run(id_, **({"lineage": LineageId(id_), "started_at": at, "finished_at": at} | changes))


def with_steps(number: int, *steps: int, **changes: Any) -> list[Record]:
    """A run that did and delivered steps, of 10 kB each."""
    run = one_run(number, **changes)
    made = [
        a_step(f"{run.id}-{step}", run_id=run.id, started_at=run.started_at, finished_at=run.started_at)
        for step in steps
    ]
    turns = [
        Turn(
            step_id=step.id,
            number=1,
            attempt=1,
            model="m",
            input="".join(f"{index:x}{step.id}" for index in range(2000)),
            output="{}",
            outcome="stop",
            started_at=1.0,
            finished_at=2.0,
        )
        for step in made
    ]
    return [run, *made, *turns, *(a_delivery(n, step.id, run_id=run.id) for n, step in enumerate(made))]


@pytest.fixture
def three(path: Path) -> Path:
    """Of a store with three runs of a step each; the second one used the first one's, too."""
    used = a_delivery(9, "run0-1", run_id=RunId("run1"))
    write_store(path, [SOURCE, *with_steps(0, 1), *with_steps(1, 1), used, *with_steps(2, 1)])
    return path


def test_the_newest_runs_keep_all_that_they_used(three: Path) -> None:
    done = collect(three, Retention(keep_runs=2), NOW)
    assert (done.runs, done.steps) == (1, 0)
    done = collect(three, Retention(keep_runs=1), NOW)
    assert (done.runs, done.steps) == (1, 2)
    assert (ids(three, "runs"), ids(three, "steps")) == ({"run2"}, {"run2-1"})
    assert_whole(three)


def test_what_is_old_goes_and_what_the_newest_runs_are_stays_whatever_its_age(three: Path) -> None:
    assert collect(three, Retention(older_than_s=NOW), NOW).runs == 0
    done = collect(three, Retention(older_than_s=NOW - 2, keep_runs=1), NOW)
    assert (done.runs, ids(three, "runs")) == (2, {"run2"})


def test_a_store_becomes_as_small_as_asked_and_loses_the_oldest_first(path: Path) -> None:
    write_store(path, [SOURCE, *(record for number in range(30) for record in with_steps(number, 1, 2, 3))])
    with closing(sqlite3.connect(path)) as connection:  # so that the sizes are those of the file
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    limit = bytes_on_disk(path) // 2
    foreseen = would_go(path, Retention(max_bytes=limit), NOW)
    assert len(ids(path, "runs")) == 30
    done = collect(path, Retention(max_bytes=limit), NOW)
    assert not done.too_large
    assert done.bytes_after <= limit
    assert (foreseen.runs, foreseen.steps) == (done.runs, done.steps)
    assert abs(foreseen.bytes_after - done.bytes_after) < limit / 5
    assert 5 < done.runs < 25, "as many as must go, and no more"
    assert ids(path, "runs") == {f"run{number}" for number in range(done.runs, 30)}
    assert_whole(path)


def test_a_text_that_many_runs_share_counts_once(path: Path) -> None:
    shared = "".join(f"{number:x}" for number in range(100_000))
    runs = [one_run(number, args=shared) for number in range(20)]
    write_store(path, [SOURCE, *runs])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert would_go(path, Retention(max_bytes=bytes_on_disk(path) * 2), NOW).runs == 0


def test_a_step_goes_after_those_that_go_on_with_it(path: Path) -> None:
    chain = [
        a_step(f"run0-{n}", run_id=RunId("run0"), predecessor=StepId(f"run0-{n + 1}") if n < 9 else None)
        for n in range(10)
    ]
    write_store(path, [SOURCE, one_run(0), *chain])
    with open_for_upkeep(path) as connection:
        going = _Collector(connection, RunLocks(path), Collected())._plan(Retention(keep_runs=0), NOW)
    assert going.steps == tuple(step.id for step in chain)


def test_what_does_not_fit_and_may_not_go_is_told(three: Path) -> None:
    assert collect(three, Retention(max_bytes=0, keep_runs=3), NOW).too_large


def test_an_unfinished_lineage_goes_only_when_it_is_old(path: Path) -> None:
    failed = with_steps(0, 1, status=RunStatus.FAILED)
    cut_off = a_step("run0-2", run_id=RunId("run0"), status=StepStatus.CANCELLED, result=None, finished_at=0.0)
    write_store(path, [SOURCE, *failed, cut_off, *with_steps(1, 1)])
    collect(path, Retention(keep_runs=0, max_bytes=0), NOW)
    assert (ids(path, "runs"), ids(path, "steps")) == ({"run0"}, {"run0-1", "run0-2"})
    collect(path, Retention(older_than_s=10), NOW)
    assert ids(path, "runs") == set()


def test_a_lineage_stays_whole(path: Path) -> None:
    first = with_steps(0, 1, status=RunStatus.FAILED)
    going_on = with_steps(2, 1, lineage=LineageId("run0"), parent=RunId("run0"))
    write_store(path, [SOURCE, *first, *with_steps(1, 1), *going_on])
    collect(path, Retention(keep_runs=1), NOW)
    assert ids(path, "runs") == {"run0", "run2"}


def test_a_step_that_a_kept_one_goes_on_with_stays_though_its_run_goes(path: Path) -> None:
    old = a_step("run0-1", run_id=RunId("run0"), status=StepStatus.CANCELLED, result=None)
    new = a_step("run1-1", run_id=RunId("run1"), predecessor=StepId("run0-1"))
    delivered = a_delivery(1, "run1-1", run_id=RunId("run1"))
    write_store(path, [SOURCE, one_run(0), old, one_run(1), new, delivered])
    collect(path, Retention(keep_runs=1), NOW)
    assert (ids(path, "runs"), ids(path, "steps")) == ({"run1"}, {"run0-1", "run1-1"})


def test_a_young_step_stays_although_no_run_used_it_yet(path: Path) -> None:
    imported = ("INSERT INTO imports VALUES ('import-1', 'steps.gz', 'd', ?)", (NOW - 5,))
    step = a_step("imported-1", run_id=RunId("import-1"), finished_at=1.0)
    write_store(path, [SOURCE, step, *with_steps(0, 1)], imported)
    collect(path, Retention(older_than_s=10), NOW)
    assert ids(path, "steps") == {"imported-1"}
    assert collect(path, Retention(older_than_s=10), NOW + 100).steps == 1
    assert ids(path, "imports") == set()


def test_space_is_given_back_by_short_transactions_also_by_a_store_from_before_that(path: Path) -> None:
    write_store(path, [SOURCE, *(record for number in range(20) for record in with_steps(number, 1, 2, 3))])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    for keep in (10, 1):
        done = collect(path, Retention(keep_runs=keep), NOW)
        assert done.bytes_after < done.bytes_before * 0.8
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
            assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert_whole(path)


def test_a_dry_run_changes_nothing(three: Path) -> None:
    before = three.read_bytes()
    assert would_go(three, Retention(keep_runs=0), NOW).runs == 3
    assert three.read_bytes() == before


# ---------------------------------------------------------------- beside other processes


def test_while_a_run_is_at_work_steps_stay_and_old_runs_go(path: Path) -> None:
    alive = with_steps(2, 1, status=RunStatus.RUNNING, finished_at=None)
    write_store(path, [SOURCE, *with_steps(0, 1), *with_steps(1, 1), *alive])
    with upkeep_child(path, "hold", "run2") as child:
        go(child)
        assert line_of(child) == ["held"]
        done = collect(path, Retention(older_than_s=0), NOW)
        assert (done.runs, done.steps, done.alive) == (2, 0, ("run2",))
        assert ids(path, "runs") == {"run2"}
        assert len(ids(path, "steps")) == 3
        child.kill()
        child.wait()
    done = collect(path, Retention(older_than_s=0), NOW)
    assert (done.runs, done.steps, done.alive) == (1, 3, ())
    assert_whole(path)


def test_runs_beside_a_collection_never_lose_what_they_were_offered(path: Path) -> None:
    write_store(path, [SOURCE, *with_steps(0, 1)])
    count, collected = 30, 0
    with upkeep_child(path, "run", count) as child:
        go(child)
        while child.poll() is None:
            collected += collect(path, Retention(keep_runs=0), NOW).steps
        assert child.stdout is not None
        told = child.stdout.read().split("\n")[:-1]
    assert len(told) == count
    assert_whole(path, no_loose_blobs=False)
    assert collected > 0


def test_a_plan_that_others_have_overtaken_takes_nothing(three: Path) -> None:
    with open_for_upkeep(three) as connection:
        collector = _Collector(connection, RunLocks(three), Collected())
        version = data_version(connection)
        going = collector._plan(Retention(keep_runs=0), NOW)
        collector._take_runs(going.lineages)
        meanwhile = a_delivery(1, "run0-1", run_id=RunId("late"))
        write_store(three, [one_run(500, id=RunId("late")), SOURCE, meanwhile])
        assert not collector._take_steps(going.steps, version)
    assert_whole(three, no_loose_blobs=False)
    assert len(ids(three, "steps")) == 3


def test_a_text_that_came_into_use_again_meanwhile_stays(three: Path) -> None:
    collect(three, Retention(keep_runs=0), NOW)
    write_store(three, [Source(digest="digest", text="t" * 3000)])
    write_store(three, [], ("DELETE FROM sources", ()))
    with open_for_upkeep(three) as connection:
        collector = _Collector(connection, RunLocks(three), Collected())
        late = [True]

        def write_between(statement: str) -> None:
            """Just before the first transaction that takes blobs."""
            if statement.startswith("BEGIN") and late.pop() if late else False:
                write_store(three, [Source(digest="late", text="t" * 3000)])

        connection.set_trace_callback(write_between)
        assert not collector._take_blobs()
        connection.set_trace_callback(None)
        assert collector._take_blobs()
    assert_whole(three)
    with closing(open_reader(three)) as reader:
        assert reader.source("late") == "t" * 3000


def test_a_lineage_that_was_gone_on_with_meanwhile_stays(three: Path) -> None:
    with open_for_upkeep(three) as connection:
        collector = _Collector(connection, RunLocks(three), Collected())
        going = collector._plan(Retention(keep_runs=0), NOW)
        write_store(three, [one_run(3, lineage=LineageId("run0"), parent=RunId("run0"))])
        collector._take_runs(going.lineages)
    assert ids(three, "runs") == {"run0", "run3"}


# ---------------------------------------------------------------- strange and damaged stores


def test_a_store_with_a_trigger_is_not_touched(three: Path) -> None:
    write_store(three, [], ("CREATE TRIGGER evil AFTER DELETE ON runs BEGIN DELETE FROM steps; END", ()))
    before = three.read_bytes()
    with pytest.raises(StoreError, match="trigger evil"):
        collect(three, Retention(keep_runs=0), NOW)
    assert three.read_bytes() == before


def test_a_damaged_store_is_a_clear_error(three: Path) -> None:
    data = bytearray(three.read_bytes())
    data[4096 * 2 :] = b"\xff" * (len(data) - 4096 * 2)
    three.write_bytes(data)
    for take in (collect, would_go):
        with pytest.raises(StoreError, match="damaged"):
            take(three, Retention(keep_runs=0), NOW)


def test_predecessors_in_a_circle_do_not_hold_a_collection_up(path: Path) -> None:
    loop = [
        a_step("run0-1", run_id=RunId("run0"), finished_at=0.0, predecessor=StepId("run0-2")),
        a_step("run0-2", run_id=RunId("run0"), finished_at=0.0, predecessor=StepId("run0-1")),
        a_step("run0-3", run_id=RunId("run0"), finished_at=0.0, predecessor=StepId("run0-3")),
    ]
    write_store(path, [SOURCE, one_run(0), *loop, *with_steps(1, 1)])
    collect(path, Retention(keep_runs=1), NOW)
    assert ids(path, "steps") == {"run1-1"}


def test_a_rerun_after_a_collection_reads_what_it_did_before(three: Path) -> None:
    collect(three, Retention(keep_runs=1), NOW)
    with closing(open_reader(three)) as reader:
        assert [sample.id for sample in reader.pool(a_step("any").key)] == ["run2-1"]
        assert [turn.number for turn in reader.turns(StepId("run2-1"))] == [1]
        assert reader.source("digest") == SOURCE.text
        assert origins_of(three).problem(reader.store_id(), three) is None
    assert rows(three, "SELECT count(*) FROM events") == [(0,)]


# ---------------------------------------------------------------- edits


def editing_run(number: int, text: str) -> list[Record]:
    """A run whose step edited `a.py`, with what it made of it."""
    run = one_run(number)
    seen = an_edit(number + 1, before=f"{text} before", after=f"{text} after")
    step = a_step(f"{run.id}-1", run_id=run.id, started_at=run.started_at, finished_at=run.started_at)
    return [
        run,
        replace(step, observations=(seen,)),
        a_delivery(1, step.id, run_id=run.id),
        *contents(f"{text} before", f"{text} after"),
        *entries(step.id, seen, run_id=run.id),
    ]


def test_a_run_that_stays_keeps_the_chains_and_contents_that_it_used_and_no_others(path: Path) -> None:
    write_store(path, [SOURCE, *editing_run(0, "first"), *editing_run(1, "second"), *contents("loose")])
    earlier = an_edit(1_000, "b.py", before="of an entry alone", after=None)
    write_store(path, [*contents("of an entry alone"), *entries("run1-1", earlier)])
    done = collect(path, Retention(keep_runs=1), NOW)
    assert (done.runs, done.steps, done.texts) == (1, 1, 3)
    with closing(open_reader(path)) as reader:
        assert [entry.step_id for entry in reader.chains(["a.py"])] == ["run1-1"]
        assert reader.contents(content_digest(b"second before")) == b"second before"
        assert reader.contents(content_digest(b"of an entry alone")) == b"of an entry alone"
        assert reader.contents(content_digest(b"first after")) is None
        assert reader.latest_epoch() == 1_000
    assert_whole(path)


def test_an_attempt_stays_with_the_step_that_owns_its_edits_and_goes_after_it(path: Path) -> None:
    old, new = one_run(0, status=RunStatus.FAILED), one_run(1)
    failed = cut_off("failed", StepStatus.FAILED, run_id=old.id, started_at=0.0, finished_at=0.0)
    answer = a_step("answer", run_id=new.id, attempt_after=StepId("failed"), started_at=1.0, finished_at=1.0)
    delivery = a_delivery(1, "answer", run_id=new.id)
    write_store(path, [SOURCE, old, new, failed, *edit_call("failed", 1, 1, an_edit(1)), answer, delivery])
    assert collect(path, Retention(older_than_s=0, keep_runs=1), NOW).steps == 0
    with closing(open_reader(path)) as reader:
        assert [edit.epoch for edit in reader.pool(answer.key)[0].inherited] == [1]
    assert_whole(path)
    assert collect(path, Retention(older_than_s=0), NOW).steps == 2
    assert ids(path, "steps") == set()
    assert rows(path, "SELECT count(*) FROM changes") == [(0,)]
    assert_whole(path)


def test_steps_that_need_each_other_go_those_first_that_need(path: Path) -> None:
    write_store(
        path,
        [
            cut_off("circle", predecessor=StepId("circle"), attempt_after=StepId("c")),
            cut_off("c", predecessor=StepId("b"), attempt_after=StepId("a")),
            cut_off("b", attempt_after=StepId("a")),
            cut_off("a"),
        ],
    )
    with closing(sqlite3.connect(path)) as connection:
        held = read_holdings(connection, RunLocks(path))
    assert decide(held, Retention(older_than_s=0), NOW, 0).steps == ("circle", "c", "b", "a")
