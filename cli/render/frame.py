"""One picture of a running workflow: a tree of phases and steps as lines of styled text. Pure.

Detail is spent from the newest phase backwards; what does not fit is folded into counts, so that a picture has at most
`height` lines for a run of any size, and costs what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from . import figures
from .paint import Style
from .progress import DoneStep, PhaseState, Progress, RunningStep
from .sanitize import cell_width, fit, one_line, pad
from .words import status_mark, status_style, status_word

_TOKENS, _COST, _TIME = 7, 9, 7
_RIGHT = _TOKENS + _COST + _TIME
_LABEL = 28
_SMALLEST = 4


class Span(NamedTuple):
    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]


def frame(progress: Progress, *, width: int, height: int, now: float) -> list[Line]:
    """The picture as of `now`: phases with their steps, oldest first, and the line of totals last."""
    left = max(height, _SMALLEST) - 1
    newest = list(islice(reversed(progress.phases.values()), left))
    folded = len(progress.phases) - len(newest)
    if folded:
        newest.pop()
        folded += 1
    left -= len(newest) + (1 if folded else 0)
    blocks: list[list[Line]] = []
    for phase in newest:
        detail = list(_steps(phase, room=left, width=width, now=now))
        left -= len(detail)
        blocks.append([_header(phase, width=width, now=now, open_=bool(phase.running)), *detail])
    lines = [line for block in reversed(blocks) for line in block]
    if folded:
        lines.insert(0, (Span(f"  {figures.count(folded, 'earlier phase')}", Style.FAINT),))
    return [*lines, _totals(progress, width=width, now=now)]


def _header(phase: PhaseState, *, width: int, now: float, open_: bool) -> Line:
    status = "running" if open_ else "failed" if phase.failed else "completed"
    mark = Span(status_mark(status) + " ", status_style(status))
    left = f"{one_line(phase.title) or 'steps'}  "
    return _row(
        [mark, Span(left, Style.TITLE), Span(_counts(phase), Style.FAINT)],
        tokens=phase.tokens,
        microusd=phase.microusd,
        seconds=(now if open_ else phase.last_at) - phase.started_at,
        width=width,
    )


def _counts(phase: PhaseState) -> str:
    pairs = (
        (phase.stored, "stored"),
        (phase.live, "live"),
        (phase.failed, "failed"),
        (phase.dropped, "cancelled"),
        (len(phase.running), "running"),
    )
    return ", ".join(f"{count:,} {word}" for count, word in pairs if count)


def _steps(phase: PhaseState, *, room: int, width: int, now: float) -> Iterator[Line]:
    """At most `room` lines: failures, then what runs, then the latest of the rest; in the order of their numbers."""
    if room < 1:
        return
    chosen: dict[int, RunningStep | DoneStep] = {}
    for step in _by_weight(phase):
        if len(chosen) == room:
            break
        chosen.setdefault(step.number, step)
    hidden = phase.done + len(phase.running) - len(chosen)
    if hidden and len(chosen) == room:
        chosen.popitem()
        hidden += 1
    if hidden:
        yield (Span(f"    {hidden:,} more", Style.FAINT),)
    for number in sorted(chosen):
        step = chosen[number]
        yield _running(step, width=width, now=now) if isinstance(step, RunningStep) else _done(step, width=width)


def _by_weight(phase: PhaseState) -> Iterable[RunningStep | DoneStep]:
    yield from reversed(phase.failures)
    yield from phase.running.values()
    yield from reversed(phase.recent)


def _running(step: RunningStep, *, width: int, now: float) -> Line:
    if step.retry:
        doing = Span(f"  again after: {one_line(step.retry)}", Style.WARN)
    else:
        turn = f"turn {step.turns + 1}" if step.turns else ""
        doing = Span("  " + " ".join(part for part in (turn, *step.tools) if part), Style.FAINT)
    return _row(
        [*_name(step.number, step.label, step.model, "running", stored=False), doing],
        tokens=step.tokens,
        microusd=step.microusd,
        seconds=now - step.started_at,
        width=width,
    )


def _done(step: DoneStep, *, width: int) -> Line:
    if step.error:
        note = Span(f"  {one_line(step.error)}", Style.BAD)
    else:
        note = Span("  from the store" if step.stored else "", Style.STORED)
    return _row(
        [*_name(step.number, step.label, step.model, step.status, stored=step.stored), note],
        tokens=step.tokens,
        microusd=step.microusd,
        seconds=None if step.stored else step.duration_s,
        width=width,
    )


def _name(number: int, label: str, model: str, status: str, *, stored: bool) -> list[Span]:
    label = one_line(label, _LABEL) or status_word(status)
    return [
        Span(f"    {status_mark(status, stored=stored)} ", status_style(status, stored=stored)),
        Span(f"#{number} ", Style.FAINT),
        Span(label),
        Span(f"  {one_line(model, _LABEL)}" if model else "", Style.FAINT),
    ]


def _totals(progress: Progress, *, width: int, now: float) -> Line:
    done = progress.live + progress.stored + progress.failed
    counts = f"{figures.count(done, 'step')}: {progress.stored:,} stored, {progress.live:,} live"
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    running = f", {len(progress.running):,} running" if progress.running else ""
    return _row(
        [Span(counts, Style.TITLE), Span(failed, Style.BAD), Span(running, Style.LIVE)],
        tokens=progress.tokens,
        microusd=progress.microusd,
        seconds=None if progress.started_at is None else now - progress.started_at,
        width=width,
    )


def _row(left: list[Span], *, tokens: int, microusd: int | None, seconds: float | None, width: int) -> Line:
    """The spans cut to the room that the figures at the right leave."""
    room = width - _RIGHT - 1
    fitted: list[Span] = []
    for span in left:
        text = fit(span.text, room)
        fitted.append(Span(text, span.style))
        room -= cell_width(text)
        if text != span.text or room <= 0:
            break
    right = "".join(
        (
            pad(figures.tokens(tokens) if tokens else "", _TOKENS, right=True),
            pad(figures.money(microusd) if tokens or microusd else "", _COST, right=True),
            pad(figures.duration(seconds) if seconds is not None else "", _TIME, right=True),
        )
    )
    return (*fitted, Span(" " * (room + 1)), Span(right, Style.FAINT))
