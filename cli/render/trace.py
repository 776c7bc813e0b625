"""A past run as text: its phases and steps, what went wrong, and what it used."""

from __future__ import annotations

import msgspec

from vibe_workflows.engine.events import FileEdited, StepFinished
from vibe_workflows.engine.model import Run, RunStatus, Usage

from . import figures
from .faults import origin_line, origin_of
from .happenings import collision_lines, edited_line, model_lines, step_lines, warning_lines
from .paint import Style, paint
from .sanitize import clean, folded, one_line
from .trace_rows import RunTrace, as_of_now, rows_of, tally
from .trace_tree import state_lines, tree_lines
from .usage import makeup_line, makeup_sum, usage_line
from .words import status_style, status_word, summary


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How a trace is drawn."""

    width: int | None  # columns; None where nobody looks at columns
    colour: bool
    now: float
    whole: bool = False  # each step of a phase of thousands has its line
    waterfall: bool = False  # when steps were at work, in place of what they used


def run_text(trace: RunTrace, look: Look) -> str:
    """The run, its phases and steps, what went wrong, and the totals."""
    trace = as_of_now(trace)
    width, colour = look.width, look.colour
    if look.waterfall:
        from .waterfall import waterfall_lines

        tree = waterfall_lines(trace, width=width, colour=colour, whole=look.whole)
    else:
        tree = tree_lines(trace, width=width, colour=colour, whole=look.whole)
    tree += state_lines(trace, width=width, colour=colour)
    parts = [_head(trace.run, look), "", *tree, *([""] if tree else []), *_happenings(trace, look)]
    if log := trace.log:
        parts.append(f"{figures.count(len(log), 'line')} logged; `vibe trace {trace.run.id} --json` has them")
    return "\n".join([*parts, *_fault(trace.run, colour=colour), *_totals(trace, colour=colour)])


def _happenings(trace: RunTrace, look: Look) -> list[str]:
    parts = []
    for lines, name in (
        (warning_lines(trace.events), "warning: "),
        (model_lines(trace.events), "model: "),
        (step_lines(trace.events), ""),
        (collision_lines(trace.events), "edited at once: "),
    ):
        for line in lines:
            head, *more = _folded(name + line, look.width)
            parts += [paint(name, Style.WARN, colour=look.colour) + head.removeprefix(name), *more]
    edited: dict[str, bool] = {}
    for event in trace.events:
        if isinstance(event, FileEdited):
            edited.setdefault(event.path, event.created)
    return parts + (_folded(edited_line(edited), look.width) if edited else [])


def _folded(line: str, width: int | None) -> list[str]:
    return [line] if width is None else folded(line, width, indent=2)


def _head(run: Run, look: Look) -> str:
    status = paint(status_word(run.status.value), status_style(run.status.value), colour=look.colour)
    took = f" after {figures.duration(run.finished_at - run.started_at)}" if run.finished_at is not None else ""
    facts = [
        f"run {run.id}",
        one_line(run.workflow),
        f"{figures.age(max(look.now - run.started_at, 0))} ago",
        status + took,
    ]
    if run.parent is not None:
        facts.append(f"goes on with {run.parent}")
    if run.offline:
        facts.append("offline")
    if run.sandbox_level != "strong":
        facts.append(f"sandbox {one_line(run.sandbox_level)}")
    arguments = f"\narguments {one_line(run.args)}" if run.args not in ("", "{}") else ""
    return "  ".join(facts) + f"\n{one_line(run.path)}" + arguments


# ---------------------------------------------------------------- how it ended


def _fault(run: Run, *, colour: bool) -> list[str]:
    """The error of the run, where it came from, and what to do next."""
    lines = []
    look = ""
    if run.fault is not None:
        lines.append(paint(f"error: {clean(run.fault.message)}", Style.BAD, colour=colour))
        origin = origin_of(run.fault)
        if origin is not None:
            lines.append(f"  {origin_line(origin)}")
            look = f"To look: `vibe trace {run.id} --step {origin.number}`; to"
    if run.status not in (RunStatus.COMPLETED, RunStatus.RUNNING, RunStatus.PENDING):
        larger = " --budget LIMIT" if run.status is RunStatus.BUDGET_EXCEEDED else ""
        lines.append(f"everything finished is kept. {look or 'To'} go on: `vibe resume {run.id}{larger}`")
    return lines


def _totals(trace: RunTrace, *, colour: bool) -> list[str]:
    run = trace.run
    usage: Usage = run.usage
    lines = []
    if usage.tokens:
        calls = sum(step.turns for step in trace.steps)
        lines.append(usage_line(usage, calls=calls, colour=colour, cost="worth "))
        lines += filter(None, [makeup_line(makeup_sum(list(trace.makeups.values())), "prompts")])
    over = tally(rows_of(trace))
    for event in trace.events:
        if isinstance(event, StepFinished) and not event.step:  # turned away: it became no step
            over.add(event.status, stored=False)
    lines.append(
        summary(
            over,
            paid_microusd=run.paid.cost_microusd,
            paid_tokens=run.paid.tokens,
            oldest_stored_s=None,
            hint=False,
        )
    )
    return lines
