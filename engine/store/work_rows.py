"""Records as rows and back: what a step saw and did, in the order of the columns in tables.py."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import msgspec

from ..model import (
    Attempt,
    Change,
    Edit,
    Observation,
    PromptMakeup,
    Shortened,
    StepId,
    ToolCall,
    Turn,
)
from ..ports import FileChange
from .blobs import Cell, plain
from .row_parts import (
    STEP_STATUS,
    Put,
    Row,
    Text,
    contents_cell,
    contents_of,
    fault_cell,
    fault_of,
    usage_cells,
    usage_of,
)

#: Of a row of `observation_rows`, and of one of `look_rows`.
EPOCH_OF_OBSERVATION = itemgetter(5)
EPOCH_OF_LOOK = itemgetter(7)


# ---------------------------------------------------------------- what it saw of files, and made of them


def observation_rows(step_id: StepId, observations: Sequence[Observation], put: Put) -> list[Row]:
    """Without the `seldom` columns where all of them are NULL."""
    rows: list[Row] = []
    for number, seen in enumerate(observations, start=1):
        row = (step_id, number, plain(seen.tool), put(seen.arguments), seen.digest, seen.epoch)
        rows.append(row if seen.change is None and not seen.aside else (*row, *_seldom_cells(seen)))
    return rows


def look_rows(call: ToolCall, put: Put) -> list[Row]:
    """As `observation_rows`."""
    rows: list[Row] = []
    for position, seen in enumerate(call.observations, start=1):
        name = (call.step_id, call.turn, call.number, position)
        row = (*name, plain(seen.tool), put(seen.arguments), seen.digest, seen.epoch)
        rows.append(row if seen.change is None and not seen.aside else (*row, *_seldom_cells(seen)))
    return rows


def observation_of(row: Sequence[Any], text: Text) -> Observation:
    """From the columns `tables.SEEN`."""
    tool, arguments, digest, epoch, aside, path, before, after = row
    # As every step of every pool is read so, short arguments, which stand in their column, cost no call.
    return Observation(
        tool=tool,
        arguments=arguments if type(arguments) is str else text(arguments),
        digest=digest,
        epoch=epoch,
        change=None if path is None else _change_of(path, before, after),
        aside=aside is not None,
    )


def _seldom_cells(seen: Observation) -> Row:
    return 1 if seen.aside else None, *((None,) * 3 if seen.change is None else _change_cells(seen.change))


def _change_cells(change: Change) -> Row:
    return plain(change.path), contents_cell(change.before), contents_cell(change.after)


def _change_of(path: str, before: Cell | None, after: Cell | None) -> Change:
    return Change(path=path, before=contents_of(before), after=contents_of(after))


def edit_of(row: Row) -> Edit:
    epoch, path, before, after = row
    return Edit(epoch=epoch, change=_change_of(path, before, after))


def file_change_row(entry: FileChange) -> Row:
    return entry.epoch, *_change_cells(entry.change), entry.step_id, entry.run_id, entry.done


def file_change_of(row: Row) -> FileChange:
    epoch, path, before, after, step_id, run_id, done = row
    change = _change_of(path, before, after)
    return FileChange(epoch=epoch, change=change, step_id=step_id, run_id=run_id, done=bool(done))


# ---------------------------------------------------------------- attempts, turns and tool calls


def attempt_row(attempt: Attempt, put: Put) -> Row:
    return (
        attempt.step_id,
        attempt.number,
        attempt.status,
        attempt.started_at,
        attempt.finished_at,
        fault_cell(attempt.fault, put),
        *usage_cells(attempt.usage),
        plain(attempt.model),
    )


def attempt_of(row: Row, text: Text) -> Attempt:
    return Attempt(
        step_id=StepId(row[0]),
        number=row[1],
        status=STEP_STATUS[row[2]],
        started_at=row[3],
        finished_at=row[4],
        fault=fault_of(row[5], text),
        usage=usage_of(row[6:13]),
        model=row[13],
    )


def turn_row(turn: Turn, put: Put) -> Row:
    return (
        turn.step_id,
        turn.number,
        turn.attempt,
        plain(turn.model),
        put(turn.input),
        put(turn.output),
        plain(turn.outcome),
        put(turn.error),
        turn.started_at,
        turn.finished_at,
        *usage_cells(turn.usage),
        turn.makeup.system,
        turn.makeup.tools,
        turn.makeup.context,
        turn.makeup.conversation,
        put(msgspec.json.encode(turn.shortened).decode()) if turn.shortened else None,
    )


def turn_of(row: Row, text: Text) -> Turn:
    return Turn(
        step_id=StepId(row[0]),
        number=row[1],
        attempt=row[2],
        model=row[3],
        input=text(row[4]),
        output=text(row[5]),
        outcome=row[6],
        error=text(row[7]),
        started_at=row[8],
        finished_at=row[9],
        usage=usage_of(row[10:17]),
        makeup=PromptMakeup(system=row[17], tools=row[18], context=row[19], conversation=row[20]),
        shortened=() if row[21] is None else msgspec.json.decode(text(row[21]), type=tuple[Shortened, ...]),
    )


def tool_call_row(call: ToolCall, put: Put) -> Row:
    """Without the column of the whole output where that is the output."""
    row = (
        call.step_id,
        call.turn,
        call.number,
        plain(call.call_id),
        plain(call.name),
        put(call.arguments),
        put(call.output),
        call.outcome,
        call.started_at,
        call.finished_at,
    )
    return (*row, put(call.whole)) if call.whole else row


def tool_call_of(row: Row, text: Text, observations: tuple[Observation, ...]) -> ToolCall:
    return ToolCall(
        step_id=StepId(row[0]),
        turn=row[1],
        number=row[2],
        call_id=row[3],
        name=row[4],
        arguments=text(row[5]),
        output=text(row[6]),
        outcome=row[7],
        started_at=row[8],
        finished_at=row[9],
        whole="" if row[10] is None else text(row[10]),
        observations=observations,
    )
