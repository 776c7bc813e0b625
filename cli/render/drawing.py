"""A picture that stays at the bottom of a terminal and is drawn over, while other lines scroll away above it.

The cursor stands below the picture and is never hidden: a process that is killed leaves a usable terminal. Only lines
that changed are sent, in one write, so that nothing flickers.

A terminal whose window became narrower has broken the lines of the picture, as most do, or cut them off. What they may
fill now is erased: then no piece of an old picture is left, at the cost of lines above it where they were cut off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

from .paint import Line, painted
from .sanitize import cell_width
from .stream import Output

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"  # shown as a whole, by terminals that know how
_CUT, _BREAK = "\x1b[?7l", "\x1b[?7h"  # what becomes of a line that is too long
_ERASE_REST, _ERASE_BELOW = "\x1b[K", "\x1b[J"


class Drawing:
    """A terminal that only this writes to while pictures are drawn. Raises OSError once it is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._file = stream.fileno()
        self._output = Output.of(stream)
        self._shown: list[str] = []
        self._widths: list[int] = []
        self._columns = 0

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        size = os.get_terminal_size(self._file)
        return size.columns or 80, size.lines or 24

    def draw(self, above: Sequence[Line], lines: Sequence[Line], *, columns: int) -> None:
        """Write `above`, which scrolls away, and the picture in place of the one before. `columns` are those of now."""
        texts = [painted(line, colour=True) for line in lines]
        if above or columns < self._columns:
            parts = [self._to_top(columns), _ERASE_BELOW]
            parts += [painted(line, colour=True) + "\n" for line in above]
            before: list[str] = []
        else:
            parts = [self._to_top(columns)]
            before = self._shown
        parts.append(_CUT)
        for at, text in enumerate(texts):
            same = at < len(before) and before[at] == text
            parts.append("\n" if same else f"{text}{_ERASE_REST}\n")
        parts += [_ERASE_BELOW if len(texts) < len(before) else "", _BREAK]
        self._shown = texts
        self._widths = [cell_width(painted(line, colour=False)) for line in lines]
        self._columns = columns
        self._output.write("".join([_BEGIN, *parts, _END]))

    def _to_top(self, columns: int) -> str:
        if not self._shown:
            return ""
        rows = sum(max(-(-width // columns), 1) for width in self._widths)
        return f"\r\x1b[{rows}A"
