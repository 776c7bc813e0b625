"""Records as statements: what one transaction writes, a table at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, assert_never

from ..model import Attempt, Delivery, Observation, Run, Step, StepId, ToolCall, Turn
from ..ports import (
    Disinherited,
    FileChange,
    FileContents,
    Record,
    RunEvent,
    SeenAgain,
    Source,
    StartedOver,
    Withdrawn,
)
from . import rows, tables, work_rows
from .blobs import INSERT_BLOB, BlobWriter
from .row_parts import Row

Statement: TypeAlias = tuple[str, Sequence[Row]]
#: Records that take back what other records say: their order to those counts.
Correction: TypeAlias = SeenAgain | Disinherited | StartedOver | Withdrawn


def _upserts(table: tables.Table) -> Callable[[list[Row]], Statement]:
    """What makes the statement of rows of which some lack the table's `seldom` columns; they stay in their order."""
    common, whole = table.upsert_common, table.upsert
    columns = len(table.columns)
    nothing = (None,) * len(table.seldom)

    def statement(rows: list[Row]) -> Statement:
        if all(len(row) < columns for row in rows):
            return common, rows
        return whole, [row if len(row) == columns else (*row, *nothing) for row in rows]

    return statement


_observations = _upserts(tables.OBSERVATIONS)
_tool_calls = _upserts(tables.TOOL_CALLS)
_looks = _upserts(tables.LOOKS)

_UPSERT_RUN = tables.RUNS.upsert
_UPSERT_SOURCE = tables.SOURCES.upsert
_UPSERT_STEP = tables.STEPS.upsert
_UPSERT_ATTEMPT = tables.ATTEMPTS.upsert
_UPSERT_TURN = tables.TURNS.upsert
_UPSERT_DELIVERY = tables.DELIVERIES.upsert
_UPSERT_CHANGE = tables.CHANGES.upsert


class Batch:
    """Records whose order does not count, but for those of one row: the last one stands."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._sources: list[Source] = []
        self._steps: list[Step] = []
        self._attempts: list[Attempt] = []
        self._turns: list[Turn] = []
        self._calls: list[ToolCall] = []
        self._deliveries: list[Delivery] = []
        self._told: list[RunEvent] = []
        self._changes: list[FileChange] = []
        self._contents: list[FileContents] = []

    def add(self, record: Record) -> Correction | None:
        """None: it is in the batch. Else the record, which is none of a batch: `corrections` writes it."""
        match record:
            case Step():
                self._steps.append(record)
            case Delivery():
                self._deliveries.append(record)
            case RunEvent():
                self._told.append(record)
            case Turn():
                self._turns.append(record)
            case Attempt():
                self._attempts.append(record)
            case ToolCall():
                self._calls.append(record)
            case Run():
                self._runs.append(record)
            case Source():
                self._sources.append(record)
            case FileChange():
                self._changes.append(record)
            case FileContents():
                self._contents.append(record)
            case SeenAgain() | Disinherited() | StartedOver() | Withdrawn():
                return record
            case _:
                assert_never(record)
        return None

    def statements(self) -> list[Statement]:
        """A step comes before its delivery, which says its place."""
        blobs = BlobWriter()
        put = blobs.cell
        for each in self._contents:
            blobs.add(each.digest, each.data)
        seen = [row for each in self._steps for row in work_rows.observation_rows(each.id, each.observations, put)]
        looks = [row for each in self._calls for row in work_rows.look_rows(each, put)]
        statements: list[Statement] = [
            (_UPSERT_SOURCE, [rows.source_row(each, put) for each in self._sources]),
            (_UPSERT_RUN, [rows.run_row(each, put) for each in self._runs]),
            (_UPSERT_STEP, [rows.step_row(each, put) for each in self._steps]),
            _observations(seen),
            (_UPSERT_ATTEMPT, [work_rows.attempt_row(each, put) for each in self._attempts]),
            (_UPSERT_TURN, [work_rows.turn_row(each, put) for each in self._turns]),
            _tool_calls([work_rows.tool_call_row(each, put) for each in self._calls]),
            _looks(looks),
            (_UPSERT_CHANGE, [work_rows.file_change_row(each) for each in self._changes]),
            (_UPSERT_DELIVERY, [rows.delivery_row(each, put) for each in self._deliveries]),
            (tables.UPDATE_PLACE, [rows.place_row(each) for each in self._deliveries]),
            (tables.INSERT_EVENT, [rows.event_row(each, put) for each in self._told]),
            _raise_epoch(
                (change.epoch for change in self._changes),
                map(work_rows.EPOCH_OF_LOOK, looks),
                map(work_rows.EPOCH_OF_OBSERVATION, seen),
            ),
        ]
        statements.append((INSERT_BLOB, blobs.rows()))
        return [statement for statement in statements if statement[1]]


def corrections(record: Correction) -> list[Statement]:
    """What writes a record that is none of a batch."""
    match record:
        case SeenAgain():
            return _seen_again(record.step_id, record.observations)
        case Disinherited():
            return [(tables.DISINHERIT, [(record.step_id,)])]
        case StartedOver():
            return [(tables.FORGET_DELIVERIES, [(record.run_id,)])]
        case Withdrawn():
            epochs = [(epoch,) for epoch in record.epochs]
            return [(tables.WITHDRAW_CALL, epochs), (tables.WITHDRAW_LOOKS, epochs), (tables.WITHDRAW, epochs)]
        case _:
            assert_never(record)


def _seen_again(step_id: StepId, observations: Sequence[Observation]) -> list[Statement]:
    blobs = BlobWriter()
    seen = work_rows.observation_rows(step_id, observations, blobs.cell)
    return [
        _observations(seen),
        (tables.SET_OBSERVED, [(step_id, len(observations))]),
        _raise_epoch(map(work_rows.EPOCH_OF_OBSERVATION, seen)),
        (INSERT_BLOB, blobs.rows()),
    ]


def _raise_epoch(*epochs: Iterable[int]) -> Statement:
    highest = max(max(each, default=0) for each in epochs)
    return tables.RAISE_EPOCH, [(str(highest),)] if highest else []
