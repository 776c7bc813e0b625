"""The explanation of a step as a JSON document: what `vibe why --json` prints. A contract for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import fault_json, usage_json
from .render.stored import parsed

if TYPE_CHECKING:
    from vibe_workflows.engine.spec_diff import FieldChange
    from vibe_workflows.engine.text_diff import TextDiff
    from vibe_workflows.engine.why import ChangedLook, Explanation, Nearest, StoredAnswer, TooOld, WentOn


def of_explanation(why: Explanation) -> dict[str, object]:
    asked, step = why.asked, why.asked.step
    return {
        "run": why.run.id,
        "number": asked.number,
        "label": asked.label,
        "phase": asked.phase,
        "line": asked.line,
        "step": step.id,
        "kind": step.kind.value,
        "status": step.status.value,
        "stored": asked.stored,
        "answered": asked.delivery is not None,
        "cause": why.cause.value,
        "reason": why.reason,
        "model": step.model,
        "model_reason": why.model_reason,
        "usage": usage_json(step.usage),
        "error": fault_json(step.fault),
        "answer": None if why.answer is None else _answer(why.answer),
        "went_on": None if why.went_on is None else _went_on(why.went_on),
        "nearest": None if why.nearest is None else _nearest(why.nearest),
        "changed": None if why.changed is None else _changed(why.changed),
        "too_old": None if why.too_old is None else _too_old(why.too_old),
        "in_use": [{"number": each.number, "label": each.label, "step": each.step} for each in why.in_use],
        "next_run": why.next_run,
    }


def diff_json(diff: TextDiff | None) -> dict[str, object] | None:
    return None if diff is None else {"lines": diff.lines, "cut": diff.cut}


def _answer(answer: StoredAnswer) -> dict[str, object]:
    return {
        "step": answer.step,
        "run": answer.run,
        "age_s": answer.age_s,
        "own_place": answer.own_place,
        "observations": [
            {"tool": each.tool, "arguments": parsed(each.arguments), "digest": each.digest}
            for each in answer.observations
        ],
    }


def _went_on(went_on: WentOn) -> dict[str, object]:
    return {
        "step": went_on.step,
        "run": went_on.run,
        "status": went_on.status.value,
        "error": fault_json(went_on.fault),
        "turns": went_on.turns,
    }


def _nearest(nearest: Nearest) -> dict[str, object]:
    return {
        "how": nearest.how,
        "step": nearest.step,
        "run": nearest.run,
        "number": nearest.number,
        "label": nearest.label,
        "phase": nearest.phase,
        "status": nearest.status.value,
        "error": fault_json(nearest.fault),
        "model_reason": nearest.model_reason,
        "changes": [_change(each) for each in nearest.changes],
    }


def _change(change: FieldChange) -> dict[str, object]:
    return {
        "field": change.name,
        "before": change.before,
        "after": change.after,
        "diff": diff_json(change.diff),
        "note": change.note,
    }


def _changed(changed: ChangedLook) -> dict[str, object]:
    return {
        "step": changed.step,
        "run": changed.run,
        "tool": changed.tool,
        "arguments": parsed(changed.arguments),
        "diff": diff_json(changed.diff),
        "then": changed.then,
        "looked_now": changed.now,
    }


def _too_old(too_old: TooOld) -> dict[str, object]:
    return {
        "step": too_old.step,
        "run": too_old.run,
        "age_s": too_old.age_s,
        "rule": too_old.rule,
        "ttl_s": too_old.ttl_s,
    }
