"""A store before its first use: its folder, its file, its schema and its id. Blocking."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from ..errors import StoreError
from .failures import is_full, store_error
from .locks import folder_lock
from .migrate import latest_schema, migrate, schema_of
from .origin import StoreOrigins
from .whole_file import write_whole

_GITIGNORE = """\
# What vibe keeps here is for this machine only. Workflows and agents are yours to commit.
*
!/workflows/
!/workflows/**
!/agents/
!/agents/**
"""


class NewStore(Struct, frozen=True, kw_only=True):
    """What a store gets when it is made."""

    created_at: float
    id: Callable[[], str]


def prepare(path: Path, origins: StoreOrigins, new: NewStore, *, busy_timeout_s: float) -> str | None:
    """Make the store at `path`, or bring its schema up to date; does nothing to one that is ready.

    Several processes may do so at once. Returns a warning for the user, if there is one. Raises StoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with folder_lock(path.parent):
            _make_ignored(path.parent)
            _make_file(path)
            connection = sqlite3.connect(path, isolation_level=None, timeout=busy_timeout_s)
            try:
                return _migrate(connection, path, origins, new)
            finally:
                connection.close()
    except (sqlite3.Error, OSError) as error:
        raise store_error(path, error) from error


def _make_ignored(folder: Path) -> None:
    """An empty file would count as the user's own, and git would see the store."""
    ignore = folder / ".gitignore"
    if folder.name == ".vibe" and not ignore.exists():
        write_whole(ignore, _GITIGNORE, mode=0o666)  # alone: the folder is locked


def _make_file(path: Path) -> None:
    """SQLite would make it readable for others; the files that it puts beside it take over its mode."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _migrate(connection: sqlite3.Connection, path: Path, origins: StoreOrigins, new: NewStore) -> str | None:
    connection.execute("PRAGMA trusted_schema = OFF")
    if schema_of(connection, path) == latest_schema():
        return None
    warning = None
    # Only a file that is still empty takes this: `vibe cache gc` can then give space back in small transactions.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in migrate(connection, path):
            if number == 1:
                warning = _name(connection, path, origins, new)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema_version', ?)", (str(number),))
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return warning


def _name(connection: sqlite3.Connection, path: Path, origins: StoreOrigins, new: NewStore) -> str | None:
    """Give a new store its id. It is known before anyone can read it."""
    store_id = new.id()
    meta = (("store_id", store_id), ("created_at", repr(new.created_at)))
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
    try:
        origins.record(store_id, path, trusted=False)
    except StoreError as error:
        if is_full(error.__cause__):
            raise  # room can be made, and a store that is not listed would answer nothing for good
        return f"store {path}: vibe will not reuse its results, since it could not be listed: {error}"
    return None
