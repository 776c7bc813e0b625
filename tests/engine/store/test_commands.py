"""Calls that saw and changed many things, or did so in a worktree: what the store makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.engine.store.editing import KEY, a_call, a_look, a_turn, an_edit, contents, cut_off, entries
from tests.engine.store.making import a_delivery, a_run, a_step
from tests.support.stores import assert_whole, rows, write_store
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import AGENT_CALL, Observation, StepId, StepStatus, ToolCall
from vibe_workflows.engine.ports import Record, Withdrawn
from vibe_workflows.engine.store.export import export
from vibe_workflows.engine.store.gc import collect
from vibe_workflows.engine.store.reader import SqliteReader, open_reader
from vibe_workflows.engine.store.retention import Retention

TREE = Observation(tool="file_tree", arguments="{}", digest="all", epoch=1)
#: What one command saw and did.
MANY = (TREE, an_edit(2, "a.py"), an_edit(3, "b.py"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "project/.vibe/vibe.db"


def command_call(step: str, turn: int, number: int, seen: Sequence[Observation] = MANY, **more: str) -> ToolCall:
    return replace(a_call(step, turn, number, None), name="run_command", observations=tuple(seen), **more)


def aside(seen: Observation) -> Observation:
    return replace(seen, aside=True, epoch=7)


def of(path: Path, *records: Record) -> SqliteReader:
    for record in records:
        write_store(path, [record])
    return open_reader(path)


def test_what_a_call_saw_and_its_whole_output_come_back_in_order(path: Path) -> None:
    calls = [
        command_call("s", 1, 1, whole="all of it" * 1000, output="all"),
        a_call("s", 1, 2, None),
        command_call("s", 1, 3, (TREE,)),
        command_call("s", 2, 1, [aside(seen) for seen in (a_look("a"), an_edit(2), an_edit(2, "b.py", None, "new"))]),
    ]
    reader = of(path, cut_off("s"), *calls)
    assert reader.tool_calls(StepId("s")) == calls
    assert reader.latest_epoch() == 7
    reader.close()


def test_a_patch_comes_back_with_the_step_and_with_the_stored_answer(path: Path) -> None:
    step = a_step("s", patch="--- a\n" * 1000)
    reader = of(path, step)
    assert reader.step(step.id) == step
    assert reader.pool(KEY)[0].patch == step.patch
    reader.close()


def test_a_command_all_of_whose_edits_were_made_is_kept_and_one_that_was_not_runs_again(path: Path) -> None:
    both = entries("s", *MANY[1:])
    reader = of(path, cut_off("s"), a_turn("s", 1), command_call("s", 1, 1), command_call("s", 1, 2, (TREE,)), *both)
    (step,) = reader.cut_off(KEY)
    assert [call.number for call in step.kept] == [1, 2]
    assert step.observations == (*MANY, TREE), "after an edit, the same look is another one"
    reader.close()
    write_store(path, entries("s", MANY[2], done=False))
    with_one = open_reader(path)
    assert with_one.cut_off(KEY)[0].kept == ()
    with_one.close()


def test_unsettled_edits_of_one_call_stand_together_and_those_of_a_step_without_calls(path: Path) -> None:
    later = (replace(TREE, epoch=4), an_edit(5, "a.py", "new", "x"), an_edit(6, "c.py"))
    at_once = a_step("t", observations=(an_edit(8, "d.py"), an_edit(9, "e.py")))
    reader = of(
        path,
        cut_off("s"),
        a_turn("s", 1),
        command_call("s", 1, 1),
        command_call("s", 1, 2, later),
        *entries("s", *MANY[1:], *later[1:], done=False),
        at_once,
        *entries("t", *at_once.observations, done=False),
    )
    groups = [[entry.epoch for entry in group] for group in reader.unsettled_changes()]
    assert groups == [[2, 3], [5, 6], [8, 9]]
    reader.close()


def test_a_command_that_is_withdrawn_goes_with_all_that_it_saw_and_leaves_the_calls_beside_it(path: Path) -> None:
    other = (replace(TREE, epoch=4), an_edit(5, "c.py"))
    reader = of(
        path,
        cut_off("s"),
        a_turn("s", 1),
        command_call("s", 1, 1, other),
        *entries("s", other[1]),
        command_call("s", 1, 2),
        *entries("s", *MANY[1:], done=False),
        Withdrawn(epochs=(2, 3)),
    )
    assert [(call.number, call.observations) for call in reader.tool_calls(StepId("s"))] == [(1, other)]
    assert rows(path, "SELECT number, position FROM looks ORDER BY 1, 2") == [(1, 1), (1, 2)]
    assert reader.unsettled_changes() == []
    reader.close()


# ---------------------------------------------------------------- in a worktree


ASIDE = tuple(aside(seen) for seen in (a_look("a"), an_edit(2), a_look("a"), an_edit(2), an_edit(2)))


def test_changes_in_a_worktree_are_kept_when_a_step_is_gone_on_with_and_each_counts(path: Path) -> None:
    calls = [a_call("s", 1, number, seen) for number, seen in enumerate(ASIDE, 1)]
    reader = of(path, cut_off("s"), a_turn("s", 1), *calls)
    (step,) = reader.cut_off(KEY)
    assert [call.number for call in step.kept] == [1, 2, 3, 4, 5]
    assert step.observations == ASIDE
    reader.close()


def test_changes_in_a_worktree_are_no_edits_of_the_project(path: Path) -> None:
    run = a_run("run1")
    reader = of(
        path,
        run,
        cut_off("s", StepStatus.FAILED),
        a_turn("s", 1),
        a_call("s", 1, 1, ASIDE[1]),
        a_step("answer", observations=ASIDE),
        cut_off("next", attempt_after=StepId("s")),
        a_delivery(1, "answer"),
        a_step("other", key="s1:other", spec="{}", observations=(an_edit(1, "z.py"),)),
        *entries("other", an_edit(1, "z.py")),
        a_delivery(2, "other"),
    )
    assert reader.attempts_with_edits(KEY) == []
    assert reader.pool(KEY)[0].observations == ASIDE
    assert [step.id for step in reader.own_steps(run.path, run.args_digest)] == ["other"]
    assert all(seen.edit is None for seen in ASIDE)
    reader.close()


def test_contents_of_changes_in_a_worktree_stay_with_their_steps_and_go_with_them(path: Path) -> None:
    write_store(
        path,
        [
            a_run("run1"),
            *contents("old", "new", "loose"),
            a_step("s", observations=ASIDE[:2]),
            a_call("s", 1, 1, ASIDE[1]),
            a_delivery(1, "s"),
        ],
    )
    collect(path, Retention(keep_runs=1), now=10.0)
    reader = open_reader(path)
    assert reader.contents(content_digest(b"new")) == b"new"
    assert reader.contents(content_digest(b"loose")) is None
    reader.close()
    collect(path, Retention(older_than_s=0.0), now=1e9)
    assert rows(path, "SELECT count(*) FROM looks") == rows(path, "SELECT count(*) FROM blobs") == [(0,)]
    assert_whole(path)


def test_what_was_seen_in_a_worktree_does_not_travel(path: Path, tmp_path: Path) -> None:
    write_store(path, [a_step("s", observations=(ASIDE[0],))])
    done = export(path, [], tmp_path / "steps.gz", {})
    assert (done.steps, done.edited) == (0, 1)


def test_the_work_of_an_agent_cli_is_kept_also_where_it_edited_nothing(path: Path) -> None:
    """It is its turn: nobody asked for it, so that nobody could make it again."""
    work = replace(command_call("s", 2, 0, (TREE,)), name="codex", call_id=AGENT_CALL)
    reader = of(path, cut_off("s", turns=2), a_turn("s", 1), a_turn("s", 2), work)
    (step,) = reader.cut_off(KEY)
    assert (step.kept, step.observations) == ((work,), (TREE,))
    reader.close()
