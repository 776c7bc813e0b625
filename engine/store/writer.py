"""The one connection of a process that writes. aiosqlite gives it a thread, and the island the way there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import aiosqlite

from ..ports import Record
from .batch import Batch, Statement, corrections
from .blobs import deflate

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
    """Write records inside the transaction that the caller holds, on a connection that knows `deflate`.

    A record that takes back what others say is written between those before it and those after it.
    """
    batch = Batch()
    for record in records:
        correction = batch.add(record)
        if correction is not None:
            _execute(connection, [*batch.statements(), *corrections(correction)])
            batch = Batch()
    _execute(connection, batch.statements())


def _execute(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    for sql, cells in statements:
        connection.executemany(sql, cells)
