"""Edits in the store: what is written of them is what is read, and what takes them back does no more than that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.engine.store.editing import (
    KEY,
    a_call,
    a_change,
    a_look,
    a_turn,
    an_edit,
    contents,
    cut_off,
    digest_of,
    edit_call,
    entries,
)
from tests.engine.store.making import RUN, a_delivery, a_run, a_step, with_store
from tests.support.stores import rows, write_store
from vibe_workflows.engine.errors import StoreError
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import Edit, RunId, RunStatus, StepId, StepStatus
from vibe_workflows.engine.ports import FileChange, FileContents, Record, SeenAgain, StartedOver, Withdrawn
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.reader import SqliteReader, open_reader
from vibe_workflows.engine.store.sqlite import SqliteStore


class Reads(Protocol):
    """A reader of a store that holds these records too, each written in a transaction of its own."""

    def __call__(self, *records: Record) -> SqliteReader: ...


@pytest.fixture
def read(path: Path) -> Iterator[Reads]:
    with ExitStack() as readers:

        def made(*records: Record) -> SqliteReader:
            for record in records:
                write_store(path, [record])
            reader = open_reader(path)
            readers.callback(reader.close)
            return reader

        yield made


@pytest.mark.parametrize("data", [b"", b"\x00\xff not UTF-8", b"x" * 100_000])
def test_contents_are_read_as_they_were_written_and_only_by_their_digest(read: Reads, data: bytes) -> None:
    reader = read(FileContents(digest=content_digest(data), data=data))
    assert reader.contents(content_digest(data)) == data
    assert reader.contents(content_digest(b"other")) is None


def test_damaged_contents_are_an_error_and_never_given(path: Path, read: Reads) -> None:
    write_store(path, contents("new"), ("UPDATE blobs SET data = x'00'", ()))
    with pytest.raises(StoreError, match="is not what was written"):
        read().contents(content_digest(b"new"))


def test_a_chain_gives_the_entries_of_its_paths_by_epoch_and_each_in_its_last_state(read: Reads) -> None:
    one, two, other = an_edit(5), an_edit(9, before="new", after=None), an_edit(7, "b.py", None, "new")
    reader = read(*entries("s", two), *entries("s", one, other, done=False), *entries("s", one), a_step("s"))
    assert reader.chains(["a.py", "none.py"]) == [*entries("s", one, two)]
    assert [entry.epoch for entry in reader.chains(["b.py", "a.py"])] == [5, 7, 9]
    assert reader.chains([]) == []
    assert reader.chains(["a.py\0"]) == []  # as no file is called: a made-up row may be, and is not the chain of `a.py`


def test_only_intended_changes_of_runs_that_nobody_works_on_are_unsettled(path: Path, read: Reads) -> None:
    alive = RunId("alive")
    reader = read(
        *entries("s", an_edit(1), done=True),
        *entries("s", an_edit(3), done=False),
        *entries("s", an_edit(2), run_id=alive, done=False),
    )
    with RunLocks(path).hold(alive):
        assert [[entry.epoch for entry in group] for group in reader.unsettled_changes()] == [[3]]
    assert [[entry.epoch for entry in group] for group in reader.unsettled_changes()] == [[2], [3]]


@pytest.mark.parametrize(
    "record",
    [
        a_step("s", observations=(a_look("a"), a_look("b", epoch=30), a_look("c", epoch=20))),
        a_call("s", 1, 1, a_look("b", epoch=30)),
        *entries("s", an_edit(30)),
        SeenAgain(step_id=StepId("s"), observations=(a_look("b", epoch=30),)),
    ],
    ids=lambda record: type(record).__name__,
)
def test_the_latest_epoch_is_the_highest_that_any_record_brought(read: Reads, record: Record) -> None:
    assert read(a_step("old")).latest_epoch() == 0
    assert read(record).latest_epoch() == 30
    assert read(*entries("s", an_edit(8))).latest_epoch() == 30
    assert read(*entries("s", an_edit(100))).latest_epoch() == 100


def test_what_a_step_saw_comes_back_with_epochs_and_changes(read: Reads) -> None:
    seen = (
        a_look("a", epoch=3),
        an_edit(4),
        an_edit(5, "b.py", None, ""),
        an_edit(6, "c.py", "old", None),
        a_look("b"),
    )
    step = a_step("s", observations=seen)
    reader = read(step, a_call("s", 1, 1, an_edit(4)), a_call("s", 1, 2, a_look("a")))
    assert reader.step(step.id) == step
    (stored,) = reader.pool(KEY)
    assert (stored.observations, stored.inherited) == (seen, ())
    assert [call.observations for call in reader.tool_calls(step.id)] == [(an_edit(4),), (a_look("a"),)]


def test_a_row_that_had_a_change_has_none_when_it_is_written_again_without(path: Path, read: Reads) -> None:
    reader = read(a_step("s", observations=(an_edit(4),)), a_step("s", observations=(a_look("a"),)))
    assert reader.pool(KEY)[0].observations == (a_look("a"),)
    write_store(path, [a_call("s", 1, 1, an_edit(4)), a_call("s", 1, 1, a_look("a")), a_call("s", 1, 2, an_edit(5))])
    assert [call.observations for call in reader.tool_calls(StepId("s"))] == [(a_look("a"),), (an_edit(5),)]


def test_a_step_that_edits_again_saw_what_it_saw_at_its_new_epochs(read: Reads) -> None:
    again = (a_look("a", epoch=20), an_edit(21, before="other"))
    reader = read(
        a_step("s", observations=(a_look("a", epoch=3), an_edit(4))),
        SeenAgain(step_id=StepId("s"), observations=again),
    )
    (stored,) = reader.pool(KEY)
    assert (stored.observations, stored.finished_seq) == (again, 1)


def test_a_script_that_starts_over_has_no_deliveries_of_before_in_one_transaction_too(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        old, new, other = a_delivery(1, "s"), a_delivery(2, "s"), a_delivery(3, "s", run_id=RunId("other"))
        await store.commit([a_step("s"), old, other, StartedOver(run_id=RUN), new])
        assert [each.delivery for each in store.reader.deliveries(RUN)] == [new]
        assert len(store.reader.deliveries(RunId("other"))) == 1

    with_store(path, body)


# ---------------------------------------------------------------- steps without an answer


def test_of_a_last_turn_with_an_edit_that_was_made_the_calls_are_kept(read: Reads) -> None:
    reader = read(
        cut_off("s", observations=(a_look("attached", epoch=1),)),
        a_turn("s", 1),
        a_call("s", 1, 1, a_look("a", epoch=2)),
        a_turn("s", 2),
        a_call("s", 2, 1, a_look("b", epoch=3)),
        *edit_call("s", 2, 2, an_edit(4)),
        a_call("s", 2, 3, None),
        *edit_call("s", 2, 4, an_edit(5, "b.py"), done=False),
    )
    (step,) = reader.cut_off(KEY)
    assert step.turns == 2
    assert [(call.turn, call.number) for call in step.kept] == [(2, 1), (2, 2), (2, 3)]
    assert step.observations == (a_look("attached", epoch=1), a_look("a", epoch=2), a_look("b", epoch=3), an_edit(4))


def test_of_a_last_turn_whose_edits_were_not_made_nothing_counts(read: Reads) -> None:
    reader = read(
        cut_off("s"),
        a_turn("s", 1),
        a_call("s", 1, 1, a_look("b", epoch=3)),
        *edit_call("s", 1, 2, an_edit(4), done=False),
    )
    (step,) = reader.cut_off(KEY)
    assert (step.kept, step.observations) == ((), ())


def test_calls_that_were_kept_belong_to_all_that_go_on_with_them(path: Path, read: Reads) -> None:
    reader = read(
        cut_off("one"),
        a_turn("one", 1),
        a_call("one", 1, 1, a_look("a", epoch=1)),
        *edit_call("one", 1, 2, an_edit(2)),
        cut_off("two", predecessor=StepId("one"), turns=1),
        a_call("two", 1, 3, a_look("b", epoch=3)),
    )
    # Cut off once more before it finished a turn of its own: the turn that it was in is still the first one.
    (step,) = reader.cut_off(KEY)
    assert (step.id, [call.number for call in step.kept]) == ("two", [1, 2, 3])
    assert step.observations == (a_look("a", epoch=1), an_edit(2), a_look("b", epoch=3))
    write_store(path, [a_turn("two", 2), a_call("two", 2, 1, a_look("c"))])
    (step,) = reader.cut_off(KEY)
    assert (step.turns, step.kept) == (2, ())
    assert step.observations == (a_look("a", epoch=1), an_edit(2), a_look("b", epoch=3))
    seen = [each for call in reader.tool_calls(StepId("two")) for each in call.observations]
    assert seen == [*step.observations, a_look("c")]


def test_a_step_that_was_gone_on_with_twice_keeps_the_turns_before_though_it_finished_none_between(read: Reads) -> None:
    reader = read(
        cut_off("one"),
        a_turn("one", 1),
        a_call("one", 1, 1, a_look("a")),
        a_turn("one", 2),
        a_call("one", 2, 1, a_look("b", "of one")),
        cut_off("two", predecessor=StepId("one"), turns=2),
        a_call("two", 2, 1, a_look("b", "of two")),
        cut_off("three", predecessor=StepId("two"), turns=2),
        a_call("three", 2, 1, a_look("b", "of three")),
        a_turn("three", 3),
    )
    (step,) = reader.cut_off(KEY)
    assert (step.id, step.observations) == ("three", (a_look("a"), a_look("b", "of three")))


def test_the_same_look_counts_once_unless_an_edit_came_between(read: Reads) -> None:
    looks = [a_look("a", epoch=1), a_look("a", epoch=2), an_edit(3), a_look("a", epoch=4), a_look("a", epoch=5)]
    reader = read(cut_off("s"), *[a_call("s", 1, n, look) for n, look in enumerate(looks)], a_turn("s", 2))
    (step,) = reader.cut_off(KEY)
    assert step.observations == (a_look("a", epoch=1), an_edit(3), a_look("a", epoch=4))


def test_attempts_with_edits_are_those_that_edited_and_that_nobody_owns_yet(path: Path, read: Reads) -> None:
    alive = RunId("alive")
    reader = read(
        a_run("alive", status=RunStatus.RUNNING, finished_at=None),
        cut_off("looked", StepStatus.FAILED),
        a_call("looked", 1, 1, a_look("a")),
        cut_off("failed", StepStatus.FAILED, started_at=3.0),
        a_turn("failed", 1),
        *edit_call("failed", 1, 1, an_edit(1)),
        cut_off("lost", started_at=2.0),
        a_turn("lost", 1),
        *edit_call("lost", 1, 1, an_edit(2)),
        cut_off("working", StepStatus.RUNNING, run_id=alive),
        a_turn("working", 1),
        *edit_call("working", 1, 1, an_edit(3)),
        cut_off("undone"),
        a_turn("undone", 1),
        a_call("undone", 1, 1, an_edit(9)),
    )
    with RunLocks(path).hold(alive):
        found = reader.attempts_with_edits(KEY)
        assert [(step.id, step.observations) for step in found] == [("lost", (an_edit(2),)), ("failed", (an_edit(1),))]
        write_store(path, [cut_off("next", StepStatus.FAILED, started_at=4.0, attempt_after=StepId("failed"))])
        (lost, next_) = reader.attempts_with_edits(KEY)
        assert (lost.id, next_.id, next_.observations) == ("lost", "next", ())
        assert next_.inherited == (Edit(epoch=1, change=a_change("a.py", "old", "new")),)
        write_store(path, [a_step("answer", attempt_after=StepId("next")), a_step("on", predecessor=StepId("lost"))])
        assert reader.attempts_with_edits(KEY) == []


def test_a_step_inherits_the_edits_of_all_attempts_before_it_and_of_what_they_go_on_with(read: Reads) -> None:
    reader = read(
        *[
            record
            for n, id_ in enumerate(("one", "two", "three", "first"), 1)
            for record in edit_call(id_, 1, 1, an_edit(n))
        ],
        cut_off("one"),
        cut_off("two", predecessor=StepId("one")),
        cut_off("three", attempt_after=StepId("two")),
        cut_off("first", attempt_after=StepId("three")),
        a_step("answer", predecessor=StepId("first"), observations=(an_edit(4),)),
        a_step("after", attempt_after=StepId("first"), observations=(an_edit(4),)),
    )
    (stored, after) = reader.pool(KEY)
    assert after.inherited == stored.inherited, "what is its own it does not inherit"
    assert stored.observations == (an_edit(4),)
    assert [edit.epoch for edit in stored.inherited] == [1, 2, 3]
    assert stored.inherited[0].change == a_change("a.py", "old", "new")


# ---------------------------------------------------------------- what is taken back


def test_an_edit_that_was_never_made_is_made_again_when_its_step_goes_on(read: Reads) -> None:
    reader = read(
        cut_off("s"),
        a_turn("s", 1),
        *edit_call("s", 1, 1, an_edit(1)),
        *edit_call("s", 1, 2, an_edit(2, "b.py"), done=False),
        Withdrawn(epochs=(2,)),
    )
    assert [entry.epoch for entry in reader.chains(["a.py", "b.py"])] == [1]
    assert [call.number for call in reader.tool_calls(StepId("s"))] == [1]
    assert [call.number for call in reader.cut_off(KEY)[0].kept] == [1]


@pytest.mark.parametrize(
    "built",
    [
        a_step("s", observations=(an_edit(1),)),
        a_turn("s", 2),
        cut_off("next", predecessor=StepId("s")),
        cut_off("next", attempt_after=StepId("s")),
    ],
    ids=["answered", "went on", "was gone on with", "was tried again"],
)
def test_an_edit_that_something_was_built_on_stays_known_when_it_is_taken_back(
    path: Path, read: Reads, built: Record
) -> None:
    reader = read(cut_off("s"), a_turn("s", 1), *edit_call("s", 1, 1, an_edit(1)), built, Withdrawn(epochs=(1,)))
    assert reader.chains(["a.py"]) == []
    assert rows(path, "SELECT epoch FROM looks") == [(1,)]
    assert [stored.observations for stored in reader.pool(KEY)] in ([], [(an_edit(1),)])


def test_an_edit_may_be_intended_withdrawn_and_intended_again_in_one_transaction(path: Path, read: Reads) -> None:
    first, second = an_edit(1), an_edit(2)
    write_store(
        path,
        [
            cut_off("s"),
            a_turn("s", 1),
            *edit_call("s", 1, 1, first),
            Withdrawn(epochs=(1,)),
            *edit_call("s", 1, 1, second),
        ],
    )
    reader = read()
    assert [entry.epoch for entry in reader.chains(["a.py"])] == [2]
    assert [call.observations for call in reader.tool_calls(StepId("s"))] == [(second,)]


def test_contents_in_a_column_itself_are_no_contents(path: Path, read: Reads) -> None:
    write_store(path, [a_step("s", observations=(an_edit(1),))], ("UPDATE observations SET after = 'new'", ()))
    with pytest.raises(StoreError, match="no blob"):
        read().pool(KEY)


def test_entries_know_whether_the_file_was_there(read: Reads) -> None:
    entry = FileChange(epoch=1, change=a_change("n.py", None, ""), step_id=StepId("s"), run_id=RUN, done=True)
    assert read(entry).chains(["n.py"]) == [entry]
    assert entry.change.after == digest_of("")
