"""Events of models and of steps in words: as they happen, and summed up for a run that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

import msgspec

from vibe_workflows.engine.events import (
    AdoptionCause,
    ContextShortened,
    EditsAdopted,
    EditsCollided,
    Event,
    FileEdited,
    ModelDown,
    ModelSlowed,
    ModelUp,
    Nearness,
    ScriptRestarted,
    StepFellBack,
    StepFinished,
    Warned,
)

from . import figures
from .faults import LONGEST_ERROR, told
from .sanitize import one_line

#: Lines of one kind that the trace of a run shows; the others are counted.
_SHOWN = 20
_NAMED = 5  # files of a line
_LABEL = 80  # columns of a name in one


def fell_back(event: StepFellBack) -> str:
    return f"#{event.number} goes on with {instead(event)}"


def instead(event: StepFellBack) -> str:
    return f"{_name(event.model)} in place of {_name(event.failed)}: {_cut(event.error, event.failed)}"


def shortened(event: ContextShortened) -> str:
    outputs = figures.count(event.outputs, "old tool output")
    left_out = f"{event.characters:,} characters left out" if event.characters else "left out"
    return f"#{event.number} turn {event.turn}: {outputs} shortened to fit the context, {left_out}"


def model_line(event: ModelSlowed | ModelDown | ModelUp) -> str:
    match event:
        case ModelSlowed():
            return f"{_name(event.model)} is rate limited: {figures.count(event.at_once, 'call')} at a time"
        case ModelDown():
            failures = figures.count(event.failures, "failure")
            down = f"{_name(event.model)} is down, asked again in {figures.duration(event.wait_s)}"
            return f"{down} ({failures} in a row): {_cut(event.error, event.model)}"
        case ModelUp():
            return f"{_name(event.model)} answers again"


def file_edited(event: FileEdited) -> str:
    made = "created" if event.created else "edited"
    return f"#{event.number} {made} {one_line(event.path)}{' again' if event.again else ''}"


def edited_line(files: Mapping[str, bool]) -> str:
    """Files that were edited, by path: whether an edit created it."""
    parts = []
    for verb, wanted in (("edited", False), ("created", True)):
        paths = [path for path, created in files.items() if created is wanted]
        if paths:
            parts.append(f"{figures.count(len(paths), 'file')} {verb}: {named(paths)}")
    return "; ".join(parts)


def edits_collided(event: EditsCollided) -> str:
    """With what to do where that is not what was meant."""
    first, last = event.lines
    place = f", {f'line {first:,}' if first == last else f'lines {first:,}-{last:,}'}" if first else ""
    at_once = f"{one_line(event.path)}: #{event.number} and #{event.other_number} edited"
    knowing = "without knowing of each other"
    match event.where:
        case Nearness.SAME:
            near = f"the same lines{place}"
        case Nearness.ADJACENT:
            near = f"adjacent lines{place}"
        case Nearness.ELSEWHERE:
            return f"{at_once} different parts of it, {knowing}"
        case _:
            assert_never(event.where)
    return f"{at_once} {near}, {knowing}: have one wait for the other, or go to different files"


def edits_adopted(event: EditsAdopted) -> str:
    """What a live step of a changed script meets; with what to do where that is not what was meant."""
    who = f"#{event.number} {one_line(event.label, _LABEL)}"
    files, several = named(event.paths), len(event.paths) > 1
    so = f"as {'they lie' if several else 'it lies'}"
    if event.editors:
        so = f"as {named(event.editors)} left {'them' if several else 'it'} in an earlier run"
    now = f"{files} {so}"
    undo = f"`vibe undo {event.run}`"
    before = (
        f". For the {'files' if several else 'file'} of before: stop it, {undo}, and run again" if event.run else ""
    )
    match event.why:
        case AdoptionCause.LIVE:
            return f"{who} runs on {now}{before}"
        case AdoptionCause.REPLACED:
            return f"{who} was changed, and runs on {now}{before}"
        case AdoptionCause.TRUE_NOW:
            return f"{who} holds for {now}"
        case AdoptionCause.LEFT:
            back = f"; {undo} takes that back" if event.run else ""
            return f"{files} {'stay' if several else 'stays'} {so}{back}"
        case _:
            assert_never(event.why)


def script_restarted(event: ScriptRestarted) -> str:
    saw = f"#{event.number} {one_line(event.label, _LABEL)} was answered for {named(event.paths)} as it was before"
    return f"the script starts over, since {saw}; what still holds comes from the store"


def named(names: Sequence[str]) -> str:
    """a.py, b.py and 3 more."""
    some = [one_line(name, _LABEL) for name in dict.fromkeys(names)]
    if len(some) > _NAMED + 1:
        return f"{', '.join(some[:_NAMED])} and {len(some) - _NAMED:,} more"
    return " and ".join(filter(None, (", ".join(some[:-1]), some[-1])))


# ---------------------------------------------------------------- a run that is over


class _Model(msgspec.Struct):
    """What happened to one model in a run."""

    slowed: int = 0
    least: int = 0
    downs: int = 0
    down_since: float | None = None
    error: str = ""
    down_s: float = 0.0


def warning_lines(events: Iterable[Event]) -> list[str]:
    """The warnings of a run, alike ones once with their number."""
    counts: dict[str, int] = {}
    for event in events:
        if isinstance(event, Warned):
            counts[event.message] = counts.get(event.message, 0) + 1
    return _shown([one_line(text) + _times(count) for text, count in counts.items()], "warning")


def collision_lines(events: Iterable[Event]) -> list[str]:
    return _shown([edits_collided(event) for event in events if isinstance(event, EditsCollided)], "more")


def model_lines(events: Iterable[Event]) -> list[str]:
    """What happened to the models of a run: one line for each that was slowed, and for each that was down."""
    models: dict[str, _Model] = {}
    for event in events:
        match event:
            case ModelSlowed():
                model = models.setdefault(event.model, _Model())
                model.least = min(event.at_once, model.least or event.at_once)
                model.slowed += 1
            case ModelDown():
                model = models.setdefault(event.model, _Model())
                model.downs += 1
                model.error = event.error
                model.down_since = event.at if model.down_since is None else model.down_since
            case ModelUp():
                model = models.setdefault(event.model, _Model())
                if model.down_since is not None:
                    model.down_s += event.at - model.down_since
                    model.down_since = None
            case _:
                pass
    return _shown([line for name, model in models.items() for line in _model_past(name, model)], "more")


def _model_past(name: str, model: _Model) -> Iterable[str]:
    if model.slowed:
        yield f"{_name(name)} was rate limited: down to {figures.count(model.least, 'call')} at a time"
    if model.downs:
        end = "and did not answer again" if model.down_since is not None else f"for {figures.duration(model.down_s)}"
        yield f"{_name(name)} was down{_times(model.downs)} {end}: {_cut(model.error, name)}"


def step_lines(events: Iterable[Event]) -> list[str]:
    """What a reader of a run should know of its steps: fallbacks, and contexts that were shortened."""
    fallbacks: dict[tuple[str, str], list[StepFellBack]] = {}
    shorter: list[ContextShortened] = []
    for event in events:
        match event:
            case StepFellBack():
                fallbacks.setdefault((event.failed, event.model), []).append(event)
            case ContextShortened():
                shorter.append(event)
            case _:
                pass
    lines = [
        f"{_steps([each.number for each in alike])} went on with {instead(alike[0])}" for alike in fallbacks.values()
    ]
    lines = _shown(lines, "more")
    if shorter:
        steps = _steps([each.number for each in shorter])
        characters = sum(each.characters for each in shorter)
        lines.append(f"{steps}: old tool outputs shortened to fit the context, {characters:,} characters left out")
    return lines


def attempts(events: Iterable[Event]) -> Mapping[str, int]:
    """How often each step that was worked on was tried, by its id."""
    return {event.step: event.attempts for event in events if isinstance(event, StepFinished)}


def _steps(numbers: list[int]) -> str:
    """#3 and #5; 16 steps (#1, #2, #3, ...)."""
    different = list(dict.fromkeys(numbers))
    if len(different) == 1:
        return f"#{different[0]}"
    some = ", ".join(f"#{number}" for number in different[:3])
    return f"{figures.count(len(different), 'step')} ({some}{', ...' if len(different) > 3 else ''})"


def _shown(lines: list[str], what: str) -> list[str]:
    left = len(lines) - _SHOWN
    return lines if left <= 0 else [*lines[:_SHOWN], f"{left:,} {what}; `vibe trace --json` has them"]


def _times(count: int) -> str:
    return f" ({count:,} times)" if count > 1 else ""


def _name(model: str) -> str:
    return one_line(model, 60)


def _cut(error: str, model: str) -> str:
    return one_line(told(error, model), LONGEST_ERROR)
