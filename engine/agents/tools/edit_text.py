"""Replaces a piece of a text that has to be given exactly, and says what is wrong where it is not found once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from ...errors import ToolFailed

_NAMED_LINES = 10
_COUNTED = 1_000
_TELLING_CHARS = 10  # a shorter `new` may well be there for another reason
_COMPARED_CHARS = 256 * 1024  # lines are compared one by one, so that only is done where it is quick
_COMPARED_LINES = 100
_NUMBERED = re.compile(r"[0-9]+\t")


class Replaced(Struct, frozen=True, kw_only=True):
    text: str
    count: int
    line: int  # of the first replacement, from 1
    added: int  # lines of what came in, at each place
    removed: int


def replace_text(shown: str, text: str, old: str, new: str, *, everywhere: bool) -> Replaced:
    """Raises ToolFailed unless `old` stands in `text` once, or at least once where it is to be replaced `everywhere`.

    In a text whose lines all end in CRLF the line ends of both are taken as such: no tool shows a carriage return.
    """
    if not old:
        raise ToolFailed(f"{shown}: `old` is empty; give the text to replace, or use write_file for a whole file")
    if has_crlf(text):
        old, new = _as_crlf(old), _as_crlf(new)
    if old == new:
        raise ToolFailed(f"{shown}: `old` and `new` are the same, so there is nothing to change")
    lines = _lines_of(text, old)
    if not lines:
        raise ToolFailed(f"{shown}: `old` is not in the file{_hint(text, old, new)}")
    if len(lines) > 1 and not everywhere:
        raise ToolFailed(
            f"{shown}: `old` is there {_times(len(lines))} ({_named(lines)}); give more of the lines around it, so "
            "that it is there once, or set `all` to replace each"
        )
    return Replaced(
        text=text.replace(old, new),
        count=text.count(old),
        line=lines[0],
        added=_line_count(new),
        removed=_line_count(old),
    )


def has_crlf(text: str) -> bool:
    """Whether all its lines end in CRLF."""
    return "\r\n" in text and text.count("\n") == text.count("\r\n")


def _as_crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _lines_of(text: str, piece: str) -> list[int]:
    """The line of each place where `piece` stands, overlapping ones too, as far as they are counted."""
    found: list[int] = []
    at = text.find(piece)
    line, counted = 1, 0
    while at >= 0 and len(found) <= _COUNTED:
        line += text.count("\n", counted, at)
        counted = at
        found.append(line)
        at = text.find(piece, at + 1)
    return found


def _times(count: int) -> str:
    return f"{count:,} times" if count <= _COUNTED else f"more than {_COUNTED:,} times"


def _named(lines: Sequence[int]) -> str:
    different = list(dict.fromkeys(lines))
    more = ", ..." if len(different) > _NAMED_LINES else ""
    named = ", ".join(f"{line:,}" for line in different[:_NAMED_LINES])
    return f"{'line' if len(different) == 1 else 'lines'} {named}{more}"


def _line_count(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n") and bool(text))


def _hint(text: str, old: str, new: str) -> str:
    """What may have gone wrong."""
    lines = old.splitlines()
    if all(_NUMBERED.match(line) for line in lines):
        bare = "\n".join(_NUMBERED.sub("", line, count=1) for line in lines)
        if _lines_of(text, bare):
            return "; leave out the line numbers that read_file puts in front"
    at = _spaced_otherwise(text, lines)
    if at:
        return f"; with other whitespace it is at line {at:,}: give it exactly as it stands there"
    if len(new.strip()) >= _TELLING_CHARS and (there := _lines_of(text, new)):
        return f"; but `new` is, at line {there[0]:,}: it may have been changed already"
    return "; read_file shows what is there, and `old` has to be given exactly"


def _spaced_otherwise(text: str, wanted: Sequence[str]) -> int:
    """The first line from which the text has the same words in each line; 0 for none.

    Blank lines at the ends are passed over.
    """
    if len(text) > _COMPARED_CHARS or len(wanted) > _COMPARED_LINES:
        return 0
    squeezed = [" ".join(line.split()) for line in wanted]
    while squeezed and not squeezed[-1]:
        squeezed.pop()
    while squeezed and not squeezed[0]:
        squeezed.pop(0)
    if not squeezed:
        return 0
    held = [" ".join(line.split()) for line in text.split("\n")]
    for at in range(len(held) - len(squeezed) + 1):
        if held[at] == squeezed[0] and held[at : at + len(squeezed)] == squeezed:
            return at + 1
    if len(squeezed) == 1:
        return next((number for number, line in enumerate(held, 1) if squeezed[0] in line), 0)
    return 0
