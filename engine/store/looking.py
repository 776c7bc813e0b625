"""A store as the next run would find it, for what looks ahead: the file is neither made nor changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from ..ports import Record, StoreReader
from .failures import store_error
from .migrate import migrate
from .origin import StoreOrigins
from .reader import SqliteReader, StoreNotReady, open_reader


class StoreLook:
    """The port `Store`, which keeps nothing: what is posted is done with at once."""

    def __init__(self, reader: StoreReader, warning: str | None) -> None:
        self.reader = reader
        self.reusable = warning is None
        self.warning = warning

    def post(self, records: Sequence[Record], then: Callable[[], None] | None = None, *, lazy: bool = False) -> None:
        if then is not None:
            then()

    async def commit(self, records: Sequence[Record]) -> None:
        """As `post`."""


@contextmanager
def open_look(path: Path, origins: StoreOrigins) -> Iterator[StoreLook]:
    """The store at `path` for the block. One that is not there is empty, and one of an older schema is read as what a
    run would make of it. Raises StoreError.
    """
    path = path.absolute()
    try:
        reader = open_reader(path)
    except StoreNotReady:
        reader = _in_memory(path)
    with closing(reader):
        warning = origins.problem(reader.store_id(), path) if reader.named else None
        yield StoreLook(reader, warning)


def _in_memory(path: Path) -> SqliteReader:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        if path.exists():
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
                file.backup(connection)
        connection.execute("PRAGMA trusted_schema = OFF")
        for _ in migrate(connection, path):
            pass
    except sqlite3.Error as error:
        connection.close()
        raise store_error(path, error) from error
    return SqliteReader(connection, path)
