"""The queue of records: order, groups, lazy records, cancellation, and the last drain."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.engine.store.making import RUN, a_delivery, a_step, in_trio, opened, with_store
from tests.engine.store.processes import go, line_of, writing_child
from vibe_workflows.engine.errors import StoreError
from vibe_workflows.engine.events import PhaseStarted
from vibe_workflows.engine.model import StepKey, StepStatus
from vibe_workflows.engine.ports import RunEvent
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.engine.store.sqlite import SqliteStore


def stored(path: Path) -> list[str]:
    reader = open_reader(path)
    try:
        return [step.id for step in reader.steps_of_run(RUN)]
    finally:
        reader.close()


def test_what_was_committed_is_there_for_every_reader(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        await store.commit([a_step("s1")])
        assert stored(path) == ["s1"]

    with_store(path, body)


def test_callbacks_run_in_the_order_of_posting_after_their_commit(path: Path) -> None:
    order: list[int] = []

    async def body(store: SqliteStore) -> None:
        def then(number: int) -> None:
            assert f"s{number}" in [step.id for step in store.reader.steps_of_run(RUN)]
            order.append(number)

        for number in range(100):
            store.post([a_step(f"s{number}")], partial(then, number), lazy=number % 3 == 0)
            if number % 10 == 0:
                await trio.lowlevel.checkpoint()
        await store.commit([])

    with_store(path, body)
    assert order == list(range(100))


def test_posts_that_wait_together_share_a_transaction(path: Path) -> None:
    seen: list[list[str]] = []

    async def body(store: SqliteStore) -> None:
        def then() -> None:
            seen.append([step.id for step in store.reader.steps_of_run(RUN)])

        for number in range(3):
            store.post([a_step(f"s{number}")], then)
        await store.commit([a_step("s3")])

    with_store(path, body)
    assert seen == [["s0", "s1", "s2", "s3"]] * 3


def test_more_records_than_a_transaction_holds_are_committed_in_order(path: Path) -> None:
    """Other processes get their turn between the transactions; the records of one post stay together."""
    order: list[int] = []

    async def body(store: SqliteStore) -> None:
        for number in range(4):
            events = [RunEvent(run_id=RUN, event=PhaseStarted(at=1.0, title=str(number), scope=0))] * 3000
            store.post(events, partial(order.append, number))
        store.post([], lambda: order.append(len(store.reader.events(RUN))))
        await store.commit([])

    with_store(path, body)
    assert order == [0, 1, 2, 3, 12_000]


def test_a_callback_may_post_again(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        finished = trio.Event()
        store.post([a_step("s1")], lambda: store.post([a_step("s2")], finished.set))
        await finished.wait()

    with_store(path, body)
    assert stored(path) == ["s1", "s2"]


def test_lazy_records_ride_along_with_the_next_commit(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        store.post([a_step("lazy")], lazy=True)
        await store.commit([a_step("s1")])
        assert stored(path) == ["lazy", "s1"]

    with_store(path, body)


def test_lazy_records_that_nothing_follows_are_written_soon(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        written = trio.Event()
        store.post([a_step("lazy")], written.set, lazy=True)
        await written.wait()

    with_store(path, body)
    assert stored(path) == ["lazy"]


def test_leaving_commits_what_was_posted(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        store.post([a_step("s1")])
        store.post([a_step("s2")], lazy=True)

    with_store(path, body)
    assert [file.name for file in path.parent.glob("vibe.db*")] == ["vibe.db"]  # nothing waits to be checkpointed
    assert stored(path) == ["s1", "s2"]


def test_leaving_by_an_error_commits_too_and_the_error_comes_out_as_it_is(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        store.post([a_step("s1")], lazy=True)
        raise KeyError("the block's own")

    with pytest.raises(KeyError, match="own"):
        with_store(path, body)
    assert stored(path) == ["s1"]


def test_a_cancelled_commit_leaves_its_records_queued(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.commit([a_step("s1")])
        assert scope.cancelled_caught
        await store.commit([a_step("s2")])

    with_store(path, body)
    assert stored(path) == ["s1", "s2"]


def test_cleaning_up_after_a_cancellation_can_still_commit(path: Path) -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            async with opened(path) as store:
                try:
                    scope.cancel()
                    await trio.sleep_forever()
                finally:
                    with trio.CancelScope(shield=True):
                        await store.commit([a_step("last words")])
                        assert stored(path) == ["last words"]
        assert scope.cancelled_caught

    in_trio(main)


def test_a_closed_store_takes_no_more_records(path: Path) -> None:
    async def main() -> None:
        async with opened(path) as store:
            pass
        with pytest.raises(StoreError, match="closed"):
            store.post([a_step("s1")])

    in_trio(main)


# ---------------------------------------------------------------- what the writer works out


def test_finishing_numbers_follow_the_order_of_completion(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        running = [a_step(name, status=StepStatus.RUNNING, result=None) for name in "abc"]
        await store.commit(running)
        assert store.reader.pool(StepKey("s1:key")) == []
        await store.commit([a_step("c")])
        await store.commit([a_step("a"), a_step("b")])
        await store.commit([a_step("c")])  # again: it keeps its number
        await store.commit([a_step("failed", status=StepStatus.FAILED)])
        assert [(each.id, each.finished_seq) for each in store.reader.pool(StepKey("s1:key"))] == [
            ("c", 1),
            ("a", 2),
            ("b", 3),
        ]

    with_store(path, body)


def test_a_step_knows_the_place_of_its_latest_delivery(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        def place() -> str:
            return store.reader.pool(StepKey("s1:key"))[0].place

        await store.commit([a_delivery(1, "s1", place="first"), a_step("s1")])  # in whichever order they were posted
        assert place() == "first"
        await store.commit([a_delivery(2, "s1", place="second")])
        assert place() == "second"
        await store.commit([a_step("s1")])
        assert place() == "second"

    with_store(path, body)


# ---------------------------------------------------------------- several processes


def test_two_processes_write_to_one_store_at_once(path: Path) -> None:
    count = 150
    with writing_child(path, "one", count) as one, writing_child(path, "two", count) as two:
        assert [line_of(child) for child in (one, two)] == [["ready", "True\n"]] * 2
        for child in (one, two):
            go(child)
        for child in (one, two):
            output, _ = child.communicate()
            assert sum(line.startswith("done") for line in output.splitlines()) == count, output
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM turns").fetchone() == (2 * count,)
    numbers = [number for (number,) in connection.execute("SELECT finished_seq FROM steps ORDER BY finished_seq")]
    connection.close()
    assert numbers == list(range(1, 2 * count + 1))


def test_processes_that_make_a_store_at_once_make_one(path: Path) -> None:
    with ExitStack() as stack:
        running = [stack.enter_context(writing_child(path, f"p{number}", 1)) for number in range(4)]
        assert [line_of(child) for child in running] == [["ready", "True\n"]] * 4
        for child in running:
            go(child)
            assert line_of(child)[0] == "done"
            child.communicate()
    assert len(stored(path)) == 4
