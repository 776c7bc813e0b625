"""Runs and steps as JSON documents: what the listing commands print under --json. A contract for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from vibe_workflows.engine.events import (
    ContextShortened,
    ModelDown,
    ModelSlowed,
    ModelUp,
    StepFellBack,
    StepRetried,
    Warned,
)
from vibe_workflows.engine.model import Attempt, DeliveryMode, Run, Step, StepStatus, ToolCall, Turn

from .edits import edits_of
from .failures import KEPT, FailedStep
from .output import fault_json, run_fault_json, usage_json
from .render.happenings import attempts
from .render.stored import parsed
from .render.trace_rows import rows_of, waits_of
from .render.trace_step import conversation
from .render.trace_turns import original
from .render.usage import makeup_sum
from .why_json import diff_json

if TYPE_CHECKING:
    from .render.trace_rows import RunTrace
    from .render.trace_step import StepTrace

MODEL_EVENTS = (ModelSlowed, ModelDown, ModelUp)


def of_summary(run: Run) -> dict[str, object]:
    """A run without its steps: a row of `vibe runs --json`."""
    return {
        "run": run.id,
        "workflow": run.workflow,
        "path": run.path,
        "status": run.status.value,
        "parent": run.parent,
        "lineage": run.lineage,
        "args": json.loads(run.args),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "model": run.model,
        "offline": run.offline,
        "sandbox_level": run.sandbox_level,
        "live_steps": run.live_steps,
        "stored_steps": run.stored_steps,
        "usage": usage_json(run.usage),
        "paid": usage_json(run.paid),
        "error": run_fault_json(run.fault),
    }


def of_run(trace: RunTrace) -> dict[str, object]:
    waits = waits_of(trace)
    answered = [
        {
            "number": each.delivery.number,
            "label": each.delivery.label,
            "phase": each.delivery.phase,
            "line": each.delivery.line,
            "stored": each.delivery.mode is not DeliveryMode.LIVE,
            "reason": each.delivery.reason,
            "model_reason": each.delivery.model_reason,
            "requested_at": each.delivery.requested_at,
            "delivered_at": each.delivery.delivered_at,
            **_step(each.step),
            "waits": [] if each.step.run_id != trace.run.id else _waits(waits.get(each.step.id, ())),
            "makeup": trace.makeups.get(each.step.id),
        }
        for each in trace.answered
    ]
    unanswered = [
        {
            "number": each.number,
            "label": each.label,
            "phase": each.phase,
            "stored": False,
            "requested_at": None,
            "delivered_at": None,
            **_step(each.step),
            "waits": _waits(waits.get(each.step.id, ())),
            "makeup": trace.makeups.get(each.step.id),
        }
        for each in trace.unanswered
    ]
    result = trace.run.result
    edits = edits_of(trace.events)
    return {
        **of_summary(trace.run),
        "result": None if result is None else json.loads(result),
        "phases": trace.phases,
        "makeup": makeup_sum(list(trace.makeups.values())),
        "steps": [*answered, *unanswered],
        **_failures(trace),
        "edited": edits.to_json(),
        "collisions": edits.collisions_json(),
        "warnings": [event.message for event in trace.events if isinstance(event, Warned)],
        "fallbacks": [_fallback(event) for event in trace.events if isinstance(event, StepFellBack)],
        "shortened": [_shortened(event) for event in trace.events if isinstance(event, ContextShortened)],
        "models": [msgspec.to_builtins(event) for event in trace.events if isinstance(event, MODEL_EVENTS)],
        "log": [
            {"at": line.at, "phase": line.phase, "message": line.message, "fields": line.fields} for line in trace.log
        ],
    }


def of_step(trace: StepTrace) -> dict[str, object]:
    from .render.given import given_files, given_grants, given_profile, given_tools

    step = trace.step
    said = conversation(trace.turns)
    spec = json.loads(step.spec)
    given = spec if isinstance(spec, dict) else {}
    return {
        "number": trace.number,
        "label": trace.label,
        "phase": trace.phase,
        "line": trace.line,
        "stored": trace.stored,
        "reason": trace.reason,
        "model_reason": trace.model_reason,
        "answered_by": trace.answered_by,
        **_step(step),
        "makeup": makeup_sum([turn.makeup for turn in trace.turns]),
        "profile": given_profile(given) or None,
        "tools": given_tools(given),
        "grants": given_grants(given),
        "files": [
            {"path": file.path, "media_type": file.media_type, "size": file.size, "digest": file.digest}
            for file in given_files(given, trace.turns)
        ],
        "spec": spec,
        "result": None if step.result is None else json.loads(step.result),
        "attempts": [_attempt(attempt) for attempt in trace.attempts],
        "waits": _waits(trace.waits),
        "fallbacks": [_fallback(event) for event in trace.fallbacks],
        "turns": [_turn(turn, said) for turn in trace.turns],
        "tool_calls": [_tool_call(call) for call in trace.tool_calls],
        "edited": [{"path": file.path, "created": file.created, "diff": diff_json(file.diff)} for file in trace.edited],
        "worktree": [
            {
                "path": file.path,
                "created": file.created,
                "landed": file.landed.value,
                "diff": diff_json(file.diff),
            }
            for file in trace.worktree
        ],
    }


def _waits(waits: Sequence[StepRetried]) -> list[dict[str, object]]:
    return [{"at": event.at, "attempt": event.attempt, "wait_s": event.wait_s, "error": event.error} for event in waits]


def _step(step: Step) -> dict[str, object]:
    return {
        "step": step.id,
        "run": step.run_id,
        "key": step.key,
        "kind": step.kind.value,
        "status": step.status.value,
        "model": step.model,
        "turn_count": step.turns,
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "usage": usage_json(step.usage),
        "error": fault_json(step.fault),
    }


def _attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "number": attempt.number,
        "status": attempt.status.value,
        "model": attempt.model,
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "usage": usage_json(attempt.usage),
        "error": fault_json(attempt.fault),
    }


def _turn(turn: Turn, said: Sequence[object]) -> dict[str, object]:
    return {
        "number": turn.number,
        "attempt": turn.attempt,
        "model": turn.model,
        "input": parsed(turn.input),
        "output": parsed(turn.output),
        "outcome": turn.outcome,
        "started_at": turn.started_at,
        "finished_at": turn.finished_at,
        "usage": usage_json(turn.usage),
        "makeup": turn.makeup,
        "shortened": [
            {
                "message": each.message,
                "tool_call_id": original(each, said).get("tool_call_id"),
                "characters": len(str(original(each, said).get("text", ""))),
                "text": each.text,
            }
            for each in turn.shortened
        ],
        "error": turn.error or None,
    }


def _fallback(event: StepFellBack) -> dict[str, object]:
    return {
        "at": event.at,
        "number": event.number,
        "step": event.step,
        "failed": event.failed,
        "model": event.model,
        "error": event.error,
    }


def _shortened(event: ContextShortened) -> dict[str, object]:
    return {
        "at": event.at,
        "number": event.number,
        "step": event.step,
        "turn": event.turn,
        "outputs": event.outputs,
        "characters": event.characters,
    }


def _failures(trace: RunTrace) -> dict[str, object]:
    """As in the document of `vibe run --json`."""
    tried = attempts(trace.events)
    failed = [row for row in rows_of(trace) if row.step.status in (StepStatus.FAILED, StepStatus.TIMED_OUT)]
    first = [
        FailedStep(
            step=row.step.id,
            number=row.number,
            label=row.label,
            phase=row.phase,
            type=fault.type,
            kind=fault.kind,
            message=fault.message,
            attempts=tried.get(row.step.id, 1),
        )
        for row in failed[:KEPT]
        if (fault := row.step.fault) is not None
    ]
    return {"failures": first, "failed_steps": len(failed)}


def _tool_call(call: ToolCall) -> dict[str, object]:
    return {
        "turn": call.turn,
        "number": call.number,
        "id": call.call_id,
        "name": call.name,
        "arguments": parsed(call.arguments),
        "output": call.output,
        "whole": call.whole or None,
        "outcome": call.outcome,
        "changed": [seen.edit.change.path for seen in call.observations if seen.edit is not None],
        "started_at": call.started_at,
        "finished_at": call.finished_at,
    }
