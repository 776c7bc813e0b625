"""One picture of a running workflow: a tree of phases and steps as lines of styled text. Pure.

Detail is spent from the newest phase backwards; what does not fit is folded into counts, so that a picture has at most
`height` lines for a run of any size, and costs what it shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from . import figures
from .budget_bar import budget_lines
from .faults import told
from .model_trouble import model_lines
from .paint import Line, Span, Style
from .progress import DoneStep, PhaseState, Progress, RunningStep
from .sanitize import cell_width, fit, one_line, pad
from .tables import fitted
from .words import counts, counts_text, phase_status, phases_ahead, status_mark, status_style, status_word

_TOKENS, _COST, _TIME = 8, 9, 7
_RIGHT = _TOKENS + _COST + _TIME
_SMALLEST = 4
_WIDEST = 120  # a line that is longer is hard to follow to its figures


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How wide a line is, and its columns at the left."""

    width: int
    number: int = 0
    label: int = 0
    model: int = 0


def frame(progress: Progress, *, width: int, height: int, now: float) -> list[Line]:
    """The picture as of `now`: phases with their steps, oldest first; then models in trouble, budget, totals."""
    width = min(width, _WIDEST)
    now = now if progress.finished_at is None else progress.finished_at
    left = max(height, _SMALLEST) - 1
    around = _Around(progress, width=width, room=left - 2, now=now)  # a phase and one of its steps come first
    left -= around.size
    newest = list(islice(reversed(progress.phases.values()), left))
    folded = len(progress.phases) - len(newest)
    if folded:
        newest.pop()
        folded += 1
    left -= len(newest) + (1 if folded else 0)
    chosen: list[tuple[PhaseState, _Chosen]] = []
    for phase in newest:
        steps = _choose(phase, left)
        left -= steps.lines
        chosen.append((phase, steps))
    shape = _shape((step for _, steps in chosen for step in steps.steps), width)
    lines = list(around.before)
    if folded:
        lines.append((Span(f"  {figures.count(folded, 'earlier phase')}", Style.FAINT),))
    for phase, steps in reversed(chosen):
        lines.append(_header(phase, shape, now=now))
        lines += _steps(steps, shape, now=now)
    return [*lines, *around.after, _totals(progress, width=width, now=now)]


class _Around:
    """The lines around the phases, as far as there is room for them: the most useful ones first."""

    def __init__(self, progress: Progress, *, width: int, room: int, now: float) -> None:
        models = list(model_lines(progress.models.values(), width=width, now=now))
        budget = budget_lines(progress.limits, progress.spent(now), width=width)
        over = progress.finished_at is not None
        ahead = [] if over and progress.status == "completed" else progress.ahead
        after = [_ahead(ahead, width=width, over=over)] if ahead else []
        room = max(room, 0)
        models = models[:room]
        budget = budget if len(budget) <= room - len(models) else []
        room -= len(models) + len(budget)
        after = after if room > 3 else []
        self.before = [_title(progress, width=width)] if room - len(after) > 3 and progress.run else []
        self.after = [*after, *models, *budget]
        self.size = len(self.before) + len(self.after)


def _title(progress: Progress, *, width: int) -> Line:
    name = [Span(f"run {progress.run}  ", Style.FAINT), Span(one_line(progress.workflow), Style.TITLE)]
    return _line(name, ("tokens", "cost", "time"), width=width, style=Style.FAINT)


def _ahead(titles: Sequence[str], *, width: int, over: bool) -> Line:
    text = fit(phases_ahead(titles, over=over), width - 2)
    return Span(status_mark("pending") + " ", Style.FAINT), Span(text, Style.FAINT)


def _header(phase: PhaseState, shape: _Shape, *, now: float) -> Line:
    running = len(phase.running)
    status = phase_status(phase.over, running=running)
    return _row(
        [
            Span(status_mark(status) + " ", status_style(status)),
            Span(f"{one_line(phase.title) or 'steps'}  ", Style.TITLE),
            Span(counts_text(phase.over, running=running), Style.FAINT),
        ],
        tokens=phase.tokens,
        microusd=phase.microusd,
        seconds=(now if phase.running else phase.last_at) - phase.started_at,
        width=shape.width,
    )


# ---------------------------------------------------------------- steps


class _Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of a phase that have a line, in the order of their numbers, and how many have none."""

    steps: tuple[RunningStep | DoneStep, ...] = ()
    hidden: int = 0

    @property
    def lines(self) -> int:
        return len(self.steps) + (1 if self.hidden else 0)


def _choose(phase: PhaseState, room: int) -> _Chosen:
    """At most `room` lines: failures, then what runs, then the latest of the rest."""
    if room < 1:
        return _Chosen()
    chosen: dict[int, RunningStep | DoneStep] = {}
    for step in _by_weight(phase):
        if len(chosen) == room:
            break
        chosen.setdefault(step.number, step)
    hidden = phase.over.done + len(phase.running) - sum(map(_weight, chosen.values()))
    if hidden and len(chosen) == room:
        hidden += _weight(chosen.popitem()[1])
    if not chosen:  # the line of the phase counts them
        return _Chosen()
    return _Chosen(steps=tuple(chosen[number] for number in sorted(chosen)), hidden=hidden)


def _by_weight(phase: PhaseState) -> Iterable[RunningStep | DoneStep]:
    yield from reversed(phase.failures.values())
    yield from phase.running.values()
    yield from reversed(phase.recent)


def _weight(step: RunningStep | DoneStep) -> int:
    """How many steps its line stands for."""
    return step.alike if isinstance(step, DoneStep) else 1


def _shape(steps: Iterable[RunningStep | DoneStep], width: int) -> _Shape:
    """Columns as wide as what is shown in them, and bounded."""
    number = label = model = 0
    for step in steps:
        if _weight(step) == 1:
            number = max(number, len(str(step.number)) + 1)
            label = max(label, cell_width(_label(step)))
            model = max(model, cell_width(one_line(step.model)))
    return _Shape(width=width, number=number, label=min(label, width * 3 // 10), model=min(model, width * 2 // 9))


def _steps(chosen: _Chosen, shape: _Shape, *, now: float) -> Iterator[Line]:
    if chosen.hidden:
        yield (Span(f"    {chosen.hidden:,} more", Style.FAINT),)
    for step in chosen.steps:
        yield _running(step, shape, now=now) if isinstance(step, RunningStep) else _done(step, shape)


def _running(step: RunningStep, shape: _Shape, *, now: float) -> Line:
    if step.retry:
        left = step.retry_at - now
        when = f"waits {figures.duration(left)}" if left > 0 else "tried again"
        doing = [Span(f"  {when}:", Style.WARN), Span(f" {one_line(told(step.retry, step.model), shape.width)}")]
    else:
        turn = f"turn {step.turns + 1}" if step.turns else ""
        doing = [Span("  " + " ".join(part for part in (turn, *step.tools) if part), Style.FAINT)]
    return _row(
        [*_name(step, "running", shape, stored=False), *doing],
        tokens=step.tokens,
        microusd=step.microusd,
        seconds=now - step.started_at,
        width=shape.width,
    )


def _done(step: DoneStep, shape: _Shape) -> Line:
    if step.alike > 1:
        return _alike(step, width=shape.width)
    name = _name(step, step.status, shape, stored=step.stored)
    if step.stored:  # what it used once is no part of the sums
        tokens, money = _figures(step.tokens, step.microusd)
        return _line(name, (tokens, money, "store"), width=shape.width, style=Style.FAINT)
    if step.error:
        name.append(Span(f"  {_error(step)}", Style.BAD))
    return _row(
        name,
        tokens=step.tokens,
        microusd=step.microusd,
        seconds=step.duration_s,
        width=shape.width,
    )


def _error(step: DoneStep) -> str:
    """Without the model, which stands beside it, and where that was asked."""
    if not step.model:
        return one_line(step.error)
    return re.sub(rf"{re.escape(step.model)}(?: \([^()]*\))?: ", "", one_line(step.error), count=1)


def _alike(step: DoneStep, *, width: int) -> Line:
    """All steps that failed because of one error."""
    mark = Span(f"{status_mark(step.status)} ", status_style(step.status))
    count = Span(figures.count(step.alike, "step"))
    room = width - 2 - cell_width(mark.text) - cell_width(count.text)
    error = f"  {one_line(step.error) or status_word(step.status)}"
    return Span("  "), mark, count, Span(fit(error, room), Style.BAD)


def _label(step: RunningStep | DoneStep) -> str:
    return one_line(step.label) or ("running" if isinstance(step, RunningStep) else status_word(step.status))


def _name(step: RunningStep | DoneStep, status: str, shape: _Shape, *, stored: bool) -> list[Span]:
    """Mark, number, label and model, each in its column."""
    model = short_model(step.model, shape.model)
    return [
        Span("  "),
        Span(f"{status_mark(status, stored=stored)} ", status_style(status, stored=stored)),
        Span(pad(f"#{step.number}", shape.number) + " ", Style.FAINT),
        Span(pad(fit(_label(step), shape.label), shape.label)),
        Span("  " + pad(model, shape.model) if shape.model else "", Style.FAINT),
    ]


def short_model(name: str, cells: int) -> str:
    """A model's name in so many columns: without its provider before its own name is cut."""
    line = one_line(name)
    return line if cell_width(line) <= cells else fit(line.rsplit("/", 1)[-1], cells)


# ---------------------------------------------------------------- below the phases


def _totals(progress: Progress, *, width: int, now: float) -> Line:
    told_of = counts(progress.over, running=len(progress.running), waiting=progress.waiting)
    whole = f"{figures.count(progress.over.done, 'step')}{': ' if told_of else ''}"
    parts = [part for span in told_of for part in (Span(", "), span)][1:]
    if cell_width(whole) + sum(cell_width(part.text) for part in parts) < width - _RIGHT:
        parts.insert(0, Span(whole, Style.TITLE))  # else the sum is left out, and its parts are told
    return _row(
        parts,
        tokens=progress.tokens,
        microusd=progress.microusd,
        seconds=None if progress.started_at is None else now - progress.started_at,
        width=width,
    )


# ---------------------------------------------------------------- a line


def _figures(tokens: int, microusd: int | None) -> tuple[str, str]:
    return figures.tokens(tokens) if tokens else "", figures.money(microusd) if tokens or microusd else ""


def _row(left: list[Span], *, tokens: int, microusd: int | None, seconds: float | None, width: int) -> Line:
    time = figures.duration(seconds) if seconds is not None else ""
    return _line(left, (*_figures(tokens, microusd), time), width=width)


def _line(left: list[Span], right: tuple[str, str, str], *, width: int, style: Style = Style.PLAIN) -> Line:
    """The spans cut to the room that the figures at the right leave."""
    tokens, cost, time = right
    texts = pad(time, _TIME, right=True)
    if tokens or cost:
        texts = pad(tokens, _TOKENS, right=True) + pad(cost, _COST, right=True) + texts
    room = width - cell_width(texts) - 1
    return (*fitted(left, room), Span(" " if room >= 0 else ""), Span(texts, style))
