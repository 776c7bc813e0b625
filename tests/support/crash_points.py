"""Every point of a process where its death could split something, by name; and death at one of them.

A point is a row that SQLite is about to write, the end of a statement, or an operation on a file. They are seen from
outside of the product: by connections that announce what they do, by Python's audit events, and by the functions with
which an edit reaches the disk.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

_START = r"\s*(?:--[^\n]*\n\s*)*"  # a statement of a migration may begin with comments
_WRITES = re.compile(
    _START + r"(INSERT(?: OR REPLACE)? INTO|UPDATE|DELETE FROM|CREATE(?: UNIQUE)? \w+|ALTER TABLE)\s+(\w+)"
)
_TRANSACTION = re.compile(_START + r"(BEGIN|COMMIT|ROLLBACK|PRAGMA (?:user_version|application_id|journal_mode) =)")
_DONE = re.compile(r"INSERT INTO changes .*VALUES \(.*, 1\) ON CONFLICT", re.DOTALL)
#: The temporary file of an edit; it lies in a folder that is open, so its name is all of its path.
_TEMPORARY = ".vibe-tmp-"
_SCHEMA = re.compile(_START + r"(CREATE|ALTER|PRAGMA)")
#: What an audit event says of a file, and which of its arguments the file is.
_FILE_EVENTS = {"open": 0, "os.remove": 0, "os.rename": 1, "os.mkdir": 0, "sqlite3.connect": 0}


class Points:
    """Counts the points that a process passes, writes their names down, and dies or stops at one of them."""

    def __init__(self, at: tuple[str, int] | None, log: str | None, sign: signal.Signals) -> None:
        self._at = at
        self._sign = sign
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if log is not None else None
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1
            if self._log is not None:
                os.write(self._log, f"{name}\n".encode())
            if (name, self._counts[name]) == self._at:
                signal.pthread_kill(threading.get_ident(), self._sign)  # at once: this thread comes no further


def watch(
    at: tuple[str, int] | None, log: str | None, folders: Sequence[str], sign: signal.Signals = signal.SIGKILL
) -> None:
    """From now on, for the whole process: announce every point. Files count if they lie in one of `folders`."""
    points = Points(at, log, sign)
    connect = sqlite3.connect

    def connect_watched(database: str, **options: Any) -> sqlite3.Connection:
        factory = options.pop("factory", sqlite3.Connection)
        if isinstance(factory, type):
            connection = connect(database, factory=_watched(factory, points), **options)
        else:
            connection = connect(database, factory=factory, **options)
            connection.__class__ = _watched(type(connection), points)
        connection.set_trace_callback(lambda sql: _tell(points, "before", sql))
        return connection

    sqlite3.connect = connect_watched  # type: ignore[assignment]
    sys.addaudithook(_file_events(points, folders))
    _watch_edits(points)


def _watch_edits(points: Points) -> None:
    """Announce the steps by which an edit reaches the disk."""
    open_, rename, sync = os.open, os.rename, os.fsync
    edits: set[int] = set()  # their temporary files

    def open_watched(path: Any, *arguments: Any, **options: Any) -> int:
        file = open_(path, *arguments, **options)
        if _is_temporary(path):
            edits.add(file)
            points("after open of an edit")
        return file

    def rename_watched(source: Any, *arguments: Any, **options: Any) -> None:
        if not _is_temporary(source):
            return rename(source, *arguments, **options)
        points("before rename of an edit")
        rename(source, *arguments, **options)
        return points("after rename of an edit")

    def sync_watched(file: int) -> None:
        if file in edits:
            edits.remove(file)
            points("before sync of an edit")
        sync(file)

    os.open, os.rename, os.fsync = open_watched, rename_watched, sync_watched  # type: ignore[assignment]


def _is_temporary(path: object) -> bool:
    return isinstance(path, str) and path.startswith(_TEMPORARY)


def _watched(base: type[sqlite3.Connection], points: Points) -> type[sqlite3.Connection]:
    class Watched(base):  # type: ignore[misc, valid-type]
        def execute(self, sql: str, *parameters: Any) -> Any:
            return self._around(super().execute, sql, *parameters)

        def executemany(self, sql: str, *parameters: Any) -> Any:
            return self._around(super().executemany, sql, *parameters)

        def _around(self, run: Callable[..., Any], sql: str, *parameters: Any) -> Any:
            done = run(sql, *parameters)
            if not _SCHEMA.match(sql):  # they come one after another: before the next one is after this one
                _tell(points, "after", sql)
            return done

    return Watched


def _tell(points: Points, when: str, sql: str) -> None:
    found = _WRITES.match(sql) or _TRANSACTION.match(sql)
    if found is not None:
        name = f"{when} {' '.join(found.groups())}"
        points(f"{name}, done" if _DONE.search(sql) else name)


def _file_events(points: Points, folders: Sequence[str]) -> Callable[[str, tuple[Any, ...]], None]:
    inside = threading.local()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        which = _FILE_EVENTS.get(event)
        if which is None or getattr(inside, "busy", False):
            return
        path = arguments[which]
        path = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
        if event == "open" and not arguments[2] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            return
        if _is_temporary(path) and event == "os.remove":
            points("before removal of what an edit left")
            return
        if not any(folder in path for folder in folders):
            return
        inside.busy = True
        name = re.sub(r"^[0-9a-f]{10}\.", "RUN.", os.path.basename(path.partition("?")[0]))
        points(f"{event} {name}")
        inside.busy = False

    return hook
