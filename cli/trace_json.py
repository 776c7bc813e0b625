"""Runs and steps as JSON documents: what the listing commands print under --json. A contract for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vibe_workflows.engine.model import Attempt, Run, Step, ToolCall, Turn

from .output import fault_json, usage_json

if TYPE_CHECKING:
    from .render.trace import RunTrace, StepTrace


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
        "error": fault_json(run.fault),
    }


def of_run(trace: RunTrace) -> dict[str, object]:
    answered = [
        {
            "number": each.delivery.number,
            "label": each.delivery.label,
            "phase": each.delivery.phase,
            "line": each.delivery.line,
            "stored": each.delivery.mode.value == "stored",
            "reason": each.delivery.reason,
            **_step(each.step),
        }
        for each in trace.answered
    ]
    unanswered = [
        {"number": each.number, "label": each.label, "phase": each.phase, "stored": False, **_step(each.step)}
        for each in trace.unanswered
    ]
    result = trace.run.result
    return {
        **of_summary(trace.run),
        "result": None if result is None else json.loads(result),
        "phases": list(trace.phases),
        "steps": [*answered, *unanswered],
        "warnings": list(trace.warnings),
        "log": [
            {"at": line.at, "phase": line.phase, "message": line.message, "fields": line.fields} for line in trace.log
        ],
    }


def of_step(trace: StepTrace) -> dict[str, object]:
    from .render.given import given_files, given_grants, given_tools

    step = trace.step
    spec = json.loads(step.spec)
    given = spec if isinstance(spec, dict) else {}
    return {
        "number": trace.number,
        "label": trace.label,
        "phase": trace.phase,
        "line": trace.line,
        "stored": trace.stored,
        "reason": trace.reason,
        **_step(step),
        "tools": given_tools(given),
        "grants": given_grants(given),
        "files": [
            {"path": file.path, "media_type": file.media_type, "size": file.size, "digest": file.digest}
            for file in given_files(given, trace.turns)
        ],
        "spec": spec,
        "result": None if step.result is None else json.loads(step.result),
        "attempts": [_attempt(attempt) for attempt in trace.attempts],
        "turns": [_turn(turn) for turn in trace.turns],
        "tool_calls": [_tool_call(call) for call in trace.tool_calls],
    }


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
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "usage": usage_json(attempt.usage),
        "error": fault_json(attempt.fault),
    }


def _turn(turn: Turn) -> dict[str, object]:
    return {
        "number": turn.number,
        "attempt": turn.attempt,
        "model": turn.model,
        "input": _parsed(turn.input),
        "output": _parsed(turn.output),
        "outcome": turn.outcome,
        "started_at": turn.started_at,
        "finished_at": turn.finished_at,
        "usage": usage_json(turn.usage),
        "error": turn.error or None,
    }


def _tool_call(call: ToolCall) -> dict[str, object]:
    return {
        "turn": call.turn,
        "number": call.number,
        "id": call.call_id,
        "name": call.name,
        "arguments": _parsed(call.arguments),
        "output": call.output,
        "outcome": call.outcome,
        "started_at": call.started_at,
        "finished_at": call.finished_at,
    }


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
