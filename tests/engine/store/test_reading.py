"""The reader: runs by prefix and file, the run whose owner is gone, and what a follower of events sees."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.engine.store.making import RUN, a_delivery, a_run, a_step, with_store
from tests.engine.store.processes import ROOT
from vibe_workflows.engine.errors import StoreError
from vibe_workflows.engine.events import Logged
from vibe_workflows.engine.model import (
    Observation,
    PromptMakeup,
    Run,
    RunId,
    RunStatus,
    Step,
    StepId,
    StepKey,
    StepStatus,
    ToolCall,
    Turn,
)
from vibe_workflows.engine.ports import RunEvent
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.engine.store.sqlite import SqliteStore


def ids(runs: list[Run]) -> list[str]:
    return [run.id for run in runs]


def test_runs_come_newest_first_and_by_prefix(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        for id_, started_at in (("ab1", 1.0), ("ab2", 3.0), ("b1", 2.0), ("ab_%", 0.5)):
            await store.commit([a_run(id_, started_at=started_at)])
        reader = store.reader
        assert ids(reader.runs(10)) == ["ab2", "b1", "ab1", "ab_%"]
        assert ids(reader.runs(2)) == ["ab2", "b1"]
        assert ids(reader.find_runs("ab")) == ["ab2", "ab1", "ab_%"]
        assert ids(reader.find_runs("ab_")) == ["ab_%"]
        assert ids(reader.find_runs("")) == ids(reader.runs(10))
        assert reader.find_runs("z") == []
        assert reader.run(RunId("ab")) is None

    with_store(path, body)


def test_the_latest_run_of_a_file_and_its_arguments_is_found(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        await store.commit(
            [
                a_run("old", path="a.py", args_digest="x", started_at=1.0),
                a_run("new", path="a.py", args_digest="x", started_at=5.0),
                a_run("other-args", path="a.py", args_digest="y", started_at=9.0),
                a_run("other-file", path="b.py", args_digest="x", started_at=9.0),
                a_run("as-new", path="a.py", args_digest="x", started_at=5.0),
            ]
        )
        latest = store.reader.latest_run("a.py", "x")
        assert latest is not None
        assert latest.id == "as-new"
        assert store.reader.latest_run("c.py", "x") is None

    with_store(path, body)


def test_deliveries_come_in_the_order_in_which_they_were_given(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        await store.commit([a_step("s1"), a_delivery(2, "s1", delivered_at=9.0)])
        await store.commit([a_delivery(1, "s1", delivered_at=8.0), a_delivery(3, "s1", delivered_at=1.0)])
        delivered = store.reader.deliveries(RUN)
        assert [each.delivery.number for each in delivered] == [2, 1, 3]
        assert [each.step for each in delivered] == [a_step("s1")] * 3

    with_store(path, body)


def test_a_step_written_again_with_fewer_observations_has_only_those(path: Path) -> None:
    two = tuple(Observation(tool="read_file", arguments=f'{{"path":"{name}"}}', digest=name) for name in "ab")

    async def body(store: SqliteStore) -> None:
        await store.commit([a_step("s1", observations=two)])
        assert store.reader.pool(StepKey("s1:key"))[0].observations == two
        await store.commit([a_step("s1", observations=two[:1])])
        assert store.reader.pool(StepKey("s1:key"))[0].observations == two[:1]

    with_store(path, body)


def test_the_makeup_of_prompts_is_added_up_for_each_step_that_a_run_worked_on_or_was_answered_by(path: Path) -> None:
    def turn(step: str, number: int, **makeup: int) -> Turn:
        return Turn(
            step_id=StepId(step),
            number=number,
            attempt=1,
            model="m",
            input="[]",
            output="{}",
            outcome="stop",
            started_at=1.0,
            finished_at=2.0,
            makeup=PromptMakeup(**makeup),
        )

    async def body(store: SqliteStore) -> None:
        await store.commit(
            [
                a_step("own"),
                a_step("stored", run_id=RunId("earlier")),
                a_step("strange", run_id=RunId("earlier")),
                a_delivery(1, "stored"),
                turn("own", 1, system=1, tools=2, context=3, conversation=4),
                turn("own", 2, system=10, conversation=40),
                turn("stored", 1, context=7),
                turn("strange", 1, context=9),
            ]
        )
        assert store.reader.makeups(RUN) == {
            "own": PromptMakeup(system=11, tools=2, context=3, conversation=44),
            "stored": PromptMakeup(context=7),
        }

    with_store(path, body)


def test_events_are_followed_from_the_last_number_seen(path: Path) -> None:
    def said(run: str, message: str) -> RunEvent:
        return RunEvent(run_id=RunId(run), event=Logged(at=1.0, message=message))

    async def body(store: SqliteStore) -> None:
        await store.commit([said("r1", "a"), said("r2", "not this one"), said("r1", "b")])
        first = store.reader.events(RunId("r1"))
        await store.commit([said("r1", "c")])
        assert [event for _, event in first] == [Logged(at=1.0, message="a"), Logged(at=1.0, message="b")]
        ((number, event),) = store.reader.events(RunId("r1"), first[-1][0])
        assert event == Logged(at=1.0, message="c")
        assert number > first[-1][0]

    with_store(path, body)


def test_a_reader_sees_what_others_commit_while_it_is_open(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        reader = open_reader(path)
        await store.commit([a_run("r1")])
        assert ids(reader.runs(1)) == ["r1"]
        await store.commit([a_run("r2")])
        assert ids(reader.find_runs("r2")) == ["r2"]
        reader.close()

    with_store(path, body)


# ---------------------------------------------------------------- owners


def test_a_running_run_without_an_owner_reads_as_interrupted_everywhere(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        await store.commit([a_run("r1", status=RunStatus.RUNNING), a_run("r2", status=RunStatus.WAITING)])
        reader = store.reader

        def statuses() -> list[RunStatus]:
            found = [reader.run(RunId("r1")), *reader.find_runs("r1"), *reader.runs(9)[1:]]
            return [run.status for run in found if run is not None]

        with RunLocks(path).hold(RunId("r1")):
            assert statuses() == [RunStatus.RUNNING] * 3
        assert statuses() == [RunStatus.INTERRUPTED] * 3
        assert reader.runs(1)[0].status is RunStatus.WAITING
        latest = reader.latest_run("review.py", "args")
        assert latest is not None

    with_store(path, body)


def test_a_run_has_one_owner(path: Path) -> None:
    path.parent.mkdir(parents=True)
    locks, others = RunLocks(path), RunLocks(path)
    assert not others.is_owned(RUN)
    with locks.hold(RUN):
        assert others.is_owned(RUN)
        assert not others.is_owned(RunId("another"))
        with pytest.raises(StoreError, match="another vibe process"), others.hold(RUN):
            pass
        assert others.is_owned(RUN)
    assert not others.is_owned(RUN)
    assert list(locks.folder.iterdir()) == []


def test_the_lock_of_a_killed_owner_is_free(path: Path) -> None:
    path.parent.mkdir(parents=True)
    code = f"""
from pathlib import Path
from vibe_workflows.engine.store.locks import RunLocks
with RunLocks(Path({str(path)!r})).hold({RUN!r}):
    print("mine", flush=True)
    input()
"""
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "mine\n"
        assert RunLocks(path).is_owned(RUN)
        owner.kill()
        owner.wait()
    assert not RunLocks(path).is_owned(RUN)
    with RunLocks(path).hold(RUN):
        pass


def test_who_owns_a_run_clears_away_dead_locks_and_nothing_else(path: Path, tmp_path: Path) -> None:
    locks = RunLocks(path)
    locks.folder.mkdir(parents=True)
    for name in ("dead.lock", "note.txt"):
        (locks.folder / name).touch()
    (locks.folder / "poetry.lock").write_text("[[package]]")
    (locks.folder / "pipe.lock").symlink_to(tmp_path / "target")
    with locks.hold(RunId("alive")), RunLocks(path).hold(RUN):
        left = {each.name for each in locks.folder.iterdir()}
        assert left == {"alive.lock", f"{RUN}.lock", "note.txt", "poetry.lock", "pipe.lock"}
        assert locks.is_owned(RunId("alive"))


def test_owners_who_come_and_go_at_once_never_take_each_other_for_dead(path: Path) -> None:
    """Threads stand for processes: the locks are those of open files."""
    path.parent.mkdir(parents=True)

    def come_and_go(number: int) -> None:
        for round_ in range(50):
            run = RunId(f"{number}-{round_}")
            with RunLocks(path).hold(run):
                assert RunLocks(path).is_owned(run)
                assert (RunLocks(path).folder / f"{run}.lock").exists()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(come_and_go, range(8)))
    assert list(RunLocks(path).folder.iterdir()) == []


def test_a_lock_of_another_user_is_left_alone(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a file away needs root")
    locks = RunLocks(path)
    locks.folder.mkdir(parents=True)
    (locks.folder / "theirs.lock").touch()
    os.chown(locks.folder / "theirs.lock", 65534, 65534)
    with locks.hold(RUN):
        pass
    assert [each.name for each in locks.folder.iterdir()] == ["theirs.lock"]


def test_no_lock_is_cleared_away_through_a_link(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "dead.lock").touch()
    path.parent.mkdir(parents=True)
    RunLocks(path).folder.symlink_to(elsewhere)
    with RunLocks(path).hold(RUN):
        pass
    assert [each.name for each in elsewhere.iterdir()] == ["dead.lock"]


def test_locks_lie_in_the_vibe_folder_or_beside_a_store_elsewhere(tmp_path: Path) -> None:
    assert RunLocks(tmp_path / ".vibe" / "vibe.db").folder == tmp_path / ".vibe" / "runs"
    assert RunLocks(tmp_path / "data.db").folder == tmp_path / "data.db.runs"


def test_a_planted_lock_file_is_neither_followed_nor_waited_for(path: Path, tmp_path: Path) -> None:
    locks = RunLocks(path)
    locks.folder.mkdir(parents=True)
    os.mkfifo(locks.folder / "pipe.lock")
    (locks.folder / "link.lock").symlink_to(tmp_path / "target")
    assert not locks.is_owned(RunId("pipe"))
    assert not locks.is_owned(RunId("../../../etc/passwd"))
    with pytest.raises(StoreError), locks.hold(RunId("link")):
        pass
    assert not (tmp_path / "target").exists()


def a_turn(step_id: str, number: int) -> Turn:
    return Turn(
        step_id=StepId(step_id),
        number=number,
        attempt=1,
        model="m",
        input="[]",
        output="{}",
        outcome="tool_calls",
        started_at=1.0,
        finished_at=2.0,
    )


def a_look(step_id: str, turn: int, path: str) -> ToolCall:
    return ToolCall(
        step_id=StepId(step_id),
        turn=turn,
        number=1,
        call_id="c",
        name="read_file",
        arguments="{}",
        output=step_id,
        outcome="ok",
        started_at=1.0,
        finished_at=2.0,
        observations=(Observation(tool="read_file", arguments=path, digest=step_id),),
    )


def cut_off(id_: str, status: StepStatus = StepStatus.RUNNING, **changes: Any) -> Step:
    return a_step(id_, status=status, result=None, **changes)


def test_a_step_that_somebody_works_on_is_not_offered_to_be_gone_on_with(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        await store.commit([a_run("alive", status=RunStatus.RUNNING), cut_off("s", run_id=RunId("alive"))])
        await store.commit([a_turn("s", 1)])
        with RunLocks(path).hold(RunId("alive")):
            assert store.reader.cut_off(StepKey("s1:key")) == []
        assert [step.id for step in store.reader.cut_off(StepKey("s1:key"))] == ["s"]

    with_store(path, body)


def test_only_steps_with_finished_turns_and_without_an_answer_or_a_successor_are_offered(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        for id_, status in (
            ("none", StepStatus.RUNNING),
            ("late", StepStatus.TIMED_OUT),
            ("lost", StepStatus.CANCELLED),
        ):
            await store.commit([cut_off(id_, status)])
        await store.commit([a_step("answered"), a_turn("answered", 1), a_turn("late", 1), a_turn("lost", 1)])
        assert [step.id for step in store.reader.cut_off(StepKey("s1:key"))] == ["late", "lost"]
        # One that was gone on with stays out, also where its successor made no turn of its own and is offered instead.
        await store.commit([cut_off("next", StepStatus.CANCELLED, predecessor=StepId("late"), turns=1)])
        assert [(step.id, step.turns) for step in store.reader.cut_off(StepKey("s1:key"))] == [("lost", 1), ("next", 1)]

    with_store(path, body)


def test_a_step_that_goes_on_with_others_tells_their_turns_and_what_they_saw_as_its_own(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        await store.commit([cut_off("one"), a_turn("one", 1), a_look("one", 1, "a"), a_turn("one", 2)])
        # The tools of the second turn ran twice: before the cut, and again by the successor.
        await store.commit([a_look("one", 2, "b"), cut_off("two", predecessor=StepId("one"), turns=2)])
        await store.commit([a_look("two", 2, "b"), a_turn("two", 3), a_look("two", 3, "c")])
        reader = store.reader
        assert [(turn.step_id, turn.number) for turn in reader.turns(StepId("two"))] == [
            ("one", 1),
            ("one", 2),
            ("two", 3),
        ]
        assert [(call.turn, call.output) for call in reader.tool_calls(StepId("two"))] == [
            (1, "one"),
            (2, "two"),
            (3, "two"),
        ]
        (offered,) = reader.cut_off(StepKey("s1:key"))
        assert offered.turns == 3
        assert [(seen.arguments, seen.digest) for seen in offered.observations] == [("a", "one"), ("b", "two")]

    with_store(path, body)
