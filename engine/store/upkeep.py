"""Connections for what is done to a store outside of a run: looking at all of it, collecting, importing. Blocking.

Another process may write at any time, so each change is a short transaction of its own, after which all references
hold: killed at any point, nothing has to be mended.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import StoreError
from .blobs import deflate
from .failures import store_errors
from .reader import connect
from .schema import schema_problem

_BUSY_TIMEOUT_S = 15.0


@contextmanager
def open_for_upkeep(path: Path) -> Iterator[sqlite3.Connection]:
    """The store at `path`, of this vibe's schema. Raises StoreError, also for what fails in the block."""
    with store_errors(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None
        )
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            _require_own_schema(connection, path)
            connection.execute("PRAGMA synchronous = FULL")
            connection.create_function("deflate", 1, deflate)
            yield connection
        finally:
            connection.close()


@contextmanager
def open_for_looking(path: Path) -> Iterator[sqlite3.Connection]:
    """The store at `path`, of this vibe's schema, to read. Raises StoreError, also for what fails in the block."""
    with store_errors(path), closing(connect(path)) as connection:
        _require_own_schema(connection, path)
        yield connection


def _require_own_schema(connection: sqlite3.Connection, path: Path) -> None:
    """A view could keep us busy for ever, and a trigger would run along with what we change."""
    problem = schema_problem(connection)
    if problem is not None:
        raise StoreError(f"store {path}: {problem}; move it away, or use --db")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block is committed, or nothing. Waits for other writers at its beginning, and never after."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def data_version(connection: sqlite3.Connection) -> int:
    """Changes when another connection has committed, and only then."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def used_bytes(connection: sqlite3.Connection) -> int:
    """What the store takes without the space that is free within its file."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def bytes_on_disk(path: Path) -> int:
    """Of the store and the log that SQLite keeps beside it."""
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
