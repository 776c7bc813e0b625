"""What one run did otherwise than another: which of their steps belong together, and how those differ.

A pair is two calls that a person would take for the same one. The surest sign comes first: the same stored step, then
the same input, then the same name and place, then the same name, then the same line of the script for steps that the
script gave no name. What one sign pairs, the next ones do not see; of several that share a sign, the first goes with
the first. So an item that is put into a fan-out whose steps all have one label is one new step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence

from msgspec import Struct

from .model import Run, StepStatus
from .past import RunStep
from .requests import first_words
from .spec_diff import FieldChange, input_changes, spec_of
from .text_diff import TextDiff, text_diff


class StepPair(Struct, frozen=True, kw_only=True):
    before: RunStep
    after: RunStep
    changes: tuple[FieldChange, ...]  # of the spec, and of the files that went along
    answer_differs: bool  # its answer, its error, or whether it has one

    @property
    def changed(self) -> bool:
        return bool(self.changes) or self.answer_differs


class RunDiff(Struct, frozen=True, kw_only=True):
    """Steps in the order of the calls; pairs in that of the later run."""

    before: Run
    after: Run
    new: tuple[RunStep, ...]
    gone: tuple[RunStep, ...]
    changed: tuple[StepPair, ...]
    unchanged: tuple[StepPair, ...]
    result: TextDiff | None  # None: both came to the same


def run_diff(before: Run, after: Run, steps_before: Sequence[RunStep], steps_after: Sequence[RunStep]) -> RunDiff:
    pairs, gone, new = pair_steps(steps_before, steps_after)
    compared = [_compared(old, now) for old, now in pairs]
    return RunDiff(
        before=before,
        after=after,
        new=tuple(new),
        gone=tuple(gone),
        changed=tuple(pair for pair in compared if pair.changed),
        unchanged=tuple(pair for pair in compared if not pair.changed),
        result=_result_diff(before, after),
    )


def _compared(before: RunStep, after: RunStep) -> StepPair:
    old, new = before.step, after.step
    return StepPair(
        before=before,
        after=after,
        changes=() if old.id == new.id else tuple(input_changes(old, new)),
        answer_differs=old.id != new.id and _outcome(before) != _outcome(after),
    )


def _outcome(each: RunStep) -> tuple[bool, str | None, str | None]:
    """Two errors are alike by their types: their messages hold times and numbers."""
    step = each.step
    return step.status is StepStatus.COMPLETED, step.result, None if step.fault is None else step.fault.type


def _result_diff(before: Run, after: Run) -> TextDiff | None:
    old, new = _sorted_json(before.result), _sorted_json(after.result)
    if (old, before.result is None) == (new, after.result is None):
        return None
    if old[:1] == new[:1] == '"':
        old, new = json.loads(old), json.loads(new)  # texts are compared as such
    return text_diff(old, new)


def _sorted_json(result: str | None) -> str:
    try:
        return "" if result is None else json.dumps(json.loads(result), ensure_ascii=False, indent=2, sort_keys=True)
    except (ValueError, RecursionError):  # a store may be anyone's
        return ""


# ---------------------------------------------------------------- which steps belong together

#: What two calls share that belong together; None: this says nothing about the call.
Sign = Callable[[RunStep], Hashable | None]


#: From the surest to the weakest.
_SIGNS: tuple[Sign, ...] = (
    lambda s: s.step.id,
    lambda s: (s.step.spec, s.phase, s.label, s.place),
    lambda s: (s.step.spec, s.place),
    lambda s: (s.step.spec, s.phase, s.label),
    lambda s: s.step.spec,
    lambda s: (s.phase, s.label, s.place, s.line),
    lambda s: (s.phase, s.label, s.line),
    lambda s: (s.phase, s.label),
    lambda s: s.label or None,
)
#: Of steps whose label is the beginning of their prompt, which changes with it.
_UNNAMED_SIGNS: tuple[Sign, ...] = (
    lambda s: (s.phase, s.line, s.place) if s.line else None,
    lambda s: (s.phase, s.line) if s.line else None,
    lambda s: (s.phase, s.place) if s.place else None,
)


def pair_steps(
    before: Sequence[RunStep], after: Sequence[RunStep]
) -> tuple[list[tuple[RunStep, RunStep]], list[RunStep], list[RunStep]]:
    """The pairs, in the order of `after`; then what is left of `before`, and of `after`."""
    pairs: list[tuple[RunStep, RunStep]] = []
    gone, new = list(before), list(after)
    for sign in _SIGNS:
        if not gone or not new:
            break
        pairs += _pair_by(sign, gone, new)
    unnamed_gone, unnamed_new = _take_unnamed(gone), _take_unnamed(new)
    for sign in _UNNAMED_SIGNS:
        pairs += _pair_by(sign, unnamed_gone, unnamed_new)
    gone, new = _in_order(gone + unnamed_gone), _in_order(new + unnamed_new)
    return sorted(pairs, key=lambda pair: pair[1].number), gone, new


def _take_unnamed(steps: list[RunStep]) -> list[RunStep]:
    """Take out the steps that the script gave no label."""
    taken = [each for each in steps if each.label == first_words(str(spec_of(each.step.spec).get("prompt", "")))]
    kept = {id(each) for each in taken}
    steps[:] = [each for each in steps if id(each) not in kept]
    return taken


def _in_order(steps: list[RunStep]) -> list[RunStep]:
    return sorted(steps, key=lambda each: each.number)


def _pair_by(sign: Sign, gone: list[RunStep], new: list[RunStep]) -> list[tuple[RunStep, RunStep]]:
    """Pairs of equal sign, in their order; they are taken out of both lists."""
    waiting: dict[Hashable, list[RunStep]] = {}
    for each in reversed(gone):
        waiting.setdefault(sign(each), []).append(each)
    pairs: list[tuple[RunStep, RunStep]] = []
    for each in new:
        shared = sign(each)
        if shared is not None and (found := waiting.get(shared)):
            pairs.append((found.pop(), each))
    taken_before = {id(old) for old, _ in pairs}
    taken_after = {id(now) for _, now in pairs}
    gone[:] = [each for each in gone if id(each) not in taken_before]
    new[:] = [each for each in new if id(each) not in taken_after]
    return pairs
