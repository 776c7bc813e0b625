"""The difference between two runs as a JSON document: what `vibe diff --json` prints. A contract for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vibe_workflows.engine.spec_diff import names_of

from .output import fault_json, usage_json
from .why_json import diff_json

if TYPE_CHECKING:
    from vibe_workflows.engine.model import Run
    from vibe_workflows.engine.past import RunStep
    from vibe_workflows.engine.run_diff import RunDiff, StepPair


def of_run_diff(diff: RunDiff) -> dict[str, object]:
    return {
        "before": _run(diff.before),
        "after": _run(diff.after),
        "same_source": diff.before.source_digest == diff.after.source_digest,
        "same_args": diff.before.args_digest == diff.after.args_digest,
        "counts": {
            "new": len(diff.new),
            "gone": len(diff.gone),
            "changed": len(diff.changed),
            "unchanged": len(diff.unchanged),
        },
        "new": [_step(each) for each in diff.new],
        "gone": [_step(each) for each in diff.gone],
        "changed": [_pair(pair) for pair in diff.changed],
        "unchanged": [_pair(pair) for pair in diff.unchanged],
        "same_result": diff.result is None,
        "result": diff_json(diff.result),
    }


def _run(run: Run) -> dict[str, object]:
    return {
        "run": run.id,
        "status": run.status.value,
        "started_at": run.started_at,
        "live_steps": run.live_steps,
        "stored_steps": run.stored_steps,
        "usage": usage_json(run.usage),
        "paid": usage_json(run.paid),
        "error": fault_json(run.fault),
    }


def _step(each: RunStep) -> dict[str, object]:
    return {
        "number": each.number,
        "label": each.label,
        "phase": each.phase,
        "line": each.line,
        "step": each.step.id,
        "status": each.step.status.value,
        "stored": each.stored,
        "model": each.step.model,
        "usage": usage_json(each.step.usage),
        "error": fault_json(each.step.fault),
    }


def _pair(pair: StepPair) -> dict[str, object]:
    return {
        "before": _step(pair.before),
        "after": _step(pair.after),
        "fields": names_of(pair.changes),
        "answer_differs": pair.answer_differs,
    }
