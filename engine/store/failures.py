"""What went wrong with a database file, in words: the one place that reads SQLite's error codes."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ..errors import StoreError

_FULL = "the disk is full; free some space and run again: what was committed is safe"
_WORDS = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,  # even a reader needs 32 KB beside the store
    sqlite3.SQLITE_READONLY: "it cannot be written; check the permissions of the file and its folder, or use --db",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the permissions of the file and its folder, or use --db",
    sqlite3.SQLITE_PERM: "it cannot be opened; check the permissions of the file and its folder, or use --db",
    sqlite3.SQLITE_BUSY: "another program keeps it locked; close that program (a database browser?) and run again",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked; close that program (a database browser?) and run again",
    sqlite3.SQLITE_CORRUPT: "it is damaged; move it away to start anew, or use --db",
    sqlite3.SQLITE_NOTADB: "it is not a vibe store; move it away, or name another file with --db",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check its space and its health: what was committed is safe",
}


def store_error(path: Path, error: Exception) -> StoreError:
    """The StoreError to raise from `error`: what, which file, and the next move."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", None)  # absent on errors of the sqlite3 module's own
    if isinstance(error, OSError):
        words = os_words(error, "check the permissions of the file and its folder, or use --db")
    elif code is not None:
        words = _WORDS.get(code) or _WORDS.get(code & 0xFF) or f"SQLite reports: {error}; please report it"
    elif type(error) in (sqlite3.DatabaseError, sqlite3.OperationalError):  # without a code: what it holds is no text
        words = f"it is damaged: {error}; move it away to start anew, or use --db"
    else:
        words = f"{type(error).__name__}: {error}; please report it"
    return StoreError(f"store {path}: {words}")


def os_words(error: OSError, otherwise: str) -> str:
    """What went wrong with a file, and the next move: `otherwise`, unless there is no room."""
    if is_full(error):
        return _FULL
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        return f"{error.filename} is in the way, and no folder; move it away, or use --db"
    return f"{error.strerror or error}; {otherwise}"


def is_full(error: BaseException | None) -> bool:
    """Whether a disk, or a user's share of it, has no room."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """What a damaged or strange file does to the block becomes a StoreError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise store_error(path, error) from error
    except (ValueError, TypeError, LookupError, RecursionError, msgspec.MsgspecError) as error:
        raise StoreError(
            f"store {path}: it holds what this vibe cannot read ({error}); move it away, or use --db"
        ) from error
