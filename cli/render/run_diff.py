"""The difference between two runs as text: a table of steps, the result, and the sum."""

from __future__ import annotations

from collections.abc import Iterator

from vibe_workflows.engine.model import Run, StepStatus
from vibe_workflows.engine.past import RunStep
from vibe_workflows.engine.run_diff import RunDiff, StepPair
from vibe_workflows.engine.spec_diff import names_of

from . import figures
from .diffs import diff_lines
from .paint import Style, paint
from .sanitize import folded, one_line
from .tables import Cell, Column, table
from .words import status_style, status_word

_COLUMNS = (
    Column(title=""),
    Column(title="before", right=True),
    Column(title="#", right=True),
    Column(title="step", shrinks=True),
    Column(title="how"),
    Column(title="tokens", right=True),
    Column(title="cost", right=True),
    Column(title="what differs", shrinks=True),
)


def run_diff_text(diff: RunDiff, *, width: int | None, colour: bool) -> str:
    """What is new, gone and changed; then the rest; then the result and the totals."""
    rows = list(_rows(diff))
    parts = [_head(diff.before, "before"), _head(diff.after, "after"), *_givens(diff), ""]
    if rows:
        parts += [table(_COLUMNS, rows, width=width, colour=colour), ""]
    summary = [_summary(diff)] if width is None else folded(_summary(diff), width, indent=2)
    return "\n".join([*parts, *_result(diff, colour=colour), *summary, *_hint(diff)])


def _head(run: Run, which: str) -> str:
    return f"{which:6}  run {one_line(run.id)}  {one_line(run.workflow)}  {status_word(run.status.value)}"


def _givens(diff: RunDiff) -> list[str]:
    facts = []
    if diff.before.path != diff.after.path:
        facts.append("they are runs of two files")
    if diff.before.source_digest != diff.after.source_digest:
        facts.append("the script was edited")
    if diff.before.args_digest != diff.after.args_digest:
        facts.append(f"the arguments were {one_line(diff.before.args, 200)} and are {one_line(diff.after.args, 200)}")
    return ["; ".join(facts)] if facts else []


# ---------------------------------------------------------------- steps


def _rows(diff: RunDiff) -> Iterator[tuple[str | Cell, ...]]:
    for pair in diff.changed:
        yield _row(Cell("~", Style.WARN), pair.before, pair.after, _what(pair))
    for each in diff.new:
        yield _row(Cell("+", Style.GOOD), None, each, "new")
    for each in diff.gone:
        yield _row(Cell("-", Style.BAD), each, None, "gone")
    for pair in diff.unchanged:
        yield _row(Cell("="), pair.before, pair.after, "")


def _row(mark: Cell, before: RunStep | None, after: RunStep | None, what: str) -> tuple[str | Cell, ...]:
    shown = after or before
    assert shown is not None
    phase = f"{shown.phase}: " if shown.phase else ""
    return (
        mark,
        "" if before is None else str(before.number),
        "" if after is None else str(after.number),
        phase + shown.label,
        Cell(_change([_way(each) for each in (before, after) if each is not None]), _style(shown)),
        _change([figures.tokens(each.step.usage.tokens) for each in (before, after) if each is not None]),
        _change([figures.money(each.step.usage.cost_microusd) for each in (before, after) if each is not None]),
        what,
    )


def _way(each: RunStep) -> str:
    if each.stored:
        return "stored"
    return "live" if each.step.status is StepStatus.COMPLETED else status_word(each.step.status.value)


def _style(each: RunStep) -> Style:
    return status_style(each.step.status.value, stored=each.stored)


def _change(values: list[str]) -> str:
    """One value, or two that differ."""
    return " -> ".join(dict.fromkeys(values))


def _what(pair: StepPair) -> str:
    parts = names_of(pair.changes)
    if pair.answer_differs:
        before, after = pair.before.step.status, pair.after.step.status
        parts.append("answer" if before is after else f"{status_word(before.value)}, now {status_word(after.value)}")
    return ", ".join(parts)


# ---------------------------------------------------------------- the result and the sum


def _result(diff: RunDiff, *, colour: bool) -> list[str]:
    if diff.result is None:
        return ["the result is the same" if diff.after.result is not None else "neither has a result", ""]
    if diff.before.result is None or diff.after.result is None:
        return [f"only the run {'after' if diff.before.result is None else 'before'} has a result", ""]
    return [paint("result", Style.TITLE, colour=colour), *diff_lines(diff.result, colour=colour), ""]


def _summary(diff: RunDiff) -> str:
    counts = ", ".join(
        f"{len(steps):,} {name}"
        for name, steps in (
            ("changed", diff.changed),
            ("new", diff.new),
            ("gone", diff.gone),
            ("unchanged", diff.unchanged),
        )
        if steps
    )
    before, after = diff.before, diff.after
    steps = f"{figures.count(after.live_steps + after.stored_steps, 'step')}: {counts or 'none'}"
    ways = f"{after.live_steps:,} live now, {before.live_steps:,} before"
    paid = f"{_paid(after)} paid now, {_paid(before)} before"
    worth = f"worth {_change([figures.money(before.usage.cost_microusd), figures.money(after.usage.cost_microusd)])}"
    return f"{steps}; {ways}; {paid}; {worth}"


def _hint(diff: RunDiff) -> list[str]:
    asked = [pair.after for pair in diff.changed] + list(diff.new)
    return [f"`vibe why {one_line(diff.after.id)}:{asked[0].number}` says why a step ran"] if asked else []


def _paid(run: Run) -> str:
    money = f"{figures.money(run.paid.cost_microusd)} for " if run.paid.cost_microusd is not None else ""
    return f"{money}{figures.tokens(run.paid.tokens)} tokens"
