"""Tables of plain text: as wide as the terminal, aligned, and one row a line whatever the cells hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .paint import Style, paint
from .sanitize import cell_width, fit, one_line, pad

_GAP = 2
_NARROWEST = 8


class Column(NamedTuple):
    title: str
    right: bool = False
    shrinks: bool = False  # gives up width first where the terminal is narrow


class Cell(NamedTuple):
    text: str
    style: Style = Style.PLAIN


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], *, width: int | None, colour: bool = False
) -> str:
    """The table with its line of titles; every cell is cleaned. Ends without a newline."""
    body = [[_as_cell(cell) for cell in row] for row in rows]
    titles = [Cell(column.title, Style.TITLE) for column in columns]
    widths = [max(cell_width(row[at].text) for row in (titles, *body)) for at in range(len(columns))]
    if width is not None:
        _shrink(widths, columns, width)
    return "\n".join(_line(row, columns, widths, colour=colour) for row in (titles, *body))


def _as_cell(cell: str | Cell) -> Cell:
    text, style = (cell, Style.PLAIN) if isinstance(cell, str) else (cell.text, cell.style)
    return Cell(one_line(text), style)


def _shrink(widths: list[int], columns: Sequence[Column], width: int) -> None:
    """Take from the widest column that may shrink until the row fits, or none has anything left to give."""
    over = sum(widths) + _GAP * (len(widths) - 1) - width
    while over > 0:
        able = [at for at, column in enumerate(columns) if column.shrinks and widths[at] > _NARROWEST]
        if not able:
            return
        widest = max(able, key=lambda at: widths[at])
        widths[widest] -= 1
        over -= 1


def _line(row: Sequence[Cell], columns: Sequence[Column], widths: Sequence[int], *, colour: bool) -> str:
    parts: list[str] = []
    for at, (cell, column) in enumerate(zip(row, columns, strict=True)):
        text = fit(cell.text, widths[at])
        if column.right or at < len(columns) - 1:
            text = pad(text, widths[at], right=column.right)
        parts.append(paint(text, cell.style, colour=colour))
    return (" " * _GAP).join(parts).rstrip()
