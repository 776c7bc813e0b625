"""The chains of edits in a store, and whose they are. Blocking reads; raises what its rows make it raise."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping

from ..model import Edit, Observation, RunId, RunStatus, StepId, StepKey, StepStatus
from ..ports import CutOffStep, FileChange, OwnStep
from . import tables, work_rows
from .blobs import BlobReader, plain
from .histories import Histories
from .locks import RunLocks

_ENTRIES = f"SELECT {tables.CHANGES.names} FROM changes"  # noqa: S608
_OF_PATHS = f"{_ENTRIES} WHERE path IN (SELECT value FROM json_each(?)) ORDER BY epoch"  # noqa: S608
_INTENDED = f"{_ENTRIES} WHERE done = 0 ORDER BY epoch"

_ENTRY = "SELECT 1 FROM changes WHERE epoch = ?"

_INVOCATIONS = """
SELECT id, status, finished_at FROM runs WHERE path = ? AND args_digest = ? ORDER BY started_at DESC, rowid DESC
"""
_DELIVERED = "SELECT step_id, label FROM deliveries WHERE run_id = ? ORDER BY seq DESC"
#: A run with those that it goes on with.
_LINEAGE = """
SELECT earlier.id FROM runs JOIN runs AS earlier ON earlier.lineage = runs.lineage
WHERE runs.id = ? AND (earlier.started_at, earlier.rowid) <= (runs.started_at, runs.rowid)
ORDER BY earlier.started_at DESC, earlier.rowid DESC
"""
_WORKED_ON = "SELECT id FROM steps WHERE run_id = ?1 UNION SELECT step_id FROM changes WHERE run_id = ?1"
#: The steps of a list that may own edits: they made some, or go on with a step that may have, or stand after one.
_MAY_EDIT = f"""
SELECT id, key, status, place, observed, predecessor, attempt_after FROM steps
WHERE id IN (SELECT value FROM json_each(?))
  AND (predecessor IS NOT NULL OR attempt_after IS NOT NULL
       OR EXISTS (SELECT 1 FROM observations WHERE step_id = steps.id AND {tables.AN_EDIT})
       OR EXISTS (SELECT 1 FROM looks WHERE step_id = steps.id AND {tables.AN_EDIT}))
ORDER BY started_at, rowid
"""  # noqa: S608


class Chains:
    def __init__(self, connection: sqlite3.Connection, histories: Histories, locks: RunLocks) -> None:
        self._execute = connection.execute
        self._blobs = BlobReader(connection)
        self._histories = histories
        self._locks = locks

    def some(self) -> bool:
        return self._execute("SELECT 1 FROM changes LIMIT 1").fetchone() is not None

    def latest_epoch(self) -> int:
        row = self._execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        return 0 if row is None else int(row[0])

    def of(self, paths: Collection[str]) -> list[FileChange]:
        # No file has a name with a NUL, at which SQL would end it: the entries would be those of another file.
        names = json.dumps([plain(path) for path in paths if "\0" not in path])
        return [work_rows.file_change_of(row) for row in self._execute(_OF_PATHS, (names,)).fetchall()]

    def unsettled(self) -> list[tuple[FileChange, ...]]:
        together: dict[tuple[str, str, object], list[FileChange]] = {}
        for row in self._execute(_INTENDED).fetchall():
            entry = work_rows.file_change_of(row)
            if not self._locks.is_owned(entry.run_id):
                call = self._execute(tables.CALL_OF_EDIT, (entry.step_id, entry.epoch)).fetchone()
                together.setdefault((entry.run_id, entry.step_id, call), []).append(entry)
        return list(map(tuple, together.values()))

    def contents(self, digest: str) -> bytes | None:
        return self._blobs.data(bytes.fromhex(digest))

    def hold_any_of(self, step: CutOffStep) -> bool:
        """Whether an edit that the step owns was made, or intended, and is not withdrawn."""
        edits = [*step.inherited, *(seen.edit for seen in step.observations if seen.edit is not None)]
        return any(self._execute(_ENTRY, (edit.epoch,)).fetchone() is not None for edit in edits)

    # ------------------------------------------------------------ whose they are

    def own_steps(self, path: str, args_digest: str, run_id: RunId | None) -> list[OwnStep]:
        if not self.some():
            return []
        latest, labels = self._steps_of_invocations(path, args_digest, run_id)
        return self._with_edits(labels, latest)

    def of_run(self, run_id: RunId) -> list[OwnStep]:
        labels: dict[str, str] = {}
        if self.some():
            for (run,) in self._execute(_LINEAGE, (run_id,)).fetchall():
                self._add_delivered(run, labels)
                self._add_worked_on(run, labels)
        return self._with_edits(labels, run_id)

    def _with_edits(self, labels: Mapping[str, str], run_id: str) -> list[OwnStep]:
        """Those of some steps, each with its label, that own edits."""
        found = self._execute(_MAY_EDIT, (json.dumps(list(labels)),)).fetchall()
        later = {step for *_, predecessor, attempt_after in found for step in (predecessor, attempt_after)}
        steps: list[OwnStep] = []
        for id_, key, status, place, observed, *before in found:
            edits = () if id_ in later else self._edits(id_, status, observed, alone=before == [None, None])
            if edits:
                steps.append(
                    OwnStep(
                        id=StepId(id_),
                        key=StepKey(key),
                        run_id=RunId(run_id),
                        place=place,
                        label=labels[id_],
                        edits=edits,
                    )
                )
        return steps

    def _steps_of_invocations(self, path: str, args_digest: str, run_id: RunId | None) -> tuple[str, dict[str, str]]:
        """The latest invocation; the steps that count, each with its latest label, "" where it was not delivered."""
        latest = ""
        labels: dict[str, str] = {}
        reached = run_id is None
        for run, status, finished_at in self._execute(_INVOCATIONS, (plain(path), args_digest)).fetchall():
            last = run == run_id
            reached = reached or last
            if not reached or (not last and finished_at is None and self._locks.is_owned(run)):
                continue
            latest = latest or run
            self._add_delivered(run, labels)
            if status == RunStatus.COMPLETED and not last:
                break
            self._add_worked_on(run, labels)
        return latest, labels

    def _add_delivered(self, run: str, labels: dict[str, str]) -> None:
        for step, label in self._execute(_DELIVERED, (run,)).fetchall():
            labels[step] = labels.get(step) or label

    def _add_worked_on(self, run: str, labels: dict[str, str]) -> None:
        for (step,) in self._execute(_WORKED_ON, (run,)).fetchall():
            labels.setdefault(step, "")

    def _edits(self, step_id: StepId, status: str, observed: int, *, alone: bool) -> tuple[Edit, ...]:
        seen: list[Observation] = []
        if status == StepStatus.COMPLETED:
            seen += self._histories.observations(step_id, observed)
        else:
            seen += [each for call in self._histories.tool_calls(step_id) for each in call.observations]
        own = {each.epoch: each.edit for each in seen if each.edit is not None}
        edits = [*own.values(), *(() if alone else self._histories.inherited(step_id, seen))]
        return tuple(sorted(edits, key=lambda edit: edit.epoch))
