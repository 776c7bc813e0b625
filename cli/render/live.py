"""The live view on a terminal. rich is imported only once a run has lasted long enough to be watched.

Events change a small state; a thread draws it at most eight times a second. So a run of thousands of steps pays for its
events, not for its pictures, and one that is answered from the store at once pays for a single picture.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from vibe_workflows.engine.events import (
    EditsAdopted,
    EditsCollided,
    Event,
    Logged,
    Nearness,
    RunStarted,
    ScriptRestarted,
    Warned,
)

from .frame import Line, frame
from .happenings import edits_adopted, edits_collided, script_restarted
from .paint import Style, paint
from .progress import Progress
from .sanitize import one_line
from .stream import Output
from .words import OFFLINE_NOTICE, log_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

_PATIENCE_S = 0.3
_INTERVAL_S = 0.125
_IDLE_TICKS = 4  # without events only the clocks move: two pictures a second will do
_MOST_LINES = 500  # of a script's log between two pictures
_SPARE_ROWS = 3  # of the terminal, so that what stood above stays in sight

_RICH = {
    Style.PLAIN: "",
    Style.TITLE: "bold",
    Style.FAINT: "dim",
    Style.GOOD: "green",
    Style.STORED: "cyan",
    Style.WARN: "yellow",
    Style.BAD: "red",
    Style.LIVE: "blue",
}


class LiveProgress:
    """An EventSink that owns a drawing thread from `start` to `close`."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.time) -> None:
        self._stream = stream
        self._clock = clock
        self._screen: _Screen | None = None
        self._progress = Progress()
        self._lock = threading.Lock()  # guards what follows, and _progress
        self._above: list[tuple[str, Style]] = []
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
        try:
            if self._screen is None:
                self._print_once()
            else:
                self._draw(self._screen)
                self._screen.close()
        except (OSError, SystemExit):  # the terminal is gone; rich answers a broken pipe with SystemExit
            pass

    def handle(self, event: Event) -> None:
        with self._lock:
            self._progress.apply(event)
            self._changed = True
            match event:
                case RunStarted() if event.offline:
                    self._add(OFFLINE_NOTICE, Style.WARN)
                case Logged():
                    self._add(log_line(event), Style.PLAIN)
                case Warned():
                    self._add(f"warning: {event.message}", Style.WARN)
                case EditsCollided() if event.where is not Nearness.ELSEWHERE:
                    self._add(f"warning: {edits_collided(event)}", Style.WARN)
                case EditsAdopted():
                    self._add(edits_adopted(event), Style.WARN)
                case ScriptRestarted():
                    self._add(script_restarted(event), Style.WARN)
                case _:
                    pass

    def _add(self, text: str, style: Style) -> None:
        if len(self._above) < _MOST_LINES:
            self._above.append((one_line(text), style))
        else:
            self._left_out += 1

    def _watch(self) -> None:
        if self._over.wait(_PATIENCE_S):
            return
        try:
            screen = _Screen(self._stream)
            self._screen = screen
            self._draw(screen)
            idle = 0
            while not self._over.wait(_INTERVAL_S):
                idle += 1
                if self._changed or idle >= _IDLE_TICKS:
                    idle = 0
                    self._draw(screen)
        except (OSError, SystemExit):
            return

    def _draw(self, screen: _Screen) -> None:
        columns, rows = screen.size
        screen.draw(*self._picture(columns, rows))

    def _print_once(self) -> None:
        size = os.get_terminal_size(self._stream.fileno())
        above, lines = self._picture(size.columns or 80, size.lines or 24)
        text = [paint(line, style, colour=True) for line, style in above]
        text += ["".join(paint(span.text, span.style, colour=True) for span in line) for line in lines]
        Output.of(self._stream).line("\n".join(text))

    def _picture(self, columns: int, rows: int) -> tuple[list[tuple[str, Style]], list[Line]]:
        """What is new above the tree, which scrolls away, and the tree."""
        with self._lock:
            above, self._above = self._above, []
            left_out, self._left_out = self._left_out, 0
            self._changed = False
            lines = frame(self._progress, width=columns - 1, height=rows - _SPARE_ROWS, now=self._clock())
        if left_out:
            above.append((f"({left_out:,} lines left out here; `vibe trace --json` has them)", Style.FAINT))
        return above, lines


class _Screen:
    """rich's live display, fed with lines."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console: Console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live: Live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()
        self._console.show_cursor(True)  # a killed process must not leave a terminal without one

    @property
    def size(self) -> tuple[int, int]:
        return self._console.size

    def draw(self, above: list[tuple[str, Style]], lines: list[Line]) -> None:
        from rich.text import Text

        if above:
            self._console.print(Text("\n").join(Text(text, style=_RICH[style]) for text, style in above))
        self._live.update(Text("\n", no_wrap=True, overflow="crop").join(map(_text, lines)), refresh=True)

    def close(self) -> None:
        self._live.stop()


def _text(line: Line) -> Text:
    from rich.text import Text

    return Text.assemble(*((span.text, _RICH[span.style]) for span in line))
