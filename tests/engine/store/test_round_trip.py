"""What is written is what is read, for every record; long texts, Unicode, faults and unknown costs included."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.engine.store import records
from tests.engine.store.making import RUN, a_delivery, a_run, a_step, with_store
from vibe_workflows.engine import events
from vibe_workflows.engine.errors import StoreError
from vibe_workflows.engine.model import Attempt, Delivery, Fault, Observation, Run, Step, ToolCall, Turn, Usage
from vibe_workflows.engine.ports import (
    Disinherited,
    FileChange,
    FileContents,
    Record,
    RunEvent,
    SeenAgain,
    Source,
    StartedOver,
    StoreReader,
    Withdrawn,
)
from vibe_workflows.engine.store.blobs import INLINE_BYTES
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.engine.store.sqlite import SqliteStore

any_record: st.SearchStrategy[Record] = st.one_of(
    records.runs,
    records.sources,
    records.steps,
    records.attempts,
    records.turns,
    records.tool_calls,
    records.deliveries,
    records.run_events,
    records.file_changes,
    records.file_contents,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project") / ".vibe" / "vibe.db"


def assert_stored(reader: StoreReader, record: Record) -> None:
    match record:
        case Run():
            assert reader.run(record.id) == record
        case Source():
            assert reader.source(record.digest) == record.text
        case Step():
            assert record in reader.steps_of_run(record.run_id)
        case Attempt():
            assert record in reader.attempts(record.step_id)
        case Turn():
            assert record in reader.turns(record.step_id)
        case ToolCall():
            assert record in reader.tool_calls(record.step_id)
        case Delivery():
            assert record in [each.delivery for each in reader.deliveries(record.run_id)]
        case RunEvent():
            assert record.event in [event for _, event in reader.events(record.run_id)]
        case FileChange():
            assert record in reader.chains([record.change.path])
        case FileContents():
            assert reader.contents(record.digest) == record.data
        case SeenAgain() | Disinherited() | StartedOver() | Withdrawn():
            raise AssertionError("these take back what others say")


def identity(record: Record) -> object:
    match record:
        case Run() | Step():
            return type(record), record.id
        case Source() | FileContents():
            return type(record), record.digest
        case FileChange():
            return type(record), record.epoch
        case RunEvent():
            return type(record), record.run_id
        case Delivery():
            return type(record), record.run_id, record.number
        case Attempt() | Turn():
            return type(record), record.step_id, record.number
        case ToolCall():
            return type(record), record.step_id, record.turn, record.number
        case SeenAgain() | Disinherited() | StartedOver() | Withdrawn():
            return record


@settings(max_examples=max(50, settings().max_examples // 2))
@given(batch=st.lists(any_record, min_size=1, max_size=8, unique_by=identity))
def test_every_record_is_read_as_it_was_written(path: Path, batch: list[Record]) -> None:
    # A delivery is shown with its step.
    own = {each.id for each in batch if isinstance(each, Step)}
    steps = [a_step(each.step_id) for each in batch if isinstance(each, Delivery) and each.step_id not in own]

    async def body(store: SqliteStore) -> None:
        await store.commit([*batch, *steps])
        for record in batch:
            assert_stored(store.reader, record)

    with_store(path, body)
    reader = open_reader(path)  # and after everything was closed
    for record in batch:
        assert_stored(reader, record)
    reader.close()


@settings(max_examples=max(25, settings().max_examples // 4))
@given(before=records.steps, after=records.steps)
def test_a_record_written_again_has_its_new_state(path: Path, before: Step, after: Step) -> None:
    after = replace(after, id=before.id)

    async def body(store: SqliteStore) -> None:
        await store.commit([before])
        await store.commit([after])
        assert [step for step in store.reader.steps_of_run(RUN) if step.id == before.id] == [after]

    with_store(path, body)


def test_writing_the_same_records_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vibe.db"
    call = ToolCall(
        step_id=a_step("s1").id,
        turn=1,
        number=1,
        call_id="c",
        name="read_file",
        arguments="{}",
        output="text",
        outcome="ok",
        started_at=1.0,
        finished_at=2.0,
        observations=(Observation(tool="read_file", arguments='{"path":"a"}', digest="d"),),
    )
    batch: Sequence[Record] = [a_run("r1"), a_step("s1"), call, a_delivery(1, "s1"), Source(digest="x", text="y")]

    async def body(store: SqliteStore) -> None:
        await store.commit(batch)
        await store.commit([a_step("s2")])
        dump = _dump(path)
        await store.commit(batch)
        assert _dump(path) == dump

    with_store(path, body)


def _dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_long_texts_are_blobs_stored_once_and_short_ones_stay_in_their_column(tmp_path: Path) -> None:
    path = tmp_path / "vibe.db"
    short, long = "s" * INLINE_BYTES, "l" * (INLINE_BYTES + 1)
    wide = "é" * (INLINE_BYTES // 2 + 1)  # short in characters, long in bytes

    async def body(store: SqliteStore) -> None:
        await store.commit([a_step("a", spec=long, result=short), a_step("b", spec=long, result=wide)])
        await store.commit([a_step("c", spec=long, result=short)])
        assert [step.spec for step in store.reader.steps_of_run(RUN)] == [long, long, long]

    with_store(path, body)
    connection = sqlite3.connect(path)
    columns = connection.execute("SELECT typeof(spec), typeof(result) FROM steps ORDER BY id").fetchall()
    blobs = connection.execute("SELECT length(digest), size, length(data) FROM blobs ORDER BY size").fetchall()
    connection.close()
    assert columns == [("blob", "text"), ("blob", "blob"), ("blob", "text")]
    assert [(length, size) for length, size, _ in blobs] == [(32, len(long)), (32, len(wide.encode()))]
    assert all(stored < size for _, size, stored in blobs)


def test_a_blob_that_was_tampered_with_is_an_error_and_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "vibe.db"
    with_store(path, lambda store: store.commit([a_step("a", result='"' + "r" * 3000 + '"')]))
    connection = sqlite3.connect(path)
    (data,) = connection.execute("SELECT data FROM blobs").fetchone()
    forged = zlib.compress(zlib.decompress(data).replace(b"r", b"x"))
    for replacement in (forged, b"garbage", None):
        with connection:
            if replacement is None:
                connection.execute("DELETE FROM blobs")
            else:
                connection.execute("UPDATE blobs SET data = ?", (replacement,))
        reader = open_reader(path)
        with pytest.raises(StoreError, match="damaged"):
            reader.pool(a_step("a").key)
        reader.close()
    connection.close()


def test_text_that_utf8_cannot_hold_is_stored_with_question_marks(tmp_path: Path) -> None:
    broken = "a\ud800b"
    message = "m" * 3000 + broken
    batch: Sequence[Record] = [
        a_run("r1", path=broken, args=broken, fault=Fault(type="T", message=broken)),
        a_step("s1", result=broken, model=broken),
        a_delivery(1, "s1", label=broken),
        RunEvent(run_id=RUN, event=events.Logged(at=1.0, message=message)),
    ]

    async def body(store: SqliteStore) -> None:
        await store.commit(batch)
        reader = store.reader
        run = reader.latest_run(broken, "args")
        assert run is not None
        assert run.fault is not None
        assert (run.path, run.args, run.fault.message) == ("a?b", "a?b", "a?b")
        (delivered,) = reader.deliveries(RUN)
        assert (delivered.delivery.label, delivered.step.result, delivered.step.model) == ("a?b", "a?b", "a?b")
        ((_, event),) = reader.events(RUN)
        assert isinstance(event, events.Logged)
        assert event.message == "m" * 3000 + "a?b"

    with_store(tmp_path / "vibe.db", body)


def test_an_unknown_cost_is_null_and_a_free_call_is_zero(tmp_path: Path) -> None:
    path = tmp_path / "vibe.db"
    unknown, free = Usage(cost_microusd=None), Usage(cost_microusd=0)
    with_store(path, lambda store: store.commit([a_step("a", usage=unknown), a_step("b", usage=free)]))
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT cost_microusd FROM steps ORDER BY id").fetchall() == [(None,), (0,)]
    connection.close()


def test_the_schema_is_readable_by_any_tool(tmp_path: Path) -> None:
    """Plain SQL answers questions about a trace; latency is a column of its own."""
    path = tmp_path / "vibe.db"
    turn = Turn(
        step_id=a_step("s").id,
        number=1,
        attempt=1,
        model="m",
        input="[]",
        output="{}",
        outcome="stop",
        started_at=1.0,
        finished_at=3.5,
    )
    with_store(path, lambda store: store.commit([turn, a_step("s", fault=Fault(type="Timeout", message="late"))]))
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT latency_s FROM turns").fetchall() == [(2.5,)]
    assert connection.execute("SELECT json_extract(fault, '$.type') FROM steps").fetchall() == [("Timeout",)]
    connection.close()
