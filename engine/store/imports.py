"""Steps from a file of another store, as a person asked for them. The file may be anyone's: portable.py checks it.

It is read twice: nothing is written before all of it was found in order. Then steps are written some hundred a
transaction; an import that was cut off is repeated, and takes only what is missing.
"""

from __future__ import annotations

import gzip
import hashlib
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from ..errors import ConfigError, TrustNeeded
from ..model import IMPORT_PREFIX, RunId
from .blobs import BlobReader, plain
from .origin import StoreOrigins
from .portable import MAX_FILE_BYTES, MAX_LINE_BYTES, PORTABLE_GRANTS, ReadStep, check_header, read_line
from .prepare import NewStore, prepare
from .reader import StoreNotReady, open_reader, store_id
from .upkeep import open_for_upkeep, transaction
from .writer import write_records

_STEPS = 100  # of one transaction


class Imported(Struct, kw_only=True):
    id: RunId
    steps: int = 0  # new here
    known: int = 0  # here already
    granted: int = 0  # left out: they could do more than read
    warning: str = ""  # of a store that was made for it


def check_file(file: Path) -> Imported:
    """What an import of `file` would bring into an empty store. Raises ConfigError where anything is wrong with it."""
    import_id = _import_id(file)
    found = Imported(id=import_id)
    for read in _steps(file, import_id, now=1e11):
        if _portable(read):
            found.steps += 1
        else:
            found.granted += 1
    return found


def import_file(
    path: Path, file: Path, origins: StoreOrigins, new: NewStore, *, busy_timeout_s: float = 15.0
) -> Imported:
    """Bring the steps of `file` into the store at `path`, which is made if there is none.

    Raises ConfigError where anything is wrong with the file, before anything is written; TrustNeeded where the store
    is not the user's; StoreError.
    """
    done = Imported(id=check_file(file).id)
    done.warning = _require_own(path, origins, new, busy_timeout_s)
    with open_for_upkeep(path) as connection:
        steps = _steps(file, done.id, new.created_at)
        while batch := list(islice(steps, _STEPS)):
            with transaction(connection):
                _write(connection, batch, file, done, new.created_at)
    return done


def _require_own(path: Path, origins: StoreOrigins, new: NewStore, busy_timeout_s: float) -> str:
    warning = None
    try:
        open_reader(path).close()
    except StoreNotReady:
        warning = prepare(path, origins, new, busy_timeout_s=busy_timeout_s)
    problem = origins.problem(store_id(path), path)
    if problem is not None:
        raise TrustNeeded(f"{problem}; nothing was imported")
    return warning or ""


def _portable(read: ReadStep) -> bool:
    return PORTABLE_GRANTS.issuperset(read.grants)


def _write(connection: sqlite3.Connection, batch: list[ReadStep], file: Path, done: Imported, now: float) -> None:
    fresh = []
    for read in batch:
        if not _portable(read):
            done.granted += 1
        elif _known(connection, read):
            done.known += 1
        else:
            fresh.append(read)
    if not fresh:
        return
    connection.execute(
        "INSERT INTO imports (id, file, digest, imported_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (done.id, plain(file.name), done.id.removeprefix(IMPORT_PREFIX), now),
    )
    for read in fresh:  # one by one: their order of finishing is that of the file
        write_records(connection, [read.step, *read.turns, *read.tool_calls])
        connection.execute("UPDATE steps SET place = ? WHERE id = ?", (plain(read.place), read.step.id))
    done.steps += len(fresh)


def _known(connection: sqlite3.Connection, read: ReadStep) -> bool:
    """Whether the step came here already, or was exported from here: a pool holds each sample once."""
    if connection.execute("SELECT 1 FROM steps WHERE id = ?", (read.step.id,)).fetchone():
        return True
    own = "SELECT result FROM steps WHERE id = ? AND key = ? AND started_at = ? AND result IS NOT NULL"
    row = connection.execute(own, (plain(read.exported_id), read.step.key, read.step.started_at)).fetchone()
    return row is not None and BlobReader(connection).text(row[0]) == read.step.result


# ---------------------------------------------------------------- the file


def _import_id(file: Path) -> RunId:
    digest = hashlib.blake2b(digest_size=8)
    with _opened(file) as data:
        while chunk := data.read(1 << 20):
            digest.update(chunk)
    return RunId(f"{IMPORT_PREFIX}{digest.hexdigest()}")


def _steps(file: Path, import_id: RunId, now: float) -> Iterator[ReadStep]:
    """The steps of the file, one by one. Raises ConfigError at the first line that is not in order."""
    for number, line in enumerate(_lines(file), start=1):
        try:
            if number == 1:
                check_header(line)
            else:
                yield read_line(line, import_id, now)
        except ValueError as error:
            raise ConfigError(f"{file}: line {number}: {error}; nothing of it was imported") from error


def _lines(file: Path) -> Iterator[bytes]:
    """The lines of the file, each bounded, and all of them together: a small file can hold any number of bytes."""
    total = 0
    with _opened(file) as data, closing(gzip.GzipFile(fileobj=data)) as lines:
        try:
            while line := lines.readline(MAX_LINE_BYTES + 1):
                total += len(line)
                if len(line) > MAX_LINE_BYTES or total > MAX_FILE_BYTES:
                    raise ConfigError(
                        f"{file}: it holds a line of more than {MAX_LINE_BYTES >> 20} MB, or more than "
                        f"{MAX_FILE_BYTES >> 30} GB in all, as no export of vibe does; nothing of it was imported"
                    )
                yield line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ConfigError(
                f"{file}: it is damaged, or no export of vibe ({error}); nothing of it was imported"
            ) from error
    if total == 0:
        raise ConfigError(f"{file}: it is empty; `vibe cache export -o FILE` makes one")


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if not file.is_file():  # a pipe could not be read twice
        raise ConfigError(f"{file}: there is no such file; `vibe cache export -o FILE` makes one")
    try:
        with file.open("rb") as data:
            yield data
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; it must be readable") from error
