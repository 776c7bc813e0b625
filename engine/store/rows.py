"""Records as rows and back: runs, steps and what became of them, in the order of the columns in tables.py."""

from __future__ import annotations

import json

import msgspec

from ..events import Event, decode_event, encode_event
from ..model import (
    Delivery,
    DeliveryMode,
    Edit,
    Grounds,
    LineageId,
    Observation,
    RefreshWord,
    Run,
    RunId,
    RunStatus,
    Step,
    StepId,
    StepKey,
    StepKind,
)
from ..ports import CutOffStep, RunEvent, Source, StoredStep
from .blobs import Cell, plain
from .row_parts import STEP_STATUS, Put, Row, Text, fault_cell, fault_of, json_text, usage_cells, usage_of

# ---------------------------------------------------------------- runs and sources


def run_row(run: Run, put: Put) -> Row:
    return (
        run.id,
        run.lineage,
        run.parent,
        plain(run.workflow),
        plain(run.path),
        run.source_digest,
        put(run.args),
        run.args_digest,
        run.status,
        run.started_at,
        run.finished_at,
        run.now,
        run.horizon,
        plain(run.seed),
        plain(run.model),
        run.offline,
        run.sandbox_level,
        run.version,
        None if run.result is None else put(run.result),
        fault_cell(run.fault, put),
        run.live_steps,
        run.stored_steps,
        *usage_cells(run.usage),
        *usage_cells(run.paid),
        put(json_text(run.refresh)) if run.refresh else None,
    )


def run_of(row: Row, text: Text) -> Run:
    return Run(
        id=RunId(row[0]),
        lineage=LineageId(row[1]),
        parent=row[2],
        workflow=row[3],
        path=row[4],
        source_digest=row[5],
        args=text(row[6]),
        args_digest=row[7],
        status=RunStatus(row[8]),
        started_at=row[9],
        finished_at=row[10],
        now=row[11],
        horizon=row[12],
        seed=row[13],
        model=row[14],
        offline=bool(row[15]),
        sandbox_level=row[16],
        version=row[17],
        result=None if row[18] is None else text(row[18]),
        fault=fault_of(row[19], text),
        live_steps=row[20],
        stored_steps=row[21],
        usage=usage_of(row[22:29]),
        paid=usage_of(row[29:36]),
        refresh=() if row[36] is None else msgspec.json.decode(text(row[36]), type=tuple[RefreshWord, ...]),
    )


def source_row(source: Source, put: Put) -> Row:
    return source.digest, put(source.text)


# ---------------------------------------------------------------- steps


def step_row(step: Step, put: Put) -> Row:
    return (
        step.id,
        step.run_id,
        step.key,
        put(step.spec),
        step.kind,
        step.status,
        None if step.result is None else put(step.result),
        fault_cell(step.fault, put),
        step.started_at,
        step.finished_at,
        step.turns,
        plain(step.model),
        len(step.observations),
        *usage_cells(step.usage),
        step.predecessor,
        step.attempt_after,
        None if step.patch is None else put(step.patch),
    )


def step_of(row: Row, text: Text, observations: tuple[Observation, ...]) -> Step:
    return Step(
        id=StepId(row[0]),
        run_id=RunId(row[1]),
        key=StepKey(row[2]),
        spec=text(row[3]),
        kind=StepKind(row[4]),
        status=STEP_STATUS[row[5]],
        result=None if row[6] is None else text(row[6]),
        fault=fault_of(row[7], text),
        started_at=row[8],
        finished_at=row[9],
        turns=row[10],
        model=row[11],
        usage=usage_of(row[13:20]),
        observations=observations,
        predecessor=None if row[20] is None else StepId(row[20]),
        attempt_after=None if row[21] is None else StepId(row[21]),
        patch=None if row[22] is None else text(row[22]),
    )


def stored_step_of(
    row: Row, text: Text, observations: tuple[Observation, ...], inherited: tuple[Edit, ...] = ()
) -> StoredStep:
    """From a row of `tables.POOL`."""
    id_, finished_seq, finished_at, spec, result, place, model, turns, _observed, _earlier, patch, *usage = row
    return StoredStep(
        id=id_,
        finished_seq=finished_seq,
        finished_at=finished_at,
        spec=text(spec),
        result=text(result),
        usage=usage_of(usage),
        place=place,
        model=model,
        turns=turns,
        observations=observations,
        inherited=inherited,
        patch=None if patch is None else text(patch),
    )


def cut_off_step_of(row: Row, text: Text) -> CutOffStep:
    """From a row of `tables.CUT_OFF` or `tables.EDITING`, without what it saw and did."""
    id_, run_id, status, fault, spec, finished_at, last_turn = row
    return CutOffStep(
        id=StepId(id_),
        run_id=RunId(run_id),
        status=STEP_STATUS[status],
        fault=fault_of(fault, text),
        spec=text(spec),
        finished_at=finished_at,
        turns=last_turn,
    )


# ---------------------------------------------------------------- deliveries and events


def delivery_row(delivery: Delivery, put: Put) -> Row:
    return (
        delivery.run_id,
        delivery.number,
        delivery.step_id,
        delivery.mode,
        delivery.status,
        plain(delivery.place),
        plain(delivery.label),
        plain(delivery.phase),
        delivery.scope,
        delivery.line,
        delivery.requested_at,
        delivery.delivered_at,
        put(delivery.reason),
        plain(delivery.model_reason),
        None if delivery.grounds is None else put(json_text(delivery.grounds)),
    )


def delivery_of(row: Row, text: Text) -> Delivery:
    return Delivery(
        run_id=RunId(row[0]),
        number=row[1],
        step_id=StepId(row[2]),
        mode=DeliveryMode(row[3]),
        status=STEP_STATUS[row[4]],
        place=row[5],
        label=row[6],
        phase=row[7],
        scope=row[8],
        line=row[9],
        requested_at=row[10],
        delivered_at=row[11],
        reason=text(row[12]),
        model_reason=row[13],
        grounds=None if row[14] is None else msgspec.json.decode(text(row[14]), type=Grounds),
    )


def place_row(delivery: Delivery) -> Row:
    """Parameters of `tables.UPDATE_PLACE`."""
    return plain(delivery.place), delivery.step_id


def event_row(told: RunEvent, put: Put) -> Row:
    """Parameters of `tables.INSERT_EVENT`."""
    event = told.event
    try:
        data = encode_event(event).decode()
    except UnicodeEncodeError:  # a lone surrogate, which `put` makes a question mark
        data = json.dumps(msgspec.to_builtins(event), ensure_ascii=False)
    return told.run_id, event.__struct_config__.tag, event.at, put(data)


def event_of(cell: Cell, text: Text) -> Event:
    return decode_event(text(cell))
