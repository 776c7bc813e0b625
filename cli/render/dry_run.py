"""What a run would do first, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vibe_workflows.engine.model import RunStatus

from . import figures
from .faults import LONGEST_ERROR, error_text
from .happenings import named
from .paint import Style, paint
from .sanitize import clean, one_line
from .tables import Cell, Column, table

if TYPE_CHECKING:
    from vibe_workflows.engine.dry_run import ComingStep, DryRun
    from vibe_workflows.engine.events import StepFinished
    from vibe_workflows.engine.expected import Estimate

#: A rerun may have thousands of steps in the store.
_SHOWN = 100

_WHERE = (Column(""), Column("#", right=True), Column("step", shrinks=True), Column("phase", shrinks=True))
_STORED = (*_WHERE, Column("model", shrinks=True))
_LIVE = (
    *_STORED,
    Column("in", right=True),
    Column("out", right=True),
    Column("cost", right=True),
    Column("why", shrinks=True),
)


def dry_run_text(found: DryRun, *, width: int | None, colour: bool) -> str:
    parts: list[str] = []
    if found.stored:
        rows = [_stored(each) for each in found.stored[:_SHOWN]]
        parts += [_title("From the store", colour=colour), table(_STORED, rows, width=width, colour=colour)]
        if len(found.stored) > _SHOWN:
            parts.append(f"and {len(found.stored) - _SHOWN:,} more; --json lists them all")
        parts.append("")
    if found.live:
        rows = [_live(each) for each in found.live]
        parts += [_title("Live now", colour=colour), table(_LIVE, rows, width=width, colour=colour), ""]
    if found.failed:
        parts += [_title("Failing", colour=colour), *map(_failed, found.failed), ""]
    return "\n".join([*parts, *_sums(found), *_rest(found)])


def _title(text: str, *, colour: bool) -> str:
    return paint(text, Style.TITLE, colour=colour)


def _stored(step: StepFinished) -> Sequence[str | Cell]:
    return Cell("=", Style.STORED), str(step.number), step.label, step.phase, step.model


def _live(step: ComingStep) -> Sequence[str | Cell]:
    estimate = step.estimate
    sign = _sign(estimate)
    return (
        Cell("▸", Style.LIVE),
        str(step.number),
        step.label,
        step.phase,
        step.model,
        "~" + figures.tokens(estimate.input_tokens),
        sign + figures.tokens(estimate.output_tokens),
        "$?" if estimate.cost_microusd is None else sign + figures.money(estimate.cost_microusd),
        step.reason.removeprefix("live: "),
    )


def _sign(estimate: Estimate) -> str:
    return "~" if estimate.steps else "≤"


def _failed(step: StepFinished) -> str:
    return f"✗ {step.number} {one_line(step.label)}: {one_line(error_text(step), LONGEST_ERROR)}"


def _sums(found: DryRun) -> list[str]:
    stored, live = len(found.stored), len(found.live)
    steps = figures.count(stored + live, "step")
    age = found.oldest_stored_s
    oldest = f" (oldest {figures.age(age)})" if age is not None and stored else ""
    known = f"{steps}{' so far' if found.ending is None else ''}: {stored:,} from the store{oldest}, {live:,} live"
    return [f"{known}, {_cost(found)}" if live else known]


def _cost(found: DryRun) -> str:
    total = found.estimate
    bounded = all(not each.estimate.steps and not each.tools for each in found.live)
    word = "at most" if bounded else "about"
    cost = "price unknown" if total.cost_microusd is None else f"{word} {figures.money(total.cost_microusd)}"
    tokens = f"about {figures.tokens(total.input_tokens)} tokens in, {word} {figures.tokens(total.output_tokens)} out"
    return f"{tokens}, {cost}"


def _rest(found: DryRun) -> list[str]:
    """What is not known, and how a run would end where that is."""
    lines: list[str] = []
    if found.edits:
        lines.append(f"Edits of stored steps would be made again: {named(list(found.edits))}.")
    if any(each.tools and not each.estimate.steps for each in found.live):
        lines.append(
            "A step with tools may take several turns; without one of its label to go by, one turn is counted."
        )
    if found.exit_code:
        lines.append("It was stopped before all was known that can be.")
    elif found.ending is None:
        lines.append("What comes after the live steps depends on their answers, and cannot be known before.")
    elif found.ending.status is not RunStatus.COMPLETED:
        message = "" if found.ending.fault is None else found.ending.fault.message
        lines.append(f"The run would end with an error: {clean(message)}")
    elif not found.live:
        lines.append("The store answers the whole run: it would ask no model, and cost nothing.")
    return [*lines, "Nothing was asked of a model, and nothing stored."]
