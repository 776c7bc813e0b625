"""Findings and facts of one script, with their places; bounded, whatever a stranger wrote."""

from __future__ import annotations

import ast
from typing import Any, Final, NamedTuple

from ..problems import column

MAX_FINDINGS: Final = 200
MAX_FACTS: Final = 1_000
_MESSAGE_CHARS: Final = 500


class Place(NamedTuple):
    """Lines and columns count from 1, columns in characters; the end is the first column that does not belong to it."""

    line: int
    column: int
    end_line: int
    end_column: int


class Finding(NamedTuple):
    place: Place
    code: str
    message: str


class Fact(NamedTuple):
    """What only the engine's side can judge: `kind` says what `value` is."""

    place: Place
    kind: str
    value: Any


class Findings:
    """What the rules report. More than there may be is left out."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._found: dict[Finding, None] = {}
        self._facts: list[Fact] = []

    def report(self, code: str, node: ast.AST, message: str) -> None:
        if len(self._found) < MAX_FINDINGS:
            self._found[Finding(self.place(node), code, _shortened(message))] = None

    def fact(self, kind: str, node: ast.AST, value: Any) -> None:
        if len(self._facts) < MAX_FACTS:
            self._facts.append(Fact(self.place(node), kind, value))

    def place(self, node: ast.AST) -> Place:
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        end_line, end_offset = getattr(node, "end_lineno", None), getattr(node, "end_col_offset", None)
        end_line, end_offset = end_line or line, offset if end_offset is None else end_offset
        return Place(line, column(self._lines, line, offset), end_line, column(self._lines, end_line, end_offset))

    @property
    def found(self) -> list[Finding]:
        return sorted(self._found)

    @property
    def facts(self) -> list[Fact]:
        return self._facts


def _shortened(message: str) -> str:
    return message if len(message) <= _MESSAGE_CHARS else f"{message[: _MESSAGE_CHARS - 1]}…"
