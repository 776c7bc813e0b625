"""The explanation of a step as a JSON document: what `vibe why --json` prints. A contract for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .output import fault_json, usage_json
from .render.stored import parsed

if TYPE_CHECKING:
    from vibe_workflows.engine.model import Change
    from vibe_workflows.engine.spec_diff import FieldChange
    from vibe_workflows.engine.text_diff import TextDiff
    from vibe_workflows.engine.why import ChangedLook, Explanation, Nearest, StoredAnswer, TooOld, WentOn
    from vibe_workflows.engine.why_edits import Attempted, EditInTheWay


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
        "in_the_way": None if why.in_the_way is None else _in_the_way(why.in_the_way),
        "attempt_after": None if why.attempted is None else _attempted(why.attempted),
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
        "edits": edits_json(answer.edits),
        "edits_made_again": answer.applied,
    }


def edits_json(changes: Iterable[Change]) -> list[dict[str, object]]:
    """Each edited file once."""
    created: dict[str, bool] = {}
    for change in changes:
        created.setdefault(change.path, change.before is None)
    return [{"path": path, "created": made} for path, made in created.items()]


def _in_the_way(edit: EditInTheWay) -> dict[str, object]:
    later, adopted = edit.later, edit.adopted
    return {
        "step": edit.step,
        "run": edit.run,
        "path": edit.path,
        "as_it_was_left": edit.same,
        "later": None if later is None else {"step": later.step, "run": later.run, "label": later.label},
        "adopted": None if adopted is None else {"why": adopted.why.value, "by": adopted.number, "undo": adopted.run},
        "diff": diff_json(edit.diff),
    }


def _attempted(earlier: Attempted) -> dict[str, object]:
    return {
        "step": earlier.step,
        "run": earlier.run,
        "status": earlier.status.value,
        "error": fault_json(earlier.fault),
        "edited": earlier.paths,
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
