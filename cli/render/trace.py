"""A past run as text: its phases and steps, what went wrong, and what it used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

import msgspec

from vibe_workflows.engine.events import Event, FileEdited, Logged, PhaseStarted, StepFellBack
from vibe_workflows.engine.model import (
    DeliveryMode,
    PromptMakeup,
    Run,
    RunStatus,
    Step,
    StepId,
    StepStatus,
    Usage,
)
from vibe_workflows.engine.ports import DeliveredStep

from . import figures
from .faults import LONGEST_ERROR, alike, fault_line, origin_line, origin_of
from .happenings import attempts, collision_lines, edited_line, model_lines, step_lines, warning_lines
from .paint import Style, paint
from .sanitize import clean, one_line
from .tables import Cell, Column, table
from .usage import hit_rate, makeup_line, makeup_sum, rate_style, rate_text, usage_line
from .words import status_mark, status_style, status_word, summary

_INDENT = " " * 5
_COLUMNS = (
    Column(title=""),
    Column(title="#", right=True),
    Column(title="step", shrinks=True),
    Column(title="model", shrinks=True),
    Column(title="turns", right=True),
    Column(title="in", right=True),
    Column(title="out", right=True),
    Column(title="cached", right=True),
    Column(title="cost", right=True),
    Column(title="time", right=True),
)


class OpenStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that a run worked on and never answered: failed before, cut off, or under way."""

    number: int
    label: str
    phase: str
    step: Step


class RunTrace(msgspec.Struct, frozen=True, kw_only=True):
    run: Run
    answered: Sequence[DeliveredStep]
    unanswered: Sequence[OpenStep]
    events: Sequence[Event]
    makeups: Mapping[StepId, PromptMakeup]

    @property
    def log(self) -> list[Logged]:
        return [event for event in self.events if isinstance(event, Logged)]

    @property
    def phases(self) -> list[str]:
        """In order, those without steps too."""
        return list(dict.fromkeys(event.title for event in self.events if isinstance(event, PhaseStarted)))

    @property
    def steps(self) -> list[Step]:
        return [*(each.step for each in self.answered), *(each.step for each in self.unanswered)]


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run, answered or not."""

    number: int
    label: str
    phase: str
    status: str
    stored: bool
    step: Step


def rows_of(trace: RunTrace) -> Iterator[StepRow]:
    for answered in trace.answered:
        delivery = answered.delivery
        yield StepRow(
            number=delivery.number,
            label=delivery.label,
            phase=delivery.phase,
            status=delivery.status.value,
            stored=delivery.mode is not DeliveryMode.LIVE,
            step=answered.step,
        )
    for opened in trace.unanswered:
        yield StepRow(
            number=opened.number,
            label=opened.label,
            phase=opened.phase,
            status=opened.step.status.value,
            stored=False,
            step=opened.step,
        )


def run_text(trace: RunTrace, *, width: int | None, colour: bool, now: float) -> str:
    """The run, its phases and steps with what each used, what went wrong, and the totals."""
    parts = [_head(trace.run, colour=colour, now=now), "", *_tree(trace, width=width, colour=colour)]
    for lines, name, style in (
        (warning_lines(trace.events), "warning: ", Style.WARN),
        (model_lines(trace.events), "model: ", Style.WARN),
        (step_lines(trace.events), "", Style.WARN),
        (collision_lines(trace.events), "edited at once: ", Style.WARN),
    ):
        parts += [paint(name + line, style, colour=colour) for line in lines]
    edited: dict[str, bool] = {}
    for event in trace.events:
        if isinstance(event, FileEdited):
            edited.setdefault(event.path, event.created)
    parts += [edited_line(edited)] if edited else []
    if log := trace.log:
        parts.append(f"{figures.count(len(log), 'line')} logged; `vibe trace {trace.run.id} --json` has them")
    return "\n".join([*parts, *_fault(trace.run, colour=colour), *_totals(trace, colour=colour)])


def _head(run: Run, *, colour: bool, now: float) -> str:
    status = paint(status_word(run.status.value), status_style(run.status.value), colour=colour)
    took = f" after {figures.duration(run.finished_at - run.started_at)}" if run.finished_at is not None else ""
    facts = [f"run {run.id}", one_line(run.workflow), f"{figures.age(max(now - run.started_at, 0))} ago", status + took]
    if run.parent is not None:
        facts.append(f"goes on with {run.parent}")
    if run.offline:
        facts.append("offline")
    if run.sandbox_level != "strong":
        facts.append(f"sandbox {one_line(run.sandbox_level)}")
    arguments = f"\narguments {one_line(run.args)}" if run.args not in ("", "{}") else ""
    return "  ".join(facts) + f"\n{one_line(run.path)}" + arguments


# ---------------------------------------------------------------- phases and steps


def _tree(trace: RunTrace, *, width: int | None, colour: bool) -> list[str]:
    rows = list(rows_of(trace))
    fallbacks = {event.step: event.model for event in trace.events if isinstance(event, StepFellBack)}
    titles, *lines = _table(rows, fallbacks, width=width, colour=colour)
    tried = attempts(trace.events)
    by_phase: dict[str, list[tuple[StepRow, str]]] = {title: [] for title in trace.phases}
    for row, line in zip(rows, lines, strict=True):
        by_phase.setdefault(row.phase, []).append((row, line))
    parts = [titles] if rows else []
    for title, of_phase in by_phase.items():
        parts += [paint(one_line(title), Style.TITLE, colour=colour)] if title else []
        reasons = _reasons([row for row, _ in of_phase], tried)
        for at, (_, line) in enumerate(of_phase):
            parts.append(line)
            if at in reasons:
                parts += [paint(text, Style.BAD, colour=colour) for text in _folded(reasons[at], width)]
        parts += [] if of_phase else ["   no steps"]
    return [*parts, ""] if by_phase else parts


def _reasons(rows: Sequence[StepRow], tried: Mapping[str, int]) -> dict[int, str]:
    """Why steps of a phase failed, by the row below which it stands: once for all that failed alike."""
    folded: dict[tuple[str, str, str], list[int]] = {}
    for at, row in enumerate(rows):
        fault = row.step.fault
        if fault is not None:
            folded.setdefault((fault.type, fault.kind, alike(fault.message, row.label)), []).append(at)
    reasons = {}
    for places in folded.values():
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


def _folded(reason: str, width: int | None) -> list[str]:
    """The line below a step that failed: whole where nobody looks at columns, else on a few lines."""
    if width is None:
        return [_INDENT + reason]
    return wrap(
        one_line(reason, LONGEST_ERROR),
        max(width, 40),
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_on_hyphens=False,
    )


def _table(rows: Sequence[StepRow], fallbacks: Mapping[str, str], *, width: int | None, colour: bool) -> list[str]:
    """The line of titles, and one for each row; aligned over all phases."""
    cells = [
        (
            Cell(status_mark(row.status, stored=row.stored), status_style(row.status, stored=row.stored)),
            str(row.number),
            row.label or tool_name(row.step) or row.step.kind.value,
            Cell(fallbacks.get(row.step.id, row.step.model), Style.FAINT),
            str(row.step.turns or ""),
            *_usage_cells(row.step),
            Cell("store", Style.STORED) if row.stored else _time(row.step),
        )
        for row in rows
    ]
    return table(_COLUMNS, cells, width=width, colour=colour).split("\n")


def tool_name(step: Step) -> str:
    """Of a step without a model; else empty."""
    try:
        spec = json.loads(step.spec)
    except ValueError:
        return ""
    return str(spec.get("tool") or "") if isinstance(spec, dict) else ""


def _usage_cells(step: Step) -> tuple[str, str, Cell, str]:
    usage = step.usage
    if not usage.tokens:
        return "", "", Cell(""), ""
    about = "~" if usage.estimated else ""
    rate = hit_rate(usage)
    cached = Cell("")
    if rate is not None:
        cached = Cell(rate_text(rate), rate_style(rate, usage.input_tokens / max(step.turns, 1)))
    return (
        about + figures.tokens(usage.input_tokens),
        about + figures.tokens(usage.output_tokens),
        cached,
        figures.money(usage.cost_microusd),
    )


def _time(step: Step) -> str:
    if step.status in (StepStatus.RUNNING, StepStatus.PENDING):
        return ""
    return figures.duration(step.finished_at - step.started_at)


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
    failed = sum(step.status in (StepStatus.FAILED, StepStatus.TIMED_OUT) for step in trace.steps)
    lines.append(
        summary(
            stored=run.stored_steps,
            live=run.live_steps,
            failed=failed,
            paid_microusd=run.paid.cost_microusd,
            paid_tokens=run.paid.tokens,
            oldest_stored_s=None,
            hint=False,
        )
    )
    return lines
