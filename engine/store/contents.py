"""What a store holds, for people: a workflow a line, and one step with all that belongs to it. Only reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from ..errors import ConfigError
from ..model import IMPORT_PREFIX, RunId, Step, StepId
from . import rows, tables
from .blobs import BlobReader, plain
from .histories import Histories
from .holdings import HeldRun, Holdings, Weight, read_holdings
from .locks import RunLocks
from .upkeep import bytes_on_disk, open_for_looking

#: The most rows of one kind that a step is shown with; their number is told.
MOST_SHOWN = 100


class StoredWorkflow(Struct, frozen=True, kw_only=True):
    workflow: str
    path: str
    runs: int
    steps: int  # that its runs delivered or worked on
    answers: int  # of these, those that can answer
    bytes: int  # of their texts; several workflows may share one
    first_at: float
    last_at: float


class StoreContents(Struct, frozen=True, kw_only=True):
    path: Path
    workflows: tuple[StoredWorkflow, ...]  # the latest used first
    runs: int
    steps: int
    answers: int
    imported: int  # of the steps
    unused: int  # steps that no run of the store delivered
    text_bytes: int
    bytes: int  # on the disk


class Import(Struct, frozen=True, kw_only=True):
    """The file that a step came from."""

    id: str
    file: str
    digest: str
    imported_at: float


class Use(Struct, frozen=True, kw_only=True):
    """One delivery of a step."""

    run: RunId
    workflow: str
    number: int
    label: str
    phase: str
    mode: str
    place: str
    at: float


class Sample(Struct, frozen=True, kw_only=True):
    """One step of a pool."""

    step: StepId
    run: RunId
    at: float
    place: str
    tokens: int


class StepView(Struct, frozen=True, kw_only=True):
    """A stored step. Of `uses` and `pool`, the latest `MOST_SHOWN`."""

    step: Step
    workflow: str  # of the run that did the work; "" where that is gone
    imported: Import | None
    uses: tuple[Use, ...]
    use_count: int
    pool: tuple[Sample, ...]
    pool_count: int


def contents(path: Path) -> StoreContents:
    """What the store at `path` holds. Raises StoreError."""
    with open_for_looking(path) as connection:
        held = read_holdings(connection, RunLocks(path))
        groups: dict[tuple[str, str], list[HeldRun]] = {}
        for run in held.runs.values():
            groups.setdefault((run.workflow, run.path), []).append(run)
        workflows = [_workflow(held, runs) for runs in groups.values()]
        delivered = {step for steps in held.delivered.values() for step in steps}
        return StoreContents(
            path=path,
            workflows=tuple(sorted(workflows, key=lambda each: -each.last_at)),
            runs=len(held.runs),
            steps=len(held.steps),
            answers=sum(step.answers for step in held.steps.values()),
            imported=sum(step.imported for step in held.steps.values()),
            unused=len(held.steps.keys() - delivered),
            text_bytes=sum(held.blobs.values()),
            bytes=bytes_on_disk(path),
        )


def _workflow(held: Holdings, runs: list[HeldRun]) -> StoredWorkflow:
    ids = {run.id for run in runs}
    steps = {step for run in ids for step in held.delivered.get(run, {}) if step in held.steps}
    steps |= {step.id for step in held.steps.values() if step.run in ids}
    weights = [held.run_weights.get(run) for run in ids] + [held.step_weights.get(step) for step in steps]
    used = [at for run in ids for at in held.delivered.get(run, {}).values()]
    return StoredWorkflow(
        workflow=runs[0].workflow,
        path=runs[0].path,
        runs=len(runs),
        steps=len(steps),
        answers=sum(held.steps[step].answers for step in steps),
        bytes=held.bytes_of(_blobs(weights)),
        first_at=min(run.started_at for run in runs),
        last_at=max([run.last_at for run in runs] + used),
    )


def _blobs(weights: Iterable[Weight | None]) -> set[bytes]:
    return {digest for weight in weights if weight is not None for digest in weight.blobs}


def find_step(path: Path, wanted: str) -> StepView:
    """The step that `wanted` names: its id or a unique beginning of it, or a key; of a key's pool the latest answer.

    Raises ConfigError where there is none or several, StoreError as all reads.
    """
    with open_for_looking(path) as connection:
        return _view(connection, _named(connection, wanted))


def _named(connection: sqlite3.Connection, wanted: str) -> StepId:
    execute, wanted = connection.execute, plain(wanted)
    if execute("SELECT 1 FROM steps WHERE id = ?", (wanted,)).fetchone():
        return StepId(wanted)
    past = wanted + "\U0010ffff"
    keys = execute("SELECT DISTINCT key FROM steps WHERE key >= ? AND key < ? LIMIT 2", (wanted, past)).fetchall()
    if len(keys) == 1:
        latest = "SELECT id FROM steps WHERE key = ? ORDER BY finished_seq DESC NULLS LAST, started_at DESC LIMIT 1"
        return StepId(execute(latest, keys[0]).fetchone()[0])
    ids = execute("SELECT id FROM steps WHERE id >= ? AND id < ? ORDER BY id LIMIT 11", (wanted, past)).fetchall()
    if len(ids) == 1:
        return StepId(ids[0][0])
    if not ids and not keys:
        raise ConfigError(f"no stored step has the key or id {wanted!r}; `vibe trace RUN --json` shows those of a run")
    lines = [f"  {id_}" for (id_,) in ids[:10]] + (["  and more"] if len(ids) > 10 else [])
    raise ConfigError("\n".join([f"several steps begin with {wanted!r}; give more of the id or the key:", *lines]))


def _view(connection: sqlite3.Connection, id_: StepId) -> StepView:
    execute, text = connection.execute, BlobReader(connection).text
    row = execute(f"SELECT {tables.STEPS.names} FROM steps WHERE id = ?", (id_,)).fetchone()  # noqa: S608
    observed = row[tables.STEPS.columns.index("observed")]
    step = rows.step_of(row, text, Histories(connection, text).observations(id_, observed))
    run = execute("SELECT workflow FROM runs WHERE id = ?", (step.run_id,)).fetchone()
    uses = execute(_USES, (id_, MOST_SHOWN)).fetchall()
    pool = execute(_SAMPLES, (step.key, MOST_SHOWN)).fetchall()
    return StepView(
        step=step,
        workflow="" if run is None else run[0],
        imported=_import(connection, step.run_id),
        uses=tuple([Use(**dict(zip(Use.__struct_fields__, use, strict=True))) for use in uses]),
        use_count=execute("SELECT count(*) FROM deliveries WHERE step_id = ?", (id_,)).fetchone()[0],
        pool=tuple([Sample(**dict(zip(Sample.__struct_fields__, sample, strict=True))) for sample in pool]),
        pool_count=execute(f"SELECT count(*) FROM steps WHERE {_ANSWERS}", (step.key,)).fetchone()[0],  # noqa: S608
    )


def _import(connection: sqlite3.Connection, run: RunId) -> Import | None:
    if not run.startswith(IMPORT_PREFIX):
        return None
    row = connection.execute("SELECT id, file, digest, imported_at FROM imports WHERE id = ?", (run,)).fetchone()
    return None if row is None else Import(id=row[0], file=row[1], digest=row[2], imported_at=row[3])


_ANSWERS = "key = ? AND status = 'completed' AND result IS NOT NULL"
_SAMPLES = f"""
SELECT id, run_id, finished_at, place, input_tokens + output_tokens FROM steps
WHERE {_ANSWERS} ORDER BY finished_seq DESC LIMIT ?
"""  # noqa: S608
_USES = """
SELECT run_id, coalesce(runs.workflow, ''), number, label, phase, mode, place, delivered_at
FROM deliveries LEFT JOIN runs ON runs.id = run_id WHERE step_id = ? ORDER BY seq DESC LIMIT ?
"""
