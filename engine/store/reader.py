"""Reads of a store: blocking, read-only, a few microseconds each. Needs neither trio nor asyncio."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import msgspec
from msgspec.structs import replace

from ..errors import StoreError
from ..events import Event
from ..model import (
    Attempt,
    Delivery,
    PromptMakeup,
    Run,
    RunId,
    RunStatus,
    Step,
    StepId,
    StepKey,
    StepStatus,
    ToolCall,
    Turn,
)
from ..ports import CutOffStep, DeliveredStep, FileChange, LabelUsage, OwnStep, StoredStep
from . import rows, tables, work_rows
from .blobs import BlobReader, plain
from .chains import Chains
from .failures import store_error
from .histories import Histories
from .locks import RunLocks, alive_runs
from .migrate import latest_schema, schema_of
from .row_parts import Row

_P = ParamSpec("_P")
_T = TypeVar("_T")

_BUSY_TIMEOUT_S = 15.0

_DELIVERIES = (
    f"SELECT {tables.DELIVERIES.names}, {tables.STEPS.names} FROM deliveries "  # noqa: S608
    "JOIN steps ON steps.id = deliveries.step_id WHERE deliveries.run_id = ? ORDER BY deliveries.seq"
)
_MAKEUPS = """
SELECT step_id, sum(system_tokens), sum(tools_tokens), sum(context_tokens), sum(conversation_tokens) FROM turns
WHERE step_id IN (SELECT step_id FROM deliveries WHERE run_id = ?1 UNION SELECT id FROM steps WHERE run_id = ?1)
GROUP BY step_id
"""


class StoreNotReady(StoreError):
    """There is no store yet, or its schema is older than this vibe's. Opening it for writing mends both."""


def open_reader(path: Path, *, glance: bool = False) -> SqliteReader:
    """A reader of the store at `path`; works while others write. Raises StoreNotReady and other StoreErrors.

    A `glance` makes no file beside a store that nobody has open. What it finds may be wrong if somebody opens it then.
    """
    if not path.exists():
        raise StoreNotReady(f"store {path}: there is none yet; run a workflow first, or name another file with --db")
    if not path.is_file():  # a pipe would be waited for
        raise StoreError(f"store {path}: it is no file; name another one with --db")
    try:
        alone = glance and not path.with_name(path.name + "-wal").exists()
        connection = _connect_uri(f"{path.absolute().as_uri()}?immutable=1", path) if alone else connect(path)
    except (sqlite3.Error, OSError) as error:
        raise store_error(path, error) from error
    return SqliteReader(connection, path)


def store_id(path: Path) -> str:
    """The random id of the store at `path`. Raises StoreError."""
    reader = open_reader(path)
    try:
        return reader.store_id()
    finally:
        reader.close()


def _reading(
    method: Callable[Concatenate[SqliteReader, _P], _T],
) -> Callable[Concatenate[SqliteReader, _P], _T]:
    """What a damaged or strange file does to a read becomes a StoreError."""

    @functools.wraps(method)
    def wrapped(self: SqliteReader, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return method(self, *args, **kwargs)
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error
        except (ValueError, TypeError, LookupError, msgspec.MsgspecError) as error:
            raise StoreError(
                f"store {self.path}: it holds what this vibe cannot read ({error}); move it away, or use --db"
            ) from error

    return wrapped


class SqliteReader:
    """The port `StoreReader`, for one thread. Made by `open_reader`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        self._execute = connection.execute
        self._text = BlobReader(connection).text
        self._locks = RunLocks(path)
        self._histories = Histories(connection, self._text)
        self._chains = Chains(connection, self._histories, self._locks)

    def close(self) -> None:
        self._connection.close()

    @property
    def named(self) -> bool:
        """Whether the store has an id. One that no run has made yet has none."""
        return self._execute("SELECT 1 FROM meta WHERE name = 'store_id'").fetchone() is not None

    @_reading
    def store_id(self) -> str:
        (value,) = self._execute("SELECT value FROM meta WHERE name = 'store_id'").fetchone()
        return str(value)

    # ------------------------------------------------------------ for reuse

    @_reading
    def pool(self, key: StepKey) -> list[StoredStep]:
        found: list[StoredStep] = []
        for row in self._execute(tables.POOL, (key,)).fetchall():
            seen = self._histories.observations(row[0], row[8])
            inherited = () if row[9] is None else self._histories.inherited(row[0], seen)
            found.append(rows.stored_step_of(row, self._text, seen, inherited))
        return found

    @_reading
    def cut_off(self, key: StepKey) -> list[CutOffStep]:
        return self._without_answer(tables.CUT_OFF, key)

    @_reading
    def attempts_with_edits(self, key: StepKey) -> list[CutOffStep]:
        return [step for step in self._without_answer(tables.EDITING, key) if self._chains.hold_any_of(step)]

    def _without_answer(self, sql: str, key: StepKey) -> list[CutOffStep]:
        found = [rows.cut_off_step_of(row, self._text) for row in self._execute(sql, (key,)).fetchall()]
        return [
            self._histories.whole(step)
            for step in found
            if step.status is not StepStatus.RUNNING or not self._locks.is_owned(step.run_id)
        ]

    # ------------------------------------------------------------ edits

    @_reading
    def has_edits(self) -> bool:
        return self._chains.some()

    @_reading
    def latest_epoch(self) -> int:
        return self._chains.latest_epoch()

    @_reading
    def own_steps(self, path: str, args_digest: str, run_id: RunId | None = None) -> list[OwnStep]:
        return self._chains.own_steps(path, args_digest, run_id)

    @_reading
    def edits_of_run(self, run_id: RunId) -> list[OwnStep]:
        return self._chains.of_run(run_id)

    @_reading
    def chains(self, paths: Collection[str]) -> list[FileChange]:
        return self._chains.of(paths)

    @_reading
    def contents(self, digest: str) -> bytes | None:
        return self._chains.contents(digest)

    @_reading
    def unsettled_changes(self) -> list[tuple[FileChange, ...]]:
        return self._chains.unsettled()

    # ------------------------------------------------------------ runs

    @_reading
    def run(self, run_id: RunId) -> Run | None:
        return self._first_run("WHERE id = ?", run_id)

    @_reading
    def alive_runs(self) -> tuple[RunId, ...]:
        return alive_runs(self._connection, self._locks)

    @_reading
    def find_runs(self, prefix: str) -> list[Run]:
        past = prefix + "\U0010ffff"  # sorts after everything that begins with the prefix
        return self._runs("WHERE id >= ? AND id < ? ORDER BY started_at DESC, rowid DESC", plain(prefix), plain(past))

    @_reading
    def runs(self, limit: int) -> list[Run]:
        return self._runs("ORDER BY started_at DESC, rowid DESC LIMIT ?", limit)

    @_reading
    def latest_run(self, path: str, args_digest: str) -> Run | None:
        order = "ORDER BY started_at DESC, rowid DESC LIMIT 1"
        return self._first_run(f"WHERE path = ? AND args_digest = ? {order}", plain(path), args_digest)

    def _first_run(self, clause: str, *parameters: object) -> Run | None:
        return next(iter(self._runs(clause, *parameters)), None)

    def _runs(self, clause: str, *parameters: object) -> list[Run]:
        found = self._execute(f"SELECT {tables.RUNS.names} FROM runs {clause}", parameters)  # noqa: S608
        return [self._as_it_stands(rows.run_of(row, self._text)) for row in found.fetchall()]

    def _as_it_stands(self, run: Run) -> Run:
        """A run that nobody works on any more was interrupted; its owner could not write that down."""
        if run.status is RunStatus.RUNNING and not self._locks.is_owned(run.id):
            return replace(run, status=RunStatus.INTERRUPTED)
        return run

    # ------------------------------------------------------------ what a step is compared with

    @_reading
    def runs_before(self, run: Run, limit: int) -> list[Run]:
        place = "(SELECT started_at, rowid FROM runs WHERE id = ?)"
        order = "ORDER BY started_at DESC, rowid DESC LIMIT ?"
        return self._runs(f"WHERE path = ? AND (started_at, rowid) < {place} {order}", plain(run.path), run.id, limit)

    @_reading
    def step(self, step_id: StepId) -> Step | None:
        return next(iter(self._steps("WHERE id = ?", step_id)), None)

    @_reading
    def unanswered(self, key: StepKey) -> list[Step]:
        unfinished = "status IN ('running', 'cancelled', 'timed_out', 'failed')"  # as the index says it
        return self._steps(f"WHERE key = ? AND {unfinished} ORDER BY started_at, rowid", key)

    @_reading
    def earlier_specs(self, step: Step, limit: int) -> list[tuple[StepId, str]]:
        found = self._execute(tables.EARLIER_SPECS, (limit, step.kind, step.run_id, step.started_at)).fetchall()
        return [(StepId(each), self._text(spec)) for each, spec, _ in found]

    @_reading
    def latest_delivery(self, step_id: StepId, run_id: RunId) -> Delivery | None:
        sql = f"SELECT {tables.DELIVERIES.names} FROM deliveries WHERE run_id = ? AND step_id = ?"  # noqa: S608
        row = self._execute(f"{sql} ORDER BY seq DESC LIMIT 1", (run_id, step_id)).fetchone()
        return None if row is None else rows.delivery_of(row, self._text)

    # ------------------------------------------------------------ traces

    @_reading
    def deliveries(self, run_id: RunId) -> list[DeliveredStep]:
        split = len(tables.DELIVERIES.columns)
        return [
            DeliveredStep(delivery=rows.delivery_of(row[:split], self._text), step=self._step(row[split:]))
            for row in self._execute(_DELIVERIES, (run_id,)).fetchall()
        ]

    @_reading
    def steps_of_run(self, run_id: RunId) -> list[Step]:
        return self._steps("WHERE run_id = ? ORDER BY started_at, rowid", run_id)

    @_reading
    def turns(self, step_id: StepId) -> list[Turn]:
        return self._histories.turns(step_id)

    @_reading
    def makeups(self, run_id: RunId) -> dict[StepId, PromptMakeup]:
        return {
            StepId(step): PromptMakeup(system=system, tools=tools, context=context, conversation=conversation)
            for step, system, tools, context, conversation in self._execute(_MAKEUPS, (run_id,)).fetchall()
        }

    @_reading
    def tool_calls(self, step_id: StepId) -> list[ToolCall]:
        return self._histories.tool_calls(step_id)

    @_reading
    def attempts(self, step_id: StepId) -> list[Attempt]:
        found = self._histories.of_step(tables.ATTEMPTS, step_id)
        return [work_rows.attempt_of(row, self._text) for row in found]

    @_reading
    def events(self, run_id: RunId, after: int = 0) -> list[tuple[int, Event]]:
        found = self._execute(
            "SELECT number, data FROM events WHERE run_id = ? AND number > ? ORDER BY number", (run_id, after)
        )
        return [(number, rows.event_of(cell, self._text)) for number, cell in found.fetchall()]

    @_reading
    def usage_by_label(self, path: str, runs: int) -> dict[str, list[LabelUsage]]:
        found: dict[str, list[LabelUsage]] = {}
        for label, *sums in self._execute(tables.USAGE_BY_LABEL, (plain(path), runs)).fetchall():
            found.setdefault(label, []).append(LabelUsage(*sums))
        return found

    @_reading
    def source(self, digest: str) -> str | None:
        row = self._execute("SELECT text FROM sources WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else self._text(row[0])

    def _steps(self, clause: str, *parameters: object) -> list[Step]:
        found = self._execute(f"SELECT {tables.STEPS.names} FROM steps {clause}", parameters)  # noqa: S608
        return [self._step(row) for row in found.fetchall()]

    def _step(self, row: Row) -> Step:
        observed = row[tables.STEPS.columns.index("observed")]
        return rows.step_of(row, self._text, self._histories.observations(row[0], observed))


def connect(path: Path) -> sqlite3.Connection:
    """A connection that only reads. Raises sqlite3.Error, and StoreError as `open_reader`."""
    uri = path.absolute().as_uri()
    try:
        return _connect_uri(f"{uri}?mode=ro", path)
    except sqlite3.OperationalError as error:
        # A reader needs the files that SQLite keeps beside the store. Where it cannot make them, as on a read-only
        # disk, and nobody has made them, nobody writes, and it can do without.
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        if path.with_name(path.name + "-wal").exists():
            raise
        return _connect_uri(f"{uri}?immutable=1", path)


def _connect_uri(uri: str, path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cache_size = -16384")  # 16 MB at most: the pools of a large run stay in memory
        schema = schema_of(connection, path)
        if schema == 0:
            raise StoreNotReady(f"store {path}: it is empty; run a workflow first, or name another file with --db")
        if schema < latest_schema():
            raise StoreNotReady(f"store {path}: its schema {schema} is older; the next `vibe run` brings it up to date")
    except BaseException:
        connection.close()
        raise
    return connection
