"""Stores made of records, without a run: quick enough for a property."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from vibe_workflows.engine.ports import Record
from vibe_workflows.engine.store.blobs import BlobReader
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.prepare import NewStore, prepare
from vibe_workflows.engine.store.references import REFERENCES, blobs_referred_to
from vibe_workflows.engine.store.upkeep import open_for_upkeep, transaction
from vibe_workflows.engine.store.writer import write_records

NEW = NewStore(created_at=1.0, id=lambda: "f" * 32)


def origins_of(path: Path) -> StoreOrigins:
    """A state folder beside the project."""
    return StoreOrigins(path.parent.parent / "state")


def write_store(path: Path, records: Sequence[Record], *extra: tuple[str, tuple[object, ...]]) -> None:
    """Records, and statements for what no record says, in a store that this user made."""
    assert prepare(path, origins_of(path), NEW, busy_timeout_s=5) is None
    with open_for_upkeep(path) as connection, transaction(connection):
        write_records(connection, records)
        for sql, cells in extra:
            connection.execute(sql, cells)


def rows(path: Path, sql: str, *cells: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, cells).fetchall()


def ids(path: Path, table: str) -> set[str]:
    return {str(id_) for (id_,) in rows(path, f"SELECT id FROM {table}")}


def assert_whole(path: Path, *, no_loose_blobs: bool = True) -> None:
    """SQLite finds nothing, every reference resolves, and every blob is used."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for reference in REFERENCES:
            assert connection.execute(reference.dangling).fetchone() == (0,), reference
        parents = "SELECT count(*) FROM runs WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM runs)"
        assert connection.execute(parents).fetchone() == (0,)
        used = {digest for (digest,) in connection.execute(blobs_referred_to(connection))}
        for digest in used:
            assert BlobReader(connection).data(digest) is not None
        there = {digest for (digest,) in connection.execute("SELECT digest FROM blobs")}
        assert used <= there
        if no_loose_blobs:
            assert used == there
