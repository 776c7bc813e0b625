"""The tree of a past run: its phases with their sums, its steps in columns, and why steps failed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from vibe_workflows.engine.events import StepFellBack
from vibe_workflows.engine.model import RunStatus, Step, Usage

from . import figures
from .budget_bar import Spent, budget_lines
from .faults import LONGEST_ERROR, alike, fault_line
from .happenings import attempts
from .paint import Span, Style, paint, painted
from .sanitize import fit, folded, one_line
from .tables import Cell, Column, Grid
from .trace_rows import PhaseRows, RunTrace, StepRow, phases_ahead_of, phases_of, worth_a_line
from .usage import hit_rate, rate_style, rate_text
from .words import counts_text, phase_status, phases_ahead, status_mark, status_style

_INDENT = " " * 6
_WIDE = 100  # columns of a terminal that has room for all of a step
_COLUMNS = (
    Column(title=""),
    Column(title="#", right=True),
    Column(title="step", shrinks=True, at_least=20),
    Column(title="model", shrinks=True),
    Column(title="turns", right=True, from_width=_WIDE),
    Column(title="in", right=True),
    Column(title="out", right=True),
    Column(title="cached", right=True),
    Column(title="cost", right=True),
    Column(title="time", right=True),
)


def tree_lines(trace: RunTrace, *, width: int | None, colour: bool, whole: bool) -> list[str]:
    """The phases and steps; of a phase with many steps, unless `whole`, those that a reader looks for."""
    phases = phases_of(trace)
    if not phases:
        return []
    fallbacks = {event.step: event.model for event in trace.events if isinstance(event, StepFellBack)}
    tried = attempts(trace.events)
    reasons = [reasons_of(phase.rows, tried) for phase in phases]
    shown = [worth_a_line(phase.rows, list(why), whole=whole) for phase, why in zip(phases, reasons, strict=True)]
    cells = [_cells(phase.rows[at], fallbacks) for phase, kept in zip(phases, shown, strict=True) for at in kept]
    sums = [_sums(phase, trace.ended_at) for phase in phases]
    grid = Grid(_COLUMNS, [*cells, *(["", "", "", "", *each] for each in sums)], width=width, indent=2)
    titles, *lines = grid.lines(colour=colour)
    parts = [titles] if cells else []
    left = iter(lines)
    for phase, kept, why, used in zip(phases, shown, reasons, sums, strict=True):
        parts.append(grid.spanning(_header(phase), used, colour=colour))
        for at in kept:
            parts.append(next(left))
            if at in why:
                parts += [paint(text, Style.BAD, colour=colour) for text in _below(why[at], width)]
        if more := hidden_line(phase, kept):
            parts.append(paint(more, Style.FAINT, colour=colour))
    return parts


def hidden_line(phase: PhaseRows, shown: Sequence[int]) -> str:
    """How many steps of a phase have no line; empty where all have one."""
    if len(shown) == len(phase.rows):
        return ""
    kept = set(shown)
    rows = PhaseRows(title="", rows=[row for at, row in enumerate(phase.rows) if at not in kept])
    what = _counts(rows)
    told_of = f": {what}" if ", " in what else ""
    return f"    {len(rows.rows):,} more{told_of}; --all shows every step"


def state_lines(trace: RunTrace, *, width: int | None, colour: bool) -> list[str]:
    """Below the tree: phases that were announced and not reached, and the budget of the run."""
    run, begun = trace.run, trace.begun
    lines = []
    ahead = [] if run.status is RunStatus.COMPLETED else phases_ahead_of(trace)
    if ahead:
        text = f"{status_mark('pending')} {phases_ahead(ahead, over=run.finished_at is not None)}"
        lines.append(paint(text if width is None else fit(text, width), Style.FAINT, colour=colour))
    if begun is not None:
        spent = Spent(
            tokens=run.usage.tokens,
            microusd=run.usage.cost_microusd,
            steps=run.stored_steps + run.live_steps,
            seconds=trace.ended_at - run.started_at,
            paid_microusd=run.paid.cost_microusd,
        )
        lines += [painted(line, colour=colour) for line in budget_lines(begun.limits, spent, width=width or 1_000)]
    return lines


def phase_mark(phase: PhaseRows) -> Span:
    status = phase_status(phase.over, running=phase.running) if phase.rows else "skipped"
    return Span(status_mark(status) + " ", status_style(status))


def _header(phase: PhaseRows) -> list[Span]:
    title = Span(f"{one_line(phase.title) or 'steps'}  ", Style.TITLE)
    return [phase_mark(phase), title, Span(_counts(phase) or "no steps", Style.FAINT)]


def _counts(phase: PhaseRows) -> str:
    return counts_text(phase.over, running=phase.running)


def _sums(phase: PhaseRows, end: float) -> list[str | Cell]:
    turns = sum(row.step.turns for row in phase.rows if not row.stored)
    time = figures.duration(phase.ended_at(end) - phase.began_at) if phase.rows else ""
    return ["", *_usage_cells(phase.used, turns), time]


def reasons_of(rows: Sequence[StepRow], tried: Mapping[str, int]) -> dict[int, str]:
    """Why steps of a phase failed, by the row below which it stands: once for all that failed alike."""
    same: dict[tuple[str, str, str], list[int]] = {}
    for at, row in enumerate(rows):
        fault = row.step.fault
        if fault is not None:
            same.setdefault((fault.type, fault.kind, alike(fault.message, row.label)), []).append(at)
    reasons = {}
    for places in same.values():
        first = rows[places[0]]
        assert first.step.fault is not None
        reason = fault_line(first.step.fault, first.label)
        count = tried.get(first.step.id, 1)
        if len(places) > 1:
            reason = f"{figures.count(len(places), 'step')}: {reason}"
        elif count > 1:
            reason = f"tried {count} times: {reason}"
        reasons[places[-1]] = reason
    return reasons


def _below(reason: str, width: int | None) -> list[str]:
    """The line below a step that failed: whole where nobody looks at columns, else on a few lines."""
    if width is None:
        return [_INDENT + reason]
    text = one_line(reason, LONGEST_ERROR)
    return [_INDENT + line for line in folded(text, max(width, 40) - len(_INDENT))]


def _cells(row: StepRow, fallbacks: Mapping[str, str]) -> list[str | Cell]:
    step = row.step
    return [
        Cell(status_mark(row.status, stored=row.stored), status_style(row.status, stored=row.stored)),
        str(row.number),
        label_of(row),
        Cell(fallbacks.get(step.id, step.model), Style.FAINT),
        str(step.turns or ""),
        *_usage_cells(step.usage, step.turns),
        Cell("store", Style.STORED) if row.stored else _time(row),
    ]


def label_of(row: StepRow) -> str:
    return row.label or tool_name(row.step) or row.step.kind.value


def tool_name(step: Step) -> str:
    """Of a step without a model; else empty."""
    try:
        spec = json.loads(step.spec)
    except ValueError:
        return ""
    return str(spec.get("tool") or "") if isinstance(spec, dict) else ""


def _usage_cells(usage: Usage, turns: int) -> tuple[str, str, Cell, str]:
    if not usage.tokens:
        return "", "", Cell(""), ""
    about = "~" if usage.estimated else ""
    rate = hit_rate(usage)
    cached = Cell("")
    if rate is not None:
        cached = Cell(rate_text(rate), rate_style(rate, usage.input_tokens / max(turns, 1)))
    return (
        about + figures.tokens(usage.input_tokens),
        about + figures.tokens(usage.output_tokens),
        cached,
        figures.money(usage.cost_microusd),
    )


def _time(row: StepRow) -> str:
    return "" if row.ended_at is None else figures.duration(row.seconds)
