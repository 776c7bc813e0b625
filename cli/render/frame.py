"""One picture of a running workflow: a tree of phases and steps as lines of styled text. Pure.

Detail is spent from the newest phase backwards; what does not fit is folded into counts, so that a picture has at most
`height` lines for a run of any size, and costs what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from . import figures
from .faults import told
from .paint import Style
from .progress import DoneStep, ModelState, PhaseState, Progress, RunningStep
from .sanitize import cell_width, fit, one_line, pad
from .words import status_mark, status_style, status_word

_TOKENS, _COST, _TIME = 7, 9, 7
_RIGHT = _TOKENS + _COST + _TIME
_LABEL = 28
_SMALLEST = 4
_MODELS = 3  # lines about models that are slowed or down


class Span(NamedTuple):
    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]


def frame(progress: Progress, *, width: int, height: int, now: float) -> list[Line]:
    """The picture as of `now`: phases with their steps, oldest first, and the line of totals last."""
    models = list(_models(progress, width=width, now=now))
    left = max(height, _SMALLEST) - 1
    models = models[: max(left - 2, 0)]  # a phase and one of its steps come first
    left -= len(models)
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
    return [*lines, *models, _totals(progress, width=width, now=now)]


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
    hidden = phase.done + len(phase.running) - sum(map(_weight, chosen.values()))
    if hidden and len(chosen) == room:
        hidden += _weight(chosen.popitem()[1])
    if hidden:
        yield (Span(f"    {hidden:,} more", Style.FAINT),)
    for number in sorted(chosen):
        step = chosen[number]
        yield _running(step, width=width, now=now) if isinstance(step, RunningStep) else _done(step, width=width)


def _by_weight(phase: PhaseState) -> Iterable[RunningStep | DoneStep]:
    yield from reversed(phase.failures.values())
    yield from phase.running.values()
    yield from reversed(phase.recent)


def _weight(step: RunningStep | DoneStep) -> int:
    """How many steps its line stands for."""
    return step.alike if isinstance(step, DoneStep) else 1


def _running(step: RunningStep, *, width: int, now: float) -> Line:
    if step.retry:
        left = step.retry_at - now
        when = f"waits {figures.duration(left)}" if left > 0 else "tried again"
        doing = Span(f"  {when}: {one_line(told(step.retry, step.model), width)}", Style.WARN)
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
    if step.alike > 1:
        return _alike(step, width=width)
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


def _alike(step: DoneStep, *, width: int) -> Line:
    """All steps that failed because of one error."""
    mark = Span(f"    {status_mark(step.status)} ", status_style(step.status))
    count = Span(figures.count(step.alike, "step"))
    room = width - cell_width(mark.text) - cell_width(count.text)
    error = f"  {one_line(step.error) or status_word(step.status)}"
    return mark, count, Span(pad(fit(error, room), room), Style.BAD)


def _models(progress: Progress, *, width: int, now: float) -> Iterator[Line]:
    """A line for each model that is slowed or down; of many the last ones are counted."""
    ailing = [state for state in progress.models.values() if state.ails(now)]
    shown = ailing if len(ailing) <= _MODELS else ailing[: _MODELS - 1]
    for state in shown:
        mark = Span("! ", Style.WARN)
        yield (
            mark,
            Span(
                fit(_trouble(state, width=width, now=now), width - 2),
                Style.BAD if state.down is not None else Style.WARN,
            ),
        )
    if len(ailing) > len(shown):
        yield (Span(f"! {len(ailing) - len(shown):,} more models are slowed or down", Style.WARN),)


def _trouble(state: ModelState, *, width: int, now: float) -> str:
    name = one_line(state.model, _LABEL)
    down = state.down
    if down is None:
        assert state.slowed is not None
        return f"{name} is rate limited: {figures.count(state.slowed.at_once, 'call')} at a time"
    left = down.at + down.wait_s - now
    again = f"asked again in {figures.duration(left)}" if left > 0 else "asked again now"
    return f"{name} is down, {again}: {one_line(told(down.error, down.model), width)}"


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
