"""What a user would pick instead, in its plainest form: stdlib SQLite, a Python process."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path


def sqlite_write_ms(path: Path, rows: int, *, group: int) -> float:
    """Milliseconds a row of 400 characters, durable (WAL, FULL), with one commit for `group` rows."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(k TEXT PRIMARY KEY, v TEXT)"
    )
    text = "x" * 400
    started = time.perf_counter()
    for first in range(0, rows, group):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(f"{first + n}", text) for n in range(group)])
        connection.execute("COMMIT")
    elapsed = time.perf_counter() - started
    connection.close()
    return elapsed / rows * 1000


def sqlite_read_ms(path: Path, rows: int) -> float:
    """Milliseconds a look-up by key of what `sqlite_write_ms` wrote."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    started = time.perf_counter()
    for number in range(rows):
        connection.execute("SELECT v FROM t WHERE k = ?", (f"{number}",)).fetchone()
    elapsed = time.perf_counter() - started
    connection.close()
    return elapsed / rows * 1000
