"""When the steps of a past run were at work, as bars on one scale of time; what a step waited for is told apart.

A bar begins where a script asked for the step: dots until its turn came, blocks while it was at work, shades while it
waited to be tried again. A step from the store is a mark at its moment. Steps without a line of their own are drawn
together: how many were at work at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, groupby

from vibe_workflows.engine.events import StepRetried

from . import figures
from .happenings import attempts
from .paint import Line, Span, Style, painted
from .sanitize import cell_width, fit, one_line, pad
from .tables import fitted
from .trace_rows import PhaseRows, RunTrace, StepRow, phases_of, waits_of, worth_a_line
from .trace_tree import hidden_line, label_of, phase_mark, reasons_of
from .words import status_mark, status_style

_START, _TIME = 7, 7
_PLAIN_WIDTH = 100  # where nobody looks at columns
_NARROWEST = 10  # columns of a bar
_WIDEST_LABEL = 32

_QUEUE, _WORK, _WAIT, _STORED, _SPAN = "·", "█", "░", "=", "─"
_LEVELS = " ▁▂▃▄▅▆▇█"
_LEGEND = (
    (_WORK, "at work"),
    (_WAIT, "waiting to be tried again"),
    (_QUEUE, "waiting for its turn"),
    (_STORED, "from the store"),
    (_LEVELS[1] + _LEVELS[4] + _LEVELS[8], "how many of the rest were at work"),
)


def waterfall_lines(trace: RunTrace, *, width: int | None, colour: bool, whole: bool) -> list[str]:
    phases = phases_of(trace)
    if not any(phase.rows for phase in phases):
        return []
    tried = attempts(trace.events)
    shown = [worth_a_line(phase.rows, list(reasons_of(phase.rows, tried)), whole=whole) for phase in phases]
    rows = [phase.rows[at] for phase, kept in zip(phases, shown, strict=True) for at in kept]
    drawn = _Drawn(trace, rows, width=width or _PLAIN_WIDTH)
    lines = [drawn.scale()]
    for phase, kept in zip(phases, shown, strict=True):
        lines += drawn.phase(phase, kept)
    return [painted(line, colour=colour) for line in [*lines, *drawn.legend()]]


class _Drawn:
    """Lines of one width, with bars of one scale."""

    def __init__(self, trace: RunTrace, rows: Sequence[StepRow], *, width: int) -> None:
        self._begin = trace.run.started_at
        self._end = max([trace.ended_at, *(row.ended_at or 0 for row in rows)])
        self._waits = waits_of(trace)
        self._number = max(len(str(row.number)) for row in rows) + 1
        longest = max(cell_width(one_line(label_of(row))) for row in rows)
        self._label = min(longest, _WIDEST_LABEL, width // 4)
        self._name = 4 + self._number + 1 + self._label + 2
        self._width = width
        self._bar = max(width - self._name - _START - 2 - _TIME - 1, _NARROWEST)
        self._used: set[str] = set()

    def scale(self) -> Line:
        end = figures.duration(self._end - self._begin)
        bar = "0s" + pad(end, self._bar - 2, right=True)
        name = Span(" " * self._name)
        return name, Span(pad("start", _START, right=True)), Span("  " + bar), Span(pad("time", _TIME + 1, right=True))

    def phase(self, phase: PhaseRows, shown: Sequence[int]) -> Iterator[Line]:
        title = [phase_mark(phase), Span(one_line(phase.title) or "steps", Style.TITLE)]
        if not phase.rows:
            yield (*title, Span("  no steps", Style.FAINT))
            return
        begun, ended = phase.began_at, phase.ended_at(self._end)
        bar = self._put([" "] * self._bar, begun, ended, _SPAN)
        yield self._line(title, begun, _spans(bar, Style.FAINT), ended - begun)
        for row in sorted((phase.rows[at] for at in shown), key=lambda row: row.began_at):
            yield self._step(row)
        if more := hidden_line(phase, shown):
            kept = set(shown)
            yield self._together([row for at, row in enumerate(phase.rows) if at not in kept])
            yield (Span(fit(more, self._width), Style.FAINT),)

    def legend(self) -> Iterator[Line]:
        texts = [f"{mark} {text}" for mark, text in _LEGEND if mark[0] in self._used or mark[1:2] in self._used]
        line = ""
        for text in texts:
            if line and cell_width(line) + 3 + cell_width(text) > self._width:
                yield (Span(line, Style.FAINT),)
                line = ""
            line += ("   " if line else "") + text
        if line:
            yield (Span(line, Style.FAINT),)

    def _step(self, row: StepRow) -> Line:
        style = status_style(row.status, stored=row.stored)
        name = [
            Span("  "),
            Span(status_mark(row.status, stored=row.stored) + " ", style),
            Span(pad(f"#{row.number}", self._number) + " ", Style.FAINT),
            Span(fit(one_line(label_of(row)), self._label)),
        ]
        if row.stored:
            bar = self._put([" "] * self._bar, row.began_at, row.began_at, _STORED)
            return self._line(name, row.began_at, _spans(bar, style), None)
        ended = self._end if row.ended_at is None else row.ended_at
        bar = [" "] * self._bar
        if self._cell(row.asked_at) < self._cell(row.began_at):
            bar = self._put(bar, row.asked_at, row.began_at, _QUEUE)
        bar = self._put(bar, row.began_at, ended, _WORK)
        for begin, end in _between(self._waits, row, ended):
            bar = self._put(bar, begin, end, _WAIT)
        return self._line(name, row.began_at, _spans(bar, style), ended - row.began_at)

    def _together(self, rows: Sequence[StepRow]) -> Line:
        """How many were at work at once, on the average of each moment that has a column."""
        times = [(row.began_at, self._end if row.ended_at is None else row.ended_at) for row in rows]
        busy = self._busy([each for each, row in zip(times, rows, strict=True) if not row.stored])
        bar = [" "] * self._bar
        if all(row.stored for row in rows):
            for begun, _ in times:
                bar[self._cell(begun)] = _STORED
        elif (most := max(busy)) > 0:
            bar = [_LEVELS[math.ceil(each / most * (len(_LEVELS) - 1))] for each in busy]
            self._used.add(_LEVELS[4])
        begun, ended = min(begun for begun, _ in times), max(ended for _, ended in times)
        return self._line([Span("    the rest", Style.FAINT)], begun, _spans(bar, Style.LIVE), ended - begun)

    def _busy(self, times: Sequence[tuple[float, float]]) -> list[float]:
        """For each column, what steps were at work in it, summed up in columns of time."""
        whole = [0.0] * (self._bar + 1)  # changes from one column to the next
        parts = [0.0] * (self._bar + 1)
        for begun, ended in times:
            first, last = self._place(begun), self._place(ended)
            parts[int(first)] -= first - int(first)
            parts[int(last)] += last - int(last)
            whole[int(first)] += 1
            whole[int(last)] -= 1
        return [max(full + part, 0.0) for full, part in zip(accumulate(whole[:-1]), parts, strict=False)]

    def _line(self, name: Sequence[Span], begun: float, bar: Sequence[Span], seconds: float | None) -> Line:
        start = figures.duration(max(begun - self._begin, 0))
        time = "store" if seconds is None else figures.duration(seconds)
        return (
            *fitted(name, self._name),
            Span(pad(start, _START, right=True) + "  "),
            *bar,
            Span(pad(time, _TIME + 1, right=True), Style.STORED if seconds is None else Style.PLAIN),
        )

    def _place(self, at: float) -> float:
        """In columns, from 0 to the width of a bar."""
        whole = self._end - self._begin
        share = (at - self._begin) / whole if whole > 0 else 0.0
        return min(max(share, 0.0), 1.0) * self._bar

    def _cell(self, at: float) -> int:
        return min(int(self._place(at)), self._bar - 1)

    def _put(self, bar: list[str], begin: float, end: float, mark: str) -> list[str]:
        self._used.add(mark)
        first, last = self._cell(begin), self._cell(end)
        return [*bar[:first], *(mark * (last - first + 1)), *bar[last + 1 :]]


def _between(waits: Mapping[str, Sequence[StepRetried]], row: StepRow, ended: float) -> Iterator[tuple[float, float]]:
    """When a step waited, as far as it was at work at all."""
    for event in waits.get(row.step.id, ()):
        begin, end = max(event.at, row.began_at), min(event.at + event.wait_s, ended)
        if begin < end:
            yield begin, end


def _spans(bar: Sequence[str], style: Style) -> list[Span]:
    """Of a bar's marks: waits in the colour of warnings, turns that did not come yet faint."""
    styles = {_WAIT: Style.WARN, _QUEUE: Style.FAINT, " ": Style.PLAIN}
    return [Span("".join(group), found) for found, group in groupby(bar, key=lambda mark: styles.get(mark, style))]
