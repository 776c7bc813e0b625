"""The one connection of a process that writes. aiosqlite gives it a thread, and the island the way there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias, assert_never

import aiosqlite

from ..model import Attempt, Delivery, Run, Step, ToolCall, Turn
from ..ports import Record, RunEvent, Source
from . import rows, tables
from .blobs import INSERT_BLOB, BlobWriter, deflate

_Statement: TypeAlias = tuple[str, Iterable[rows.Row]]

_SET_UP = """
PRAGMA trusted_schema = OFF;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA journal_size_limit = 67108864;
-- That it can be written shows now, not at the first commit; this changes nothing, but asks for the right to.
BEGIN IMMEDIATE;
DELETE FROM meta WHERE name = '';
COMMIT;
"""

_UPSERT_RUN = tables.RUNS.upsert
_UPSERT_SOURCE = tables.SOURCES.upsert
_UPSERT_STEP = tables.STEPS.upsert
_UPSERT_OBSERVATION = tables.OBSERVATIONS.upsert
_UPSERT_ATTEMPT = tables.ATTEMPTS.upsert
_UPSERT_TURN = tables.TURNS.upsert
_UPSERT_TOOL_CALL = tables.TOOL_CALLS.upsert
_UPSERT_DELIVERY = tables.DELIVERIES.upsert


class Writer:
    """Writes records, one transaction a call, one call at a time. Everything but `abandon` runs on the island."""

    def __init__(self, connection: aiosqlite.Connection, records: _RecordConnection) -> None:
        self._connection = connection
        self._records = records

    @classmethod
    async def open(cls, path: Path, busy_timeout_s: float) -> Writer:
        """Raises sqlite3.Error where the store cannot be written."""
        made: list[_RecordConnection] = []

        def factory(*args: object, **kwargs: object) -> _RecordConnection:
            made.append(_RecordConnection(*args, **kwargs))  # type: ignore[arg-type]
            return made[0]

        connection = await aiosqlite.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=busy_timeout_s, isolation_level=None, factory=factory
        )
        try:
            await connection.executescript(_SET_UP)
            await connection.create_function("deflate", 1, deflate)
        except BaseException:
            await connection.close()
            raise
        return cls(connection, made[0])

    async def write(self, records: Sequence[Record]) -> None:
        """Commit all the records, or raise and leave no trace of them. Cancelled, it may have done either."""
        self._records.pending = records
        await self._connection.commit()

    async def close(self) -> None:
        await self._connection.close()

    def abandon(self) -> None:
        """Close without the loop, when that is gone: the connection's thread would keep the interpreter from ending.

        To be called in a thread that has never had a loop.
        """
        self._connection.stop()


class _RecordConnection(sqlite3.Connection):
    """A connection whose `commit` writes the pending records first.

    So a whole transaction is one trip to the connection's thread, and nothing can come between its statements.
    """

    pending: Sequence[Record] = ()

    def commit(self) -> None:
        records, self.pending = self.pending, ()
        self.execute("BEGIN IMMEDIATE")  # waits for other processes here, and never after
        try:
            write_records(self, records)
            self.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise


def write_records(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Write records inside the transaction that the caller holds, on a connection that knows `deflate`."""
    for sql, cells in _statements(records):
        connection.executemany(sql, cells)


def _statements(records: Sequence[Record]) -> list[_Statement]:
    """What writes the records, a table at a time. A step comes before its delivery, which says its place."""
    runs: list[Run] = []
    sources: list[Source] = []
    steps: list[Step] = []
    attempts: list[Attempt] = []
    turns: list[Turn] = []
    calls: list[ToolCall] = []
    deliveries: list[Delivery] = []
    told: list[RunEvent] = []
    for record in records:
        match record:
            case Step():
                steps.append(record)
            case Delivery():
                deliveries.append(record)
            case RunEvent():
                told.append(record)
            case Turn():
                turns.append(record)
            case Attempt():
                attempts.append(record)
            case ToolCall():
                calls.append(record)
            case Run():
                runs.append(record)
            case Source():
                sources.append(record)
            case _:
                assert_never(record)

    blobs = BlobWriter()
    put = blobs.cell
    statements: list[_Statement] = [
        (_UPSERT_SOURCE, [rows.source_row(each, put) for each in sources]),
        (_UPSERT_RUN, [rows.run_row(each, put) for each in runs]),
        (_UPSERT_STEP, [rows.step_row(each, put) for each in steps]),
        (_UPSERT_OBSERVATION, [row for each in steps for row in rows.observation_rows(each, put)]),
        (_UPSERT_ATTEMPT, [rows.attempt_row(each, put) for each in attempts]),
        (_UPSERT_TURN, [rows.turn_row(each, put) for each in turns]),
        (_UPSERT_TOOL_CALL, [rows.tool_call_row(each, put) for each in calls]),
        (_UPSERT_DELIVERY, [rows.delivery_row(each, put) for each in deliveries]),
        (tables.UPDATE_PLACE, [rows.place_row(each) for each in deliveries]),
        (tables.INSERT_EVENT, [rows.event_row(each, put) for each in told]),
    ]
    statements.append((INSERT_BLOB, blobs.rows()))
    return [statement for statement in statements if statement[1]]
