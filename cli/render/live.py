"""The live view on a terminal.

Events change a small state; a thread draws it at most eight times a second. So a run of thousands of steps pays for its
events, not for its pictures, and one that is answered from the store at once pays for a single picture.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from vibe_workflows.engine.events import (
    EditsAdopted,
    EditsCollided,
    Event,
    Logged,
    Nearness,
    ScriptRestarted,
    Warned,
)

from .drawing import Drawing
from .frame import frame
from .happenings import edits_adopted, edits_collided, script_restarted
from .made_up import MadeUp
from .paint import Line, Span, Style
from .progress import Progress
from .sanitize import folded, one_line
from .words import OFFLINE_NOTICE, log_line

_PATIENCE_S = 0.3  # a run that is over by then gets one picture
_INTERVAL_S = 0.125
_IDLE_TICKS = 4  # without events only the clocks move: two pictures a second will do
_MOST_LINES = 500  # of a script's log between two pictures
_SPARE_ROWS = 3  # of the terminal, so that what stood above stays in sight

_WARNING = Span("warning:", Style.WARN)


class LiveProgress:
    """An EventSink that owns a drawing thread from `start` to `close`."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.time) -> None:
        self._drawing = Drawing(stream)
        self._made_up = MadeUp()
        self._clock = clock
        self._progress = Progress()
        self._lock = threading.Lock()  # guards what follows, and _progress
        self._above: list[tuple[Span | None, str]] = []  # a line begins with the span, if there is one
        self._left_out = 0
        self._changed = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="vibe-live", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Draw the last picture and leave it on the terminal."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        with suppress(OSError):  # the terminal is gone
            self._draw()

    def handle(self, event: Event) -> None:
        with self._lock:
            self._progress.apply(event)
            self._changed = True
            if self._made_up.begins(event):
                first, rest = OFFLINE_NOTICE.split(" ", 1)
                self._add(rest, Span(first, Style.WARN))
            match event:
                case Logged():
                    self._add(log_line(event))
                case Warned():
                    self._add(event.message, _WARNING)
                case EditsCollided() if event.where is not Nearness.ELSEWHERE:
                    self._add(edits_collided(event), _WARNING)
                case EditsAdopted():
                    self._add(edits_adopted(event))
                case ScriptRestarted():
                    self._add(script_restarted(event))
                case _:
                    pass

    def _add(self, text: str, first: Span | None = None) -> None:
        if len(self._above) < _MOST_LINES:
            self._above.append((first, one_line(text)))
        else:
            self._left_out += 1

    def _watch(self) -> None:
        if self._over.wait(_PATIENCE_S):
            return
        try:
            self._draw()
            idle = 0
            while not self._over.wait(_INTERVAL_S):
                idle += 1
                if self._changed or idle >= _IDLE_TICKS:
                    idle = 0
                    self._draw()
        except OSError:
            return

    def _draw(self) -> None:
        columns, rows = self._drawing.size
        with self._lock:
            above, self._above = self._above, []
            left_out, self._left_out = self._left_out, 0
            self._changed = False
            lines = self._picture(columns - 1, rows - _SPARE_ROWS)
        scrolling = [line for first, text in above for line in _folded(first, text, columns)]
        if left_out:
            notice = f"({left_out:,} lines left out here; `vibe trace --json` has them)"
            scrolling.append((Span(notice, Style.FAINT),))
        self._drawing.draw(scrolling, lines, columns=columns)

    def _picture(self, width: int, height: int) -> list[Line]:
        """None before the run has begun: an error in its place needs no tree above it."""
        if self._progress.started_at is None:
            return []
        return frame(self._progress, width=width, height=height, now=self._clock())


def _folded(first: Span | None, text: str, columns: int) -> list[Line]:
    """A line of any length on lines of the terminal; only its first word is in colour."""
    if first is None:
        return [(Span(line),) for line in folded(text, columns, indent=2)]
    head, *more = folded(f"{first.text} {text}", columns, indent=2)
    return [(first, Span(head.removeprefix(first.text))), *((Span(line),) for line in more)]
