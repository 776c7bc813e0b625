"""Whose edits lie on the disk: the steps of a workflow's last invocation, whatever became of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.engine.store.editing import a_call, a_look, an_edit, contents, cut_off, edit_call, entries
from tests.engine.store.making import a_delivery, a_run, a_step
from tests.support.stores import write_store
from vibe_workflows.engine.model import Run, RunId, RunStatus, Step, StepId, StepStatus
from vibe_workflows.engine.ports import OwnStep, Record, StartedOver
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.reader import open_reader


def invocation(number: int, status: RunStatus = RunStatus.COMPLETED) -> Run:
    at = float(number)
    return a_run(f"run{number}", started_at=at, status=status, finished_at=None if status is RunStatus.RUNNING else at)


def editing(id_: str, run: int, epoch: int) -> list[Record]:
    """A completed step that a run did."""
    run_id, seen = RunId(f"run{run}"), an_edit(epoch, f"{id_}.py")
    step = a_step(id_, run_id=run_id, observations=(a_look("x"), seen), started_at=float(epoch))
    return [*contents("old", "new"), step, *entries(id_, seen, run_id=run_id)]


def given(run: int, number: int, step: str) -> Record:
    return a_delivery(number, step, run_id=RunId(f"run{run}"), label=f"label of {step}")


def own(path: Path, run_id: str | None = None) -> Sequence[OwnStep]:
    with closing(open_reader(path)) as reader:
        return reader.own_steps("review.py", "args", None if run_id is None else RunId(run_id))


def names(path: Path, run_id: str | None = None) -> list[str]:
    return [step.id for step in own(path, run_id)]


def test_of_a_completed_run_it_is_the_steps_that_answered_it(path: Path) -> None:
    write_store(path, [invocation(1), *editing("a", 1, 1), *editing("b", 1, 2), given(1, 1, "a"), given(1, 2, "b")])
    looked = a_step("looked", run_id=RunId("run2"), observations=(a_look("x"),))
    write_store(path, [invocation(2), *editing("lost", 2, 3), looked, given(2, 1, "b"), given(2, 2, "looked")])
    (step,) = own(path)
    assert (step.id, step.place, step.label) == ("b", "place1", "label of b")
    assert [edit.epoch for edit in step.edits] == [2]


def test_a_run_that_did_not_complete_adds_to_those_before_it_up_to_one_that_did(path: Path) -> None:
    write_store(path, [invocation(1), *editing("oldest", 1, 1), given(1, 1, "oldest")])
    write_store(path, [invocation(2), *editing("first", 2, 2), given(2, 1, "first")])
    failed = cut_off("failed", StepStatus.FAILED, run_id=RunId("run3"), started_at=3.5)
    write_store(path, [invocation(3, RunStatus.FAILED), *editing("worked", 3, 3), failed, given(3, 1, "failed")])
    write_store(path, edit_call("failed", 1, 1, an_edit(4)))
    write_store(path, [invocation(4, RunStatus.RUNNING), *editing("late", 4, 5)])
    again = an_edit(6, "oldest.py")
    write_store(path, entries("oldest", again, run_id=RunId("run4")))
    assert names(path) == ["oldest", "first", "worked", "failed", "late"]
    write_store(path, [invocation(5), given(5, 1, "late")])
    assert names(path) == ["late"]


def test_a_run_that_somebody_works_on_is_passed_over_unless_it_is_the_one(path: Path) -> None:
    write_store(path, [invocation(1), *editing("a", 1, 1), given(1, 1, "a")])
    write_store(path, [invocation(2, RunStatus.RUNNING), *editing("b", 2, 2), given(2, 1, "b")])
    with RunLocks(path).hold(RunId("run2")):
        assert names(path) == ["a"]
        assert names(path, "run2") == ["a", "b"]
    assert names(path) == ["a", "b"]


def test_a_run_that_is_asked_for_counts_as_not_completed_and_later_ones_not_at_all(path: Path) -> None:
    write_store(path, [invocation(1), *editing("a", 1, 1), given(1, 1, "a")])
    write_store(path, [invocation(2), *editing("b", 2, 2)])
    write_store(path, [invocation(3), *editing("c", 3, 3), given(3, 1, "c")])
    assert names(path, "run2") == ["a", "b"]
    assert names(path, "unknown") == []


def test_other_files_and_arguments_have_their_own(path: Path) -> None:
    write_store(path, [invocation(1), *editing("a", 1, 1), given(1, 1, "a")])
    write_store(path, [a_run("other", path="other.py", started_at=5.0), a_run("more", args_digest="x", started_at=6.0)])
    assert names(path) == ["a"]
    with closing(open_reader(path)) as reader:
        assert reader.own_steps("other.py", "args") == reader.own_steps("review.py", "x") == []


def test_after_a_restart_the_steps_that_the_run_worked_on_are_still_its_own(path: Path) -> None:
    write_store(path, [invocation(1, RunStatus.RUNNING), *editing("a", 1, 1), given(1, 1, "a")])
    write_store(path, [StartedOver(run_id=RunId("run1"))])
    (step,) = own(path, "run1")
    assert (step.id, step.place, step.label) == ("a", "place1", "")


def test_the_edits_of_an_earlier_attempt_are_those_of_the_step_that_stands_after_it(path: Path) -> None:
    run = RunId("run1")
    first = cut_off("first", StepStatus.FAILED, run_id=run)
    on: Step = cut_off("on", StepStatus.CANCELLED, run_id=run, predecessor=StepId("first"), turns=1)
    write_store(path, [invocation(1, RunStatus.FAILED), first, *edit_call("first", 1, 1, an_edit(1)), on])
    write_store(path, [*edit_call("on", 2, 1, an_edit(2, "b.py")), a_call("on", 2, 2, a_look("a"))])
    assert [(step.id, [edit.epoch for edit in step.edits]) for step in own(path)] == [("on", [1, 2])]
    write_store(path, [a_step("last", run_id=run, attempt_after=StepId("on"), observations=(an_edit(3),))])
    write_store(path, entries("last", an_edit(3)))
    assert [(step.id, [edit.epoch for edit in step.edits]) for step in own(path)] == [("last", [1, 2, 3])]
