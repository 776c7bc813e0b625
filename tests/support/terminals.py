"""A real pseudo-terminal with a process on it, and what a person sees there: its bytes, rendered by pyte.

    screen = screen_of(["vibe", "trace"], columns=80, rows=24, env={...}, cwd=project)
    assert "✓ Plan" in screen.text

A process that is to be watched while it runs is started on a `Terminal`. Lines that scrolled off the top are part of
what was seen. Snapshots lie in files (`expect_screen`), where colours are markup: `[bad]3 failed[/]`.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyte
from pyte.screens import Char

#: Ends a wait for what will never be shown. Long, because a process that imports much on a busy machine takes long.
PATIENCE_S = 60.0

#: Set, it has every snapshot that is compared written anew; then look at `git diff tests/cli/screens`.
REWRITE = "VIBE_REWRITE_SCREENS"

_NAMES = {
    "red": "bad",
    "green": "good",
    "brown": "warn",
    "magenta": "live",
    "cyan": "stored",
}
_FAINT, _AS_ITALICS = 2, 3  # pyte knows no faint text, and nothing here is in italics


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What was seen, from the first line that scrolled away to the last that is not empty."""

    columns: int
    rows: int
    lines: tuple[str, ...]
    marked: tuple[str, ...]  # the same with styles as markup
    wrapped: tuple[str, ...]  # lines that the terminal had to break, as far as they fitted
    cursor_shown: bool
    cursor: tuple[int, int]  # column and row on the terminal, from 0
    output: str  # all that was written, as it came
    code: int | None = None  # the process's exit code, once it has ended

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class _Rendered(pyte.HistoryScreen):
    """Notes which lines were too long for it."""

    def __init__(self, columns: int, rows: int) -> None:
        self.too_long: list[str] = []
        self._drawing = False
        super().__init__(columns, rows, history=20_000, ratio=0.5)

    def draw(self, data: str) -> None:
        self._drawing = True
        super().draw(data)
        self._drawing = False

    def linefeed(self) -> None:
        if self._drawing:
            self.too_long.append(self.display[self.cursor.y])
        super().linefeed()

    def select_graphic_rendition(self, *attrs: int, **private: Any) -> None:
        super().select_graphic_rendition(*(_AS_ITALICS if attr == _FAINT else attr for attr in attrs), **private)


class Terminal:
    """A pseudo-terminal of a size, and at most one process on it at a time."""

    def __init__(self, columns: int, rows: int) -> None:
        self._rendered = _Rendered(columns, rows)
        self._stream = pyte.ByteStream(self._rendered)
        self._output = bytearray()
        self._process: subprocess.Popen[bytes] | None = None
        self._master, self._slave = os.openpty()
        self._set_size()

    @property
    def path(self) -> str:
        """The device, for a process that opens it by itself."""
        return os.ttyname(self._slave)

    def start(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, typed: bool = False
    ) -> None:
        """Its stdout and stderr are the terminal; its stdin, too, where something is `typed` for it."""
        self._process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=self._slave if typed else subprocess.DEVNULL,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=typed,
        )

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """As a person who drags the window's corner. Lines that become too long are cut off, not broken anew."""
        self._rendered.resize(rows, columns)
        self._set_size()

    def until(self, shown: str | Callable[[Screen], bool]) -> Screen:
        """Take what comes until a text stands somewhere, or a condition holds; the screen then."""
        holds = shown if callable(shown) else lambda screen: shown in screen.text
        deadline = time.monotonic() + PATIENCE_S
        while True:
            screen = self.screen()
            if holds(screen):
                return screen
            left = deadline - time.monotonic()
            assert left > 0, f"waited {PATIENCE_S} s for {shown!r}; the terminal shows:\n{screen.text}"
            self._take(min(left, 0.5))

    def end(self, wait: Callable[[], int] | None = None) -> Screen:
        """Take what comes until the process has ended; what was seen at last.

        `wait` waits for a process that something else started, and returns its exit code.
        """
        if wait is None:
            assert self._process is not None
            wait = self._process.wait
        deadline = time.monotonic() + PATIENCE_S
        with ThreadPoolExecutor(1) as executor:
            code = executor.submit(wait)
            while not code.done():
                assert time.monotonic() < deadline, f"it does not end; the terminal shows:\n{self.screen().text}"
                self._take(0.01)
        while self._take(0.0):
            pass
        return self.screen(code.result())

    def screen(self, code: int | None = None) -> Screen:
        rendered = self._rendered
        rows = [*rendered.history.top, *(rendered.buffer[row] for row in range(rendered.lines))]
        cells = [_cells(row, rendered.columns) for row in rows]
        while cells and not cells[-1]:
            cells.pop()
        return Screen(
            columns=rendered.columns,
            rows=rendered.lines,
            lines=tuple("".join(cell.data for cell in row) for row in cells),
            marked=tuple(map(_marked, cells)),
            wrapped=tuple(rendered.too_long),
            cursor_shown=not rendered.cursor.hidden,
            cursor=(rendered.cursor.x, rendered.cursor.y),
            output=self._output.decode("utf-8", "replace"),
            code=code,
        )

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _take(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], timeout_s)
        if not ready:
            return False
        data = os.read(self._master, 65_536)
        self._output += data
        if b"\x1b[c" in data or b"\x1b[0c" in data:  # fish asks what terminal this is, and waits for the answer
            self.type("\x1b[?62;c")
        self._stream.feed(data)
        return True

    def _set_size(self) -> None:
        size = struct.pack("HHHH", self._rendered.lines, self._rendered.columns, 0, 0)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, size)


@contextmanager
def terminal_of(columns: int, rows: int) -> Iterator[Terminal]:
    terminal = Terminal(columns, rows)
    try:
        yield terminal
    finally:
        terminal.close()


def screen_of(argv: Sequence[str], columns: int, rows: int, env: Mapping[str, str], cwd: Path | None = None) -> Screen:
    """What a process leaves on a terminal of that size. Its stdout and stderr are the terminal."""
    with terminal_of(columns, rows) as terminal:
        terminal.start(argv, env=env, cwd=cwd)
        return terminal.end()


def masked(text: str) -> str:
    """Without what differs in each run: its id, how long ago another was, the port of the model server."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:<port>", text)
    text = re.sub(r"\b[0-9a-f]{10}\b", "<run-id->", text)
    return re.sub(r"oldest \d+ (?:second|minute)s?", "oldest <age>", text)


def expect_screen(file: Path, shown: str) -> None:
    """Compare with a stored screen; with VIBE_REWRITE_SCREENS=1 store it instead."""
    shown = "".join(f"{line.rstrip()}\n" for line in shown.split("\n"))
    if os.environ.get(REWRITE):
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown)
        return
    stored = file.read_text() if file.exists() else ""
    assert shown == stored, f"{file.name} is different; if it is right, run with {REWRITE}=1 and look at `git diff`"


def _cells(row: Mapping[int, Char], columns: int) -> list[Char]:
    """Without the empty ones at its end."""
    cells = [row[column] for column in range(columns)]
    while cells and cells[-1].data == " ":
        cells.pop()
    return cells


def _marked(cells: Sequence[Char]) -> str:
    parts = []
    for name, group in groupby(cells, key=_style):
        text = "".join(cell.data for cell in group)
        blank = len(text) - len(text.lstrip(" "))
        parts.append(text if not name or not text.strip() else f"{text[:blank]}[{name}]{text[blank:]}[/]")
    return "".join(parts)


def _style(cell: Char) -> str:
    if cell.bold:
        return "title"
    if cell.italics:
        return "faint"
    return "" if cell.fg == "default" else _NAMES.get(cell.fg, cell.fg)
