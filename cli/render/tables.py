"""Tables of plain text: as wide as the terminal, aligned, and one row a line whatever the cells hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .paint import Span, Style, paint
from .sanitize import cell_width, fit, one_line, pad

_GAP = 2
_NARROWEST = 8


class Column(NamedTuple):
    title: str
    right: bool = False
    shrinks: bool = False  # gives up width first where the terminal is narrow
    from_width: int = 0  # left out where the terminal is narrower
    at_least: int = 0  # columns, also where no cell needs them


class Cell(NamedTuple):
    text: str
    style: Style = Style.PLAIN


class Grid:
    """Columns that are as wide as the rows that they were made for need, and as the terminal allows."""

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], *, width: int | None, indent: int = 0
    ) -> None:
        self._count = len(columns)
        self._indent = " " * indent  # of rows, not of the lines that span columns
        self._kept = [at for at, column in enumerate(columns) if width is None or width >= column.from_width]
        self._columns = [columns[at] for at in self._kept]
        titles = [Cell(column.title, Style.TITLE) for column in columns]
        cells = [self._cells(row) for row in (titles, *rows)]
        self._widths = [
            max(column.at_least, *(cell_width(row[at].text) for row in cells))
            for at, column in enumerate(self._columns)
        ]
        self._lines = cells
        if width is not None:
            _shrink(self._widths, self._columns, width - indent)

    def lines(self, *, colour: bool) -> list[str]:
        """The line of titles, and one for each row."""
        return [self._indent + _line(row, self._columns, self._widths, colour=colour) for row in self._lines]

    def spanning(self, left: Sequence[Span], right: Sequence[str | Cell], *, colour: bool) -> str:
        """A line whose last cells stand in the last columns, and whose left side has the room of all others."""
        whole = len(self._kept)
        first = next((at for at, kept in enumerate(self._kept) if kept >= self._count - len(right)), whole)
        cells = self._cells([""] * (self._count - len(right)) + list(right))[first:]
        columns, widths = self._columns[first:], self._widths[first:]
        while cells and not cells[0].text:  # what is empty is room, too
            first += 1
            cells, columns, widths = cells[1:], columns[1:], widths[1:]
        room = len(self._indent) + sum(self._widths[:first]) + _GAP * max(first - 1, 0)
        text = "".join(paint(span.text, span.style, colour=colour) for span in fitted(left, room))
        return (text + " " * _GAP + _line(cells, columns, widths, colour=colour)).rstrip() if cells else text.rstrip()

    def _cells(self, row: Sequence[str | Cell]) -> list[Cell]:
        return [_as_cell(row[at]) for at in self._kept]


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], *, width: int | None, colour: bool = False
) -> str:
    """The table with its line of titles; every cell is cleaned. Ends without a newline."""
    return "\n".join(Grid(columns, rows, width=width).lines(colour=colour))


def fitted(spans: Sequence[Span], cells: int) -> list[Span]:
    """The spans in exactly so many columns: cut, or filled with spaces."""
    found: list[Span] = []
    for span in spans:
        text = fit(span.text, cells)
        found.append(Span(text, span.style))
        cells -= cell_width(text)
        if text != span.text or cells <= 0:
            break
    return [*found, Span(" " * max(cells, 0))]


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
