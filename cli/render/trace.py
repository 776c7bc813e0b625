"""A past run as text: its phases and steps, or one step with its prompt, turns and tool calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import msgspec

from vibe_workflows.engine.events import Logged
from vibe_workflows.engine.model import (
    Attempt,
    DeliveryMode,
    Fault,
    Run,
    Step,
    StepStatus,
    ToolCall,
    Turn,
    Usage,
)
from vibe_workflows.engine.ports import DeliveredStep

from . import figures
from .given import file_lines, given_files, grants_line
from .paint import Style, paint
from .sanitize import clean, fit, one_line
from .tables import Cell, Column, table
from .words import status_mark, status_style, status_word, summary

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
    warnings: Sequence[str]
    log: Sequence[Logged]
    phases: Sequence[str]  # in order, those without steps too


class StepTrace(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    label: str
    phase: str
    line: int
    stored: bool
    reason: str
    step: Step
    attempts: Sequence[Attempt]
    turns: Sequence[Turn]
    tool_calls: Sequence[ToolCall]


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    label: str
    phase: str
    status: str
    stored: bool
    step: Step


# ---------------------------------------------------------------- a run


def run_text(trace: RunTrace, *, width: int | None, colour: bool, now: float) -> str:
    """The run, its phases and steps with what each cost, and the line of totals."""
    run = trace.run
    parts = [_head(run, colour=colour, now=now), ""]
    rows = list(_rows(trace))
    titles, *lines = _steps(rows, width=width, colour=colour)
    parts += [titles] if rows else []
    by_phase: dict[str, list[str]] = {title: [] for title in trace.phases}
    for row, line in zip(rows, lines, strict=True):
        by_phase.setdefault(row.phase, []).append(line)
        if row.step.fault is not None:
            by_phase[row.phase].append(paint(_reason(row, width), Style.BAD, colour=colour))
    for title, of_phase in by_phase.items():
        parts += [paint(one_line(title), Style.TITLE, colour=colour)] if title else []
        parts += of_phase or ["   no steps"]
    parts += [""] if by_phase else []
    parts += [paint(f"warning: {one_line(text)}", Style.WARN, colour=colour) for text in trace.warnings]
    if trace.log:
        parts.append(f"{figures.count(len(trace.log), 'line')} logged; `vibe trace {run.id} --json` has them")
    if run.fault is not None:
        parts.append(paint(f"error: {clean(run.fault.message)}", Style.BAD, colour=colour))
    parts.append(_sum(run))
    return "\n".join(parts)


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


def _rows(trace: RunTrace) -> Iterator[_Row]:
    for answered in trace.answered:
        delivery = answered.delivery
        yield _Row(
            number=delivery.number,
            label=delivery.label,
            phase=delivery.phase,
            status=delivery.status.value,
            stored=delivery.mode is DeliveryMode.STORED,
            step=answered.step,
        )
    for opened in trace.unanswered:
        yield _Row(
            number=opened.number,
            label=opened.label,
            phase=opened.phase,
            status=opened.step.status.value,
            stored=False,
            step=opened.step,
        )


def _steps(rows: Sequence[_Row], *, width: int | None, colour: bool) -> list[str]:
    """The line of titles, and one for each row; aligned over all phases."""
    cells = [
        (
            Cell(status_mark(row.status, stored=row.stored), status_style(row.status, stored=row.stored)),
            str(row.number),
            row.label or str(_spec(row.step).get("tool") or row.step.kind.value),
            Cell(row.step.model, Style.FAINT),
            str(row.step.turns or ""),
            *_usage_cells(row.step.usage),
            Cell("store", Style.STORED) if row.stored else _time(row.step),
        )
        for row in rows
    ]
    return table(_COLUMNS, cells, width=width, colour=colour).split("\n")


def _usage_cells(usage: Usage) -> tuple[str, str, str, str]:
    if not usage.tokens:
        return "", "", "", ""
    return (
        figures.tokens(usage.input_tokens),
        figures.tokens(usage.output_tokens),
        figures.tokens(usage.cached_tokens) if usage.cached_tokens else "",
        figures.money(usage.cost_microusd),
    )


def _time(step: Step) -> str:
    if step.status in (StepStatus.RUNNING, StepStatus.PENDING):
        return ""
    return figures.duration(step.finished_at - step.started_at)


def _reason(row: _Row, width: int | None) -> str:
    assert row.step.fault is not None
    line = f"     {row.step.fault.type}: {one_line(row.step.fault.message)}"
    return line if width is None else fit(line, width)


def _sum(run: Run) -> str:
    line = summary(
        stored=run.stored_steps,
        live=run.live_steps,
        paid_microusd=run.paid.cost_microusd,
        paid_tokens=run.paid.tokens,
        oldest_stored_s=None,
        hint=False,
    )
    usage = run.usage
    if not usage.tokens:
        return line
    cached = f" ({usage.cached_tokens / usage.input_tokens:.0%} cached)" if usage.cached_tokens else ""
    return (
        f"{line}; {figures.tokens(usage.input_tokens)} tokens in{cached}, {figures.tokens(usage.output_tokens)} out, "
        f"worth {figures.money(usage.cost_microusd)}"
    )


# ---------------------------------------------------------------- a step


def step_text(trace: StepTrace, *, colour: bool) -> str:
    """One step: its prompt, then every turn with its tool calls, then its answer."""
    step = trace.step
    parts = [_step_head(trace, colour=colour)]
    spec = _spec(step)
    for name in ("system", "context", "prompt", "tool", "arguments", "schema"):
        if name in spec:
            parts += [_title(name, colour), _shown(spec[name])]
    if files := given_files(spec, trace.turns):
        parts += [_title("files", colour), *file_lines(files)]
    calls: dict[int, list[ToolCall]] = {}
    for call in trace.tool_calls:
        calls.setdefault(call.turn, []).append(call)
    for turn in trace.turns:
        parts += _turn(turn, calls.pop(turn.number, []), colour=colour)
    for left in calls.values():
        parts += [line for call in left for line in _call(call, colour=colour)]
    if step.result is not None:
        parts += [_title("result", colour), _shown(_parsed(step.result))]
    if step.fault is not None:
        parts += [_title("error", colour), paint(_fault(step.fault), Style.BAD, colour=colour)]
    return "\n".join(parts)


def _step_head(trace: StepTrace, *, colour: bool) -> str:
    step = trace.step
    status = "from the store" if trace.stored else status_word(step.status.value)
    facts = [
        f"step #{trace.number}",
        one_line(trace.label),
        one_line(trace.phase),
        paint(status, status_style(step.status.value, stored=trace.stored), colour=colour),
        one_line(step.model),
        f"line {trace.line}" if trace.line else "",
    ]
    lines = ["  ".join(fact for fact in facts if fact), _usage_line(step.usage)]
    if trace.reason:
        lines.append(f"reuse: {one_line(trace.reason)}")
    if grants := grants_line(_spec(step)):
        lines.append(grants)
    if trace.stored:
        lines.append(f"answered first in run {step.run_id}")
    lines += [
        f"attempt {attempt.number}: {status_word(attempt.status.value)}"
        + (f", {_fault(attempt.fault)}" if attempt.fault is not None else "")
        for attempt in trace.attempts
        if len(trace.attempts) > 1
    ]
    return "\n".join(lines)


def _usage_line(usage: Usage) -> str:
    if not usage.tokens:
        return "no tokens used"
    cached = f" ({figures.tokens(usage.cached_tokens)} cached)" if usage.cached_tokens else ""
    reasoning = f" ({figures.tokens(usage.reasoning_tokens)} reasoning)" if usage.reasoning_tokens else ""
    estimated = ", estimated" if usage.estimated else ""
    read = f"{figures.tokens(usage.input_tokens)} tokens in{cached}"
    written = f"{figures.tokens(usage.output_tokens)} out{reasoning}"
    return f"{read}, {written}, {figures.money(usage.cost_microusd)}{estimated}"


def _turn(turn: Turn, calls: Sequence[ToolCall], *, colour: bool) -> list[str]:
    took = figures.duration(turn.finished_at - turn.started_at)
    head = f"turn {turn.number}  {one_line(turn.model)}  {turn.outcome}  {_usage_line(turn.usage)}  {took}"
    parts = ["", paint(head, Style.TITLE, colour=colour)]
    if turn.number > 1:
        # What the first turn was given is the prompt above, and tool outputs stand with their calls.
        parts += [f"> {line}" for line in _spoken(_parsed(turn.input), but="tool")]
    parts += _spoken([_parsed(turn.output)])
    if turn.error:
        parts.append(paint(clean(turn.error), Style.BAD, colour=colour))
    return parts + [line for call in calls for line in _call(call, colour=colour)]


def _call(call: ToolCall, *, colour: bool) -> list[str]:
    took = figures.duration(call.finished_at - call.started_at)
    style = Style.LIVE if call.outcome == "ok" else Style.BAD
    head = paint(f"  {one_line(call.name)} {one_line(call.arguments)}", style, colour=colour)
    body = "\n".join(f"    {line}" for line in clean(call.output).splitlines())
    return [f"{head}  {call.outcome}  {took}", body] if body else [f"{head}  {call.outcome}  {took}"]


def _spoken(messages: object, *, but: str = "") -> list[str]:
    """The text of messages; one that has none is left out."""
    lines: list[str] = []
    for message in messages if isinstance(messages, list) else [messages]:
        if isinstance(message, dict):
            text = message.get("text") or message.get("content")
            if message.get("role") != but and isinstance(text, str) and text:
                lines += clean(text).splitlines()
        elif isinstance(message, str):
            lines += clean(message).splitlines()
    return lines


def _title(name: str, colour: bool) -> str:
    return "\n" + paint(name, Style.TITLE, colour=colour)


def _shown(value: object) -> str:
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2))


def _fault(fault: Fault) -> str:
    return clean(f"{fault.type}: {fault.message}")


def _spec(step: Step) -> dict[str, object]:
    parsed = _parsed(step.spec)
    return parsed if isinstance(parsed, dict) else {}


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
