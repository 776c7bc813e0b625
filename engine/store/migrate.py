"""The schema: numbered SQL files, applied in order, each in one transaction with the number it brings."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreError

#: Marks a file as a vibe store in SQLite's header ("vibe"): another program's database is never touched.
APPLICATION_ID = 0x76696265

_FOLDER = Path(__file__).parent / "migrations"


@functools.cache
def latest_schema() -> int:
    """The schema that this vibe reads and writes."""
    return max(_migrations())


def schema_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema of an open database, 0 if it is empty.

    Raises StoreError for one that a newer vibe has written, and for another program's. Raises sqlite3.Error.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        if version or application or connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
            raise StoreError(f"store {path}: it is another program's database; name another file with --db")
        return 0
    if version > latest_schema():
        raise StoreError(
            f"store {path}: written by a newer vibe: schema {version}, this one reads up to {latest_schema()}; "
            "upgrade vibe-workflows or use --db"
        )
    return int(version)


def migrate(connection: sqlite3.Connection, path: Path) -> Iterator[int]:
    """Apply what is missing, one migration a step, inside the transaction that the caller holds; yields each number.

    Raises sqlite3.Error, and StoreError as `schema_of`.
    """
    start = schema_of(connection, path)
    for number, file in sorted(_migrations().items()):
        if number > start:
            for statement in _statements(file.read_text(encoding="utf-8")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
            yield number


def _migrations() -> dict[int, Path]:
    return {int(file.stem): file for file in _FOLDER.glob("*.sql")}


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit the transaction that is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
