"""The explanation of one step as text: the decision in a sentence, then what it stood on."""

from __future__ import annotations

import json

from vibe_workflows.engine.looks import look_text
from vibe_workflows.engine.model import FILE_STATE, FILE_TREE, Cause, Fault, RunId, StepId, StepStatus
from vibe_workflows.engine.spec_diff import FieldChange
from vibe_workflows.engine.why import ChangedLook, Explanation, Nearest, StoredAnswer, TooOld

from . import figures
from .diffs import diff_lines
from .faults import LONGEST_ERROR, fault_line
from .paint import Style, paint
from .sanitize import clean, one_line
from .stored import step_line
from .why_edits import attempted_line, edits_line, in_the_way_sentence
from .words import status_word

_SHOWN = 50  # things that a step saw, or calls that stored answers went to
_WIDE = 200  # columns of a value or of a tool's arguments
_THEN_LINES = 10

_HOW = {
    "same_input": "was asked the very same and came to no answer",
    "same_call": "stood there in an earlier run of this workflow",
    "most_alike": "is the most like it of all in the store",
}
_RULES = {
    "fresh": "--fresh ignores answers from before the run",
    "cache": "cache=False ignores answers from before this lineage of runs began",
}


def why_text(why: Explanation, *, colour: bool) -> str:
    lines = [_head(why, colour=colour), "", *_decision(why)]
    if why.answer is not None:
        lines += _seen(why.answer)
    if why.in_the_way is not None and why.in_the_way.diff is not None and why.in_the_way.diff.lines:
        lines += ["As it left the file (-), and as it was found (+):", *diff_lines(why.in_the_way.diff, colour=colour)]
    if why.changed is not None:
        lines += _changed(why.changed, colour=colour)
    if why.nearest is not None:
        lines += _nearest(why.nearest, why, colour=colour)
    lines += [f"  #{each.number}  {one_line(each.label)}  {one_line(each.step)}" for each in why.in_use[:_SHOWN]]
    lines += _more(len(why.in_use))
    return "\n".join([*lines, *_outcome(why, colour=colour)])


def _head(why: Explanation, *, colour: bool) -> str:
    asked, step = why.asked, why.asked.step
    return step_line(
        f"step #{asked.number} of run {one_line(why.run.id)}",
        label=asked.label,
        phase=asked.phase,
        status=step.status.value,
        stored=asked.stored,
        model=step.model,
        line=asked.line,
        colour=colour,
    )


# ---------------------------------------------------------------- the decision


def _decision(why: Explanation) -> list[str]:
    if why.answer is not None:
        return [_answered(why.answer)]
    lines = [_live(why)]
    if why.went_on is not None:
        cut_off = why.went_on
        ended = f": {one_line(fault_line(cut_off.fault), LONGEST_ERROR)}" if cut_off.fault is not None else ""
        lines.append(
            f"It went on with {_named(cut_off.step, cut_off.run)}, which was cut off after "
            f"{figures.count(cut_off.turns, 'turn')}{ended}. Those were not asked for again, and what they saw held."
        )
    if why.attempted is not None:
        lines.append(attempted_line(why.attempted))
    return lines


def _named(step: StepId, run: RunId) -> str:
    return f"{one_line(step)} of run {one_line(run)}"


def _answered(answer: StoredAnswer) -> str:
    place = {
        True: ", given in this same place",
        False: ", the oldest that was left, as none of this same place was",
        None: "",
    }[answer.own_place]
    return (
        f"Answered from the store by {_named(answer.step, answer.run)}, {figures.age(answer.age_s)} old{place}: "
        "the input is the same, byte for byte."
    )


def _live(why: Explanation) -> str:
    if why.too_old is not None:
        return _too_old(why.too_old)
    if why.changed is not None:
        return f"It ran, because something that {_named(why.changed.step, why.changed.run)} saw is different now."
    if why.in_the_way is not None:
        return in_the_way_sentence(why.in_the_way)
    if why.cause is Cause.OUT_OF_ORDER:
        return (
            "It ran, because a stored answer for this input was given in another order: the script asks in one that "
            "does not fit the one in which files were edited then."
        )
    if why.cause is Cause.NOTHING_STORED:
        return "It ran, because no stored answer is for this input."
    if why.cause is Cause.IN_USE:
        return "It ran, because every stored answer for this input had gone to another call of this run:"
    if why.cause is Cause.REFRESHED:
        return "It ran, because --refresh asked for that."
    if why.cause is Cause.STORE_OF_UNKNOWN_ORIGIN:
        return "It ran, because nobody knows who made this store, so it answers nothing; see `vibe trust`."
    if why.cause is Cause.GOES_ON:
        return "It ran, because no stored answer is for this input, but only the beginning of one."
    if why.asked.delivery is None:
        return "The script was never given an answer by it: its process ended first, or it is still at work."
    return f"It ran. {one_line(why.reason)}" if why.reason else "It ran; the store does not say why."


def _too_old(too_old: TooOld) -> str:
    newest = f"{_named(too_old.step, too_old.run)}, was {figures.age(too_old.age_s)} old"
    if too_old.rule == "refresh":
        return f"It ran, because --refresh asked for that; the newest stored answer, {newest}."
    ttl = "" if too_old.ttl_s is None else f"ttl allows {figures.duration(too_old.ttl_s)}"
    rule = _RULES.get(too_old.rule, ttl)
    return f"It ran, because the stored answers are too old: {rule}, and the newest, {newest}."


# ---------------------------------------------------------------- what it stood on


def _seen(answer: StoredAnswer) -> list[str]:
    seen = [each for each in answer.observations if each.change is None]
    if not seen:
        looked = "It had looked at nothing in the project, so nothing had to be looked at again."
        return edits_line(answer) or [looked]
    same = "all were looked at again and are the same:"
    if answer.edits and not answer.applied:
        same = "all were looked at again, without the edits that came after, and are the same:"
    looked = f"It had looked at {figures.count(len(seen), 'thing')}; {same}"
    lines = [f"  {_look(each.tool, each.arguments)}" for each in seen[:_SHOWN]]
    return [looked, *lines, *_more(len(seen)), *edits_line(answer)]


def _look(tool: str, arguments: str) -> str:
    return one_line(look_text(tool, arguments), _WIDE)


def _more(count: int) -> list[str]:
    return [f"  and {count - _SHOWN:,} more"] if count > _SHOWN else []


def _changed(changed: ChangedLook, *, colour: bool) -> list[str]:
    look = _look(changed.tool, changed.arguments)
    if changed.edited is not None and changed.diff is not None and changed.diff.lines:
        return [
            f"It is the {look}, as it was to be edited then (-) and now (+):",
            *diff_lines(changed.diff, colour=colour),
        ]
    if changed.tool == FILE_TREE:
        return ["It is the project's files, which a command could see: some of them are other than they were then."]
    if changed.tool == FILE_STATE:
        return [f"It is the {look}: what is in it has changed."]
    if changed.diff is not None and changed.diff.lines:
        return [f"What {look} gave then (-), and when it was called now (+):", *diff_lines(changed.diff, colour=colour)]
    if changed.diff is not None:
        return [f"It is {look}. What is stored of it is the same for both: what differed was not shown, or was brief."]
    now = (
        "this step made that call, too"
        if changed.now
        else "this step did not make that call, so there is nothing to compare"
    )
    if changed.then is None:
        return [f"It is {look}. What that gave then is not stored; {now}."]
    return [f"It is {look}; {now}. Then it gave:", *_then(changed.then)]


def _then(text: str) -> list[str]:
    lines = clean(text).splitlines()
    kept = [f"  {one_line(line, _WIDE)}" for line in lines[:_THEN_LINES]]
    return [*kept, "  ... and more"] if len(lines) > _THEN_LINES else kept


def _nearest(nearest: Nearest, why: Explanation, *, colour: bool) -> list[str]:
    number = "" if nearest.number is None else f"#{nearest.number} "
    label = f"{one_line(nearest.label)!r} " if nearest.label else ""
    named = f"Step {number}{label}of run {one_line(nearest.run)} ({one_line(nearest.step)}) {_HOW[nearest.how]}"
    if not nearest.changes:
        return [f"{named}: {_ended(nearest.status, nearest.fault)}. Such a step is never an answer."]
    differ = ", ".join(change.name for change in nearest.changes)
    lines = [f"{named}. What differs: {one_line(differ)}."]
    for change in nearest.changes:
        lines += ["", *_change(change, colour=colour)]
        if change.name == "model":
            lines += _model_rules(nearest.model_reason, why.model_reason)
    return lines


def _ended(status: StepStatus, fault: Fault | None) -> str:
    told = status_word(status.value)
    return told if fault is None else f"{told}, {one_line(fault_line(fault), LONGEST_ERROR)}"


def _change(change: FieldChange, *, colour: bool) -> list[str]:
    title = paint(one_line(change.name), Style.TITLE, colour=colour)
    note = f"  ({one_line(change.note)})" if change.note else ""
    if change.diff is not None:
        return [f"{title}{note}", *diff_lines(change.diff, colour=colour)]
    if change.name in ("files", "tools"):
        return [f"{title}  {one_line(change.note)}"]
    if change.name == "context":
        return [f"{title}  {_whether(change)}{note}"]
    return [f"{title}  {_value(change.before)} -> {_value(change.after)}{note}"]


def _whether(change: FieldChange) -> str:
    if change.before is None:
        return "had none before"
    return "has none now" if change.after is None else "is another"


def _value(value: object) -> str:
    if value is None:
        return "not given"
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _WIDE)


def _model_rules(before: str, after: str) -> list[str]:
    if not before and not after:
        return []
    return [
        f"  chosen then by {one_line(before) or 'a rule not stored'}, now by {one_line(after) or 'a rule not stored'}"
    ]


# ---------------------------------------------------------------- what it came to


def _outcome(why: Explanation, *, colour: bool) -> list[str]:
    step, coming = why.asked.step, why.next_run
    if coming is None:
        return []
    status = paint(f"It {_ended_as(step.status)}.", Style.BAD, colour=colour)
    if step.fault is not None:
        error = one_line(fault_line(step.fault), LONGEST_ERROR)
        status = paint(f"It {_ended_as(step.status)}: {error}", Style.BAD, colour=colour)
    successor = one_line(coming.step or "")
    after = {
        "under_way": "Its run is still at work.",
        "stored": (f"A later run has an answer: the next one takes {successor}, if what that saw still holds."),
        "goes_on": (
            f"The next run goes on with {successor} after its {figures.count(coming.turns, 'finished turn')}, "
            "if what they saw still holds."
        ),
        "anew": "The next run tries it again, from the start.",
    }[coming.what]
    return ["", status, after] if coming.what != "under_way" else ["", after]


def _ended_as(status: StepStatus) -> str:
    return {
        StepStatus.FAILED: "failed",
        StepStatus.TIMED_OUT: "ran out of time",
        StepStatus.CANCELLED: "was cancelled",
    }.get(status, "was cut off")
