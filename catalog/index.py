"""What is known of files by their digest, kept in the user's cache folder, so that nothing is read by a sandbox twice.

Only a cache: where it is damaged it is made anew, where it cannot be written nothing is kept, and neither is an error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

_FORMAT = 1  # of the tables
REPORT_FORMAT = 2  # of what the locked child reports of a file: a new one makes all kept reports unknown
_MOST_REPORTS = 5_000
_MOST_MEMOS = 5_000
_MAX_TEXT = 4 * 1024 * 1024
_MAX_TRIES = 3  # to open it, in one process
_UNSOUND = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_TABLES = (
    "CREATE TABLE reports (number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, report TEXT NOT NULL)",
    """CREATE TABLE memos (
        number INTEGER PRIMARY KEY, kind TEXT NOT NULL, digest TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (kind, digest)
    )""",
)

Report = Mapping[str, Any]


class Index:
    """Reports of workflow files, and memos: results of pure checks as JSON text. Several processes may share it."""

    def __init__(self, cache_dir: Path, *, report_format: int = REPORT_FORMAT) -> None:
        self._path = cache_dir / "index.db"
        self._report_format = report_format
        self._connection: sqlite3.Connection | None = None
        self._tries = 0

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def reports(self, digests: Iterable[str]) -> dict[str, Report]:
        """The kept reports of those source digests that are known."""
        wanted = {self._report_key(digest): digest for digest in digests}
        names = list(wanted)
        rows: list[tuple[str, str]] = []
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            marks = ",".join("?" * len(some))
            rows += self._query(f"SELECT digest, report FROM reports WHERE digest IN ({marks})", some)  # noqa: S608
        found: dict[str, Report] = {}
        for key, text in rows:
            with contextlib.suppress(ValueError):
                report = json.loads(text)
                if isinstance(report, dict):
                    found[wanted[key]] = report
        return found

    def keep_reports(self, reports: Mapping[str, Report]) -> None:
        rows: list[tuple[str, ...]] = [
            (self._report_key(digest), json.dumps(report)) for digest, report in reports.items()
        ]
        self._write("INSERT OR REPLACE INTO reports (digest, report) VALUES (?, ?)", rows, "reports", _MOST_REPORTS)

    def memo(self, kind: str, digest: str) -> str | None:
        """The value kept for `kind` and the digest of its input; None where it is not known."""
        rows = self._query("SELECT value FROM memos WHERE kind = ? AND digest = ?", [kind, digest])
        return str(rows[0][0]) if rows else None

    def keep_memo(self, kind: str, digest: str, value: str) -> None:
        """Keep JSON text. Large ones are not kept; the oldest make room."""
        statement = "INSERT OR REPLACE INTO memos (kind, digest, value) VALUES (?, ?, ?)"
        self._write(statement, [(kind, digest, value)], "memos", _MOST_MEMOS)

    def _report_key(self, digest: str) -> str:
        return f"{self._report_format}:{digest}"

    def _query(self, statement: str, values: Iterable[str]) -> list[Any]:
        # Reading makes no file: `vibe list` in an empty home leaves it empty.
        connection = self._open() if self._connection or self._path.is_file() else None
        if connection is None:
            return []
        try:
            return connection.execute(statement, list(values)).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            self._failed(error)
            return []

    def _write(self, statement: str, rows: list[tuple[str, ...]], table: str, most: int) -> None:
        rows = [row for row in rows if len(row[-1]) <= _MAX_TEXT]
        connection = self._open() if rows else None
        if connection is None:
            return
        make_room = f"DELETE FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?"  # noqa: S608
        try:
            with connection:
                connection.executemany(statement, rows)
                connection.execute(make_room, [most])
        except (sqlite3.Error, UnicodeError) as error:  # UnicodeError: a lone surrogate in a script's text
            self._failed(error)

    def _open(self) -> sqlite3.Connection | None:
        if self._connection is None and self._tries < _MAX_TRIES:
            self._tries += 1
            try:
                self._connection = self._connect()
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self._path, timeout=0.25)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            if self._version(connection) != _FORMAT:
                connection.execute("BEGIN IMMEDIATE")
                if (version := self._version(connection)) not in (0, _FORMAT):
                    raise sqlite3.DatabaseError(f"index of format {version}")
                if version == 0:  # no other process was faster
                    for statement in _TABLES:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {_FORMAT}")
                connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    def _failed(self, error: Exception) -> None:
        """Go on without; a file that is no sound index is removed, and the next use makes a new one."""
        self.close()
        # A busy, full or read-only one is as sound as before; our own complaint has no code.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if isinstance(error, sqlite3.DatabaseError) and code in _UNSOUND:
            for suffix in ("", "-journal", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{self._path}{suffix}")
