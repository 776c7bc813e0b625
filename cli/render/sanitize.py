"""Text from scripts, models and tools, made safe for a terminal.

Removed: escape sequences with their payload, control characters but newline and tab, the marks that reorder or hide
text, and surrogates. So the text can neither steer a terminal nor show as something that it is not.
"""

from __future__ import annotations

import re
import unicodedata

#: CSI; OSC, DCS, SOS, PM and APC with their payload up to the terminator; other two-character escapes.
_ESCAPE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)?"
    "|\x1b[ -/]*[0-~]?"
)
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_BREAK = re.compile("\r\n?|\u2028|\u2029|\x85")
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_ELLIPSIS = "…"
_WORD = re.compile(" *(?:`[^`]*`|[^ `])+ *$| *(?:`[^`]*`|[^ `]|`)+")


def clean(text: str) -> str:
    """`text` with newlines and tabs, and nothing else that a terminal obeys."""
    if _SUSPECT.search(text) is None:
        return text
    text = _ESCAPE.sub("", _BREAK.sub("\n", text))
    return _SURROGATE.sub("\ufffd", _HIDDEN.sub("", text))


def escaped(document: bytes) -> bytes:
    """The same JSON, in which whatever a terminal would obey is written as an escape."""
    if document.isascii() and b"\x7f" not in document:
        return document  # JSON has no other control characters of ASCII in it
    import json  # 3 ms, and hardly any text needs it

    return _SUSPECT.sub(lambda found: json.dumps(found[0])[1:-1], document.decode()).encode()


def one_line(text: str, cells: int | None = None) -> str:
    """`clean(text)` on one line, runs of white space as one space, cut to `cells` columns of a terminal."""
    line = " ".join(clean(text).split())
    return line if cells is None else fit(line, cells)


def cell_width(text: str) -> int:
    """Columns that a terminal needs for one line of clean text."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def fit(line: str, cells: int) -> str:
    """The line, or its beginning and an ellipsis, in at most `cells` columns."""
    if cell_width(line) <= cells:
        return line
    if cells < 1:
        return ""
    kept: list[str] = []
    left = cells - 1
    for char in line:
        left -= _cells(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept).rstrip() + _ELLIPSIS


def folded(line: str, cells: int, *, indent: int = 0) -> list[str]:
    """The line, broken at spaces where it is wider; what follows is indented, and by what it began with.

    A longer word stays whole, and so does a `command in backticks`, which a person may want to copy.
    """
    if cell_width(line) <= cells:
        return [line]
    start = line[: len(line) - len(line.lstrip(" "))]
    lines: list[str] = []
    kept = ""
    for word in _WORD.findall(line):
        if kept.strip() and cell_width(kept + word) > cells:
            lines.append(kept)
            kept = start + " " * indent + word.lstrip(" ")
        else:
            kept += word
    return [*lines, kept]


def pad(line: str, cells: int, *, right: bool = False) -> str:
    """The line filled with spaces to `cells` columns; on its left side where it is to stand on the right."""
    space = " " * (cells - cell_width(line))
    return space + line if right else line + space


def _cells(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
