"""What a store holds, as far as it must be known to list it and to decide what may go: one consistent picture."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from msgspec import Struct

from ..model import LineageId, RunId, RunStatus, StepId
from .locks import RunLocks
from .references import OWNERS, text_columns

_STEP_TABLES = frozenset(table for table, owner in OWNERS.items() if owner == "step_id") | {"steps"}
#: What a row costs beside its texts: its numbers, names and index entries. An estimate.
_ROW_BYTES = 150


class HeldRun(Struct, frozen=True, kw_only=True):
    id: RunId
    lineage: LineageId
    workflow: str
    path: str
    source: str  # digest
    completed: bool
    alive: bool  # a process works on it
    started_at: float
    last_at: float


class HeldStep(Struct, frozen=True, kw_only=True):
    id: StepId
    run: RunId  # that did the work, or the import that it came with
    kind: str
    answers: bool
    at: float  # when it finished, or was imported
    imported: bool
    needs: tuple[StepId, ...]  # that it goes on with, or stands after


@dataclass(slots=True)
class Weight:
    """What some rows take on the disk: their own bytes, and the blobs that they share with others."""

    own: int = 0
    blobs: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class Holdings:
    runs: dict[RunId, HeldRun] = field(default_factory=dict)  # oldest first
    steps: dict[StepId, HeldStep] = field(default_factory=dict)
    delivered: dict[RunId, dict[StepId, float]] = field(default_factory=dict)  # with the time of the latest delivery
    run_weights: dict[str, Weight] = field(default_factory=dict)
    step_weights: dict[str, Weight] = field(default_factory=dict)
    source_weights: dict[str, Weight] = field(default_factory=dict)
    blobs: dict[bytes, int] = field(default_factory=dict)  # compressed bytes

    def bytes_of(self, blobs: Iterable[bytes]) -> int:
        return sum(self.blobs.get(digest, 0) for digest in blobs)

    @property
    def alive(self) -> tuple[RunId, ...]:
        return tuple(run.id for run in self.runs.values() if run.alive)


def read_holdings(connection: sqlite3.Connection, locks: RunLocks) -> Holdings:
    """Everything that one snapshot of the store holds. Raises sqlite3.Error."""
    held = Holdings()
    with _snapshot(connection):
        _read_runs(connection, locks, held)
        _read_steps(connection, held)
        for run, step, at in connection.execute("SELECT run_id, step_id, delivered_at FROM deliveries ORDER BY seq"):
            held.delivered.setdefault(run, {})[step] = at
        for table, owner in OWNERS.items():
            weights = held.run_weights
            if table in _STEP_TABLES:
                weights = held.step_weights
            elif table == "sources":
                weights = held.source_weights
            _weigh(connection, table, owner, weights)
        held.blobs = dict(connection.execute("SELECT digest, length(data) FROM blobs").fetchall())
    return held


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _read_runs(connection: sqlite3.Connection, locks: RunLocks, held: Holdings) -> None:
    sql = "SELECT id, lineage, workflow, path, source_digest, status, started_at, finished_at FROM runs"
    for id_, lineage, workflow, path, source, status, started, finished in connection.execute(
        f"{sql} ORDER BY started_at, rowid"
    ):
        held.runs[id_] = HeldRun(
            id=id_,
            lineage=lineage,
            workflow=workflow,
            path=path,
            source=source,
            completed=status == RunStatus.COMPLETED,
            alive=finished is None and locks.is_owned(id_),
            started_at=started,
            last_at=started if finished is None else max(started, finished),
        )


def _read_steps(connection: sqlite3.Connection, held: Holdings) -> None:
    imports = dict(connection.execute("SELECT id, imported_at FROM imports").fetchall())
    sql = (
        "SELECT id, run_id, kind, status = 'completed' AND result IS NOT NULL, finished_at, predecessor, attempt_after"
    )
    for id_, run, kind, answers, finished, *needs in connection.execute(f"{sql} FROM steps"):
        held.steps[id_] = HeldStep(
            id=id_,
            run=run,
            kind=kind,
            answers=bool(answers),
            at=imports.get(run, finished),
            imported=run in imports,
            needs=tuple(each for each in needs if each is not None),
        )


def _weigh(connection: sqlite3.Connection, table: str, owner: str, weights: dict[str, Weight]) -> None:
    columns = text_columns(connection, table)
    length = " + ".join(f"coalesce(length(CAST({column} AS BLOB)), 0)" for column in columns)
    sizes = f"SELECT {owner}, count(*) * {_ROW_BYTES} + sum({length}) FROM {table} GROUP BY {owner}"  # noqa: S608
    for name, size in connection.execute(sizes):
        weights.setdefault(name, Weight()).own += size
    for column in columns:
        used = f"SELECT {owner}, {column} FROM {table} WHERE typeof({column}) = 'blob'"  # noqa: S608
        for name, digest in connection.execute(used):
            weights.setdefault(name, Weight()).blobs.add(digest)
