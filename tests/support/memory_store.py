"""The store in memory: the product's own statements and reads, without a file, a thread or a wait.

What is posted is durable when somebody waits for it, or posts what is not lazy: so a kill loses as much as it can.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from vibe_workflows.engine.ports import Record
from vibe_workflows.engine.store.blobs import deflate
from vibe_workflows.engine.store.migrate import migrate
from vibe_workflows.engine.store.reader import SqliteReader
from vibe_workflows.engine.store.writer import write_records

_NOWHERE = Path("/no such folder/vibe.db")


@functools.cache
def _empty() -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for _number in migrate(connection, _NOWHERE):
            pass
        return connection.serialize()
    finally:
        connection.close()


class MemoryStore:
    """Implements `ports.Store`. Somebody must `serve` it. After `die`, nothing is written until `revive`."""

    reusable = True

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.deserialize(_empty())
        self.connection.create_function("deflate", 1, deflate)
        self.reader = SqliteReader(self.connection, _NOWHERE)
        self._posts: list[tuple[Sequence[Record], Callable[[], None] | None]] = []
        self._wake = trio.Event()
        self._dead = False
        self._heard: Callable[[Sequence[Record]], None] = lambda records: None

    def close(self) -> None:
        self.connection.close()

    def die(self) -> None:
        self._dead = True
        self._posts.clear()

    def revive(self, heard: Callable[[Sequence[Record]], None]) -> None:
        """A process opens it. `heard` is told of all records as they are posted."""
        self._dead = False
        self._heard = heard

    def post(self, records: Sequence[Record], then: Callable[[], None] | None = None, *, lazy: bool = False) -> None:
        if self._dead:
            return
        self._heard(records)
        self._posts.append((records, then))
        if not lazy:
            self._wake.set()

    async def commit(self, records: Sequence[Record]) -> None:
        await trio.lowlevel.checkpoint()
        if not self._dead:
            self._heard(records)
            self._posts.append((records, None))
            self.flush()

    async def serve(self) -> None:
        while True:
            self._wake = trio.Event()
            await self._wake.wait()
            self.flush()

    def flush(self) -> None:
        posts, self._posts = self._posts, []
        self.write([record for records, _ in posts for record in records])
        for _, then in posts:
            if then is not None:
                then()

    def write(self, records: Sequence[Record]) -> None:
        self.connection.execute("BEGIN")
        write_records(self.connection, records)
        self.connection.execute("COMMIT")
