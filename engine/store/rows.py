"""Records as rows and back, one pair of functions a table, in the order of the columns in tables.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from ..events import Event, decode_event, encode_event
from ..model import (
    Attempt,
    Delivery,
    DeliveryMode,
    Fault,
    Grounds,
    LineageId,
    Observation,
    PromptMakeup,
    RefreshWord,
    Run,
    RunId,
    RunStatus,
    Shortened,
    Step,
    StepId,
    StepKey,
    StepKind,
    StepStatus,
    ToolCall,
    Turn,
    Usage,
)
from ..ports import CutOffStep, RunEvent, Source, StoredStep
from .blobs import Cell, plain

#: A long text becomes the digest of a blob, and comes back.
Put: TypeAlias = Callable[[str], Cell]
Text: TypeAlias = Callable[[Cell], str]

Row: TypeAlias = tuple[Any, ...]

#: Looked up, which is several times faster than calling the class; an unknown status is a KeyError.
_STEP_STATUS = {status.value: status for status in StepStatus}


# ---------------------------------------------------------------- parts


def _usage_cells(usage: Usage) -> Row:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        usage.cost_microusd,
        usage.estimated,
    )


def _usage(cells: Sequence[Any]) -> Usage:
    input_tokens, output_tokens, cached, cache_write, reasoning, cost, estimated = cells
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
        cost_microusd=cost,
        estimated=bool(estimated),
    )


def _fault_cell(fault: Fault | None, put: Put) -> Cell | None:
    if fault is None:
        return None
    parts = {"type": fault.type, "message": fault.message, "kind": fault.kind, "fields": fault.fields}
    return put(json.dumps(parts, ensure_ascii=False))


def _fault(cell: Cell | None, text: Text) -> Fault | None:
    return None if cell is None else Fault(**json.loads(text(cell)))


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
        _fault_cell(run.fault, put),
        run.live_steps,
        run.stored_steps,
        *_usage_cells(run.usage),
        *_usage_cells(run.paid),
        put(_json_text(run.refresh)) if run.refresh else None,
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
        fault=_fault(row[19], text),
        live_steps=row[20],
        stored_steps=row[21],
        usage=_usage(row[22:29]),
        paid=_usage(row[29:36]),
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
        _fault_cell(step.fault, put),
        step.started_at,
        step.finished_at,
        step.turns,
        plain(step.model),
        len(step.observations),
        *_usage_cells(step.usage),
        step.predecessor,
    )


def step_of(row: Row, text: Text, observations: tuple[Observation, ...]) -> Step:
    return Step(
        id=StepId(row[0]),
        run_id=RunId(row[1]),
        key=StepKey(row[2]),
        spec=text(row[3]),
        kind=StepKind(row[4]),
        status=_STEP_STATUS[row[5]],
        result=None if row[6] is None else text(row[6]),
        fault=_fault(row[7], text),
        started_at=row[8],
        finished_at=row[9],
        turns=row[10],
        model=row[11],
        usage=_usage(row[13:20]),
        observations=observations,
        predecessor=None if row[20] is None else StepId(row[20]),
    )


def stored_step_of(row: Row, text: Text, observations: tuple[Observation, ...]) -> StoredStep:
    """From a row of `tables.POOL`."""
    id_, finished_seq, finished_at, spec, result, place, model, turns, _observed, *usage = row
    return StoredStep(
        id=id_,
        finished_seq=finished_seq,
        finished_at=finished_at,
        spec=text(spec),
        result=text(result),
        usage=_usage(usage),
        place=place,
        model=model,
        turns=turns,
        observations=observations,
    )


def cut_off_step_of(row: Row, text: Text) -> CutOffStep:
    """From a row of `tables.CUT_OFF`, without what it saw."""
    id_, run_id, status, fault, spec, _started_at, finished_at, _predecessor, last_turn = row
    return CutOffStep(
        id=StepId(id_),
        run_id=RunId(run_id),
        status=_STEP_STATUS[status],
        fault=_fault(fault, text),
        spec=text(spec),
        finished_at=finished_at,
        turns=last_turn,
    )


def observation_rows(step: Step, put: Put) -> list[Row]:
    return [
        (step.id, number, plain(observation.tool), put(observation.arguments), observation.digest)
        for number, observation in enumerate(step.observations, start=1)
    ]


def observation_of(row: Row, text: Text) -> Observation:
    tool, arguments, digest = row
    return Observation(tool=tool, arguments=text(arguments), digest=digest)


# ---------------------------------------------------------------- what a step did


def attempt_row(attempt: Attempt, put: Put) -> Row:
    return (
        attempt.step_id,
        attempt.number,
        attempt.status,
        attempt.started_at,
        attempt.finished_at,
        _fault_cell(attempt.fault, put),
        *_usage_cells(attempt.usage),
        plain(attempt.model),
    )


def attempt_of(row: Row, text: Text) -> Attempt:
    return Attempt(
        step_id=StepId(row[0]),
        number=row[1],
        status=_STEP_STATUS[row[2]],
        started_at=row[3],
        finished_at=row[4],
        fault=_fault(row[5], text),
        usage=_usage(row[6:13]),
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
        *_usage_cells(turn.usage),
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
        usage=_usage(row[10:17]),
        makeup=PromptMakeup(system=row[17], tools=row[18], context=row[19], conversation=row[20]),
        shortened=() if row[21] is None else msgspec.json.decode(text(row[21]), type=tuple[Shortened, ...]),
    )


def tool_call_row(call: ToolCall, put: Put) -> Row:
    seen = call.observation
    return (
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
        None if seen is None else plain(seen.tool),
        None if seen is None else put(seen.arguments),
        None if seen is None else seen.digest,
    )


def tool_call_of(row: Row, text: Text) -> ToolCall:
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
        observation=None if row[10] is None else observation_of(row[10:13], text),
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
        None if delivery.grounds is None else put(_json_text(delivery.grounds)),
    )


def delivery_of(row: Row, text: Text) -> Delivery:
    return Delivery(
        run_id=RunId(row[0]),
        number=row[1],
        step_id=StepId(row[2]),
        mode=DeliveryMode(row[3]),
        status=_STEP_STATUS[row[4]],
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


def _json_text(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate in an argument, which `put` makes a question mark
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


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
