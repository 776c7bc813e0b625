"""Is a store sound? SQLite's own check, then everything that SQLite does not know: schema, references, blobs.

The file may be damaged, strange or hostile: what is found is told, and nothing is raised.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from ..errors import StoreError
from .blobs import BlobReader
from .failures import store_errors
from .locks import RunLocks
from .migrate import latest_schema
from .origin import StoreOrigins
from .reader import StoreNotReady, connect
from .references import REFERENCES, blobs_referred_to
from .schema import schema_problem
from .upkeep import bytes_on_disk

#: Of each kind, so many are told one by one.
_TOLD = 5


class StoreHealth(Struct, frozen=True, kw_only=True):
    path: Path
    exists: bool = True
    bytes: int = 0
    schema: int | None = None
    latest_schema: int = 0
    origin: str | None = None  # why it answers no step, in words; None: it may
    half_done: int = 0  # edits of files that runs were killed over: the next run settles them
    problems: tuple[str, ...] = ()  # none: it is sound
    note: str = ""  # why it could not be looked at yet, where that is in order
    advice: str = ""

    @property
    def sound(self) -> bool:
        return not self.problems


def examine(path: Path, origins: StoreOrigins) -> StoreHealth:
    """Look at everything in the store at `path`. Only reads, and never raises for what it finds there."""
    finding = _Finding()
    try:
        with store_errors(path):
            path.stat()
            finding.look(path, origins)
    except StoreNotReady as error:
        finding.note = error.message
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return StoreHealth(path=path, exists=False, note="there is none yet; `vibe run` makes it")
        finding.problems.append(error.message.removeprefix(f"store {path}: "))
    return StoreHealth(
        path=path,
        bytes=_size(path),
        schema=finding.schema,
        latest_schema=latest_schema(),
        origin=finding.origin,
        half_done=finding.half_done,
        problems=tuple(finding.problems),
        note=finding.note,
        advice=_advice(path) if finding.problems else "",
    )


class _Finding:
    def __init__(self) -> None:
        self.schema: int | None = None
        self.origin: str | None = None
        self.half_done = 0
        self.problems: list[str] = []
        self.note = ""

    def look(self, path: Path, origins: StoreOrigins) -> None:
        if not path.is_file():
            raise StoreError("it is no file")
        with closing(connect(path)) as connection:
            self.schema = connection.execute("PRAGMA user_version").fetchone()[0]
            strange = schema_problem(connection)
            if strange is not None:  # what it holds would run if it were looked at any further
                self.problems.append(strange)
                return
            self.problems += _integrity(connection)
            self.problems += _references(connection)
            self.problems += _blobs(connection)
            self.origin = _origin(connection, path, origins)
            self.half_done = _half_done(connection, path)


def _integrity(connection: sqlite3.Connection) -> list[str]:
    found = [str(line) for (line,) in connection.execute(f"PRAGMA integrity_check({_TOLD})").fetchall()]
    return [] if found == ["ok"] else [f"SQLite's check: {line}" for line in found]


def _references(connection: sqlite3.Connection) -> list[str]:
    counted = [(each, connection.execute(each.dangling).fetchone()[0]) for each in REFERENCES]
    return [
        f"{count:,} rows of {each.table} name a {each.column} that is not in {each.target}"
        for each, count in counted
        if count
    ]


def _blobs(connection: sqlite3.Connection) -> list[str]:
    """Each blob that is referred to must be there, and be what its digest says: SQLite has no checksums."""
    reader = BlobReader(connection)
    bad: list[str] = []
    for (digest,) in connection.execute(blobs_referred_to(connection)).fetchall():
        try:
            if reader.data(digest) is None:
                bad.append(f"the blob {digest.hex()} is missing")
        except (sqlite3.DatabaseError, ValueError) as error:
            bad.append(str(error))
    return bad if len(bad) <= _TOLD else [*bad[:_TOLD], f"and {len(bad) - _TOLD:,} more texts"]


def _origin(connection: sqlite3.Connection, path: Path, origins: StoreOrigins) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE name = 'store_id'").fetchone()
    if row is None:
        return f"store {path} has no id: it is shown, but no result is reused from it"
    try:
        return origins.problem(row[0], path)
    except StoreError as error:
        return error.message


def _half_done(connection: sqlite3.Connection, path: Path) -> int:
    locks = RunLocks(path)
    by_run = connection.execute("SELECT run_id, count(*) FROM changes WHERE done = 0 GROUP BY run_id").fetchall()
    return sum(count for run, count in by_run if not locks.is_owned(run))


def _size(path: Path) -> int:
    try:
        return bytes_on_disk(path)
    except OSError:
        return 0


def _advice(path: Path) -> str:
    return (
        f"`vibe cache export -o FILE` saves the steps that can still be read; move {path} away with the files beside "
        "it (-wal, -shm), and `vibe run` makes a new one, into which `vibe cache import FILE` brings them back"
    )
