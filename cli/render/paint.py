"""The few styles of the terminal output, from the 16 colours that follow the reader's own theme, dark or light.

No style is needed to understand a line: marks and words tell the same. Blue is hard to read on black in many themes,
yellow on white in some, and faint text in others: so blue is not used, yellow has no more than a mark or a word, and
faint text is what can be missed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Style(StrEnum):
    PLAIN = ""
    TITLE = "1"
    FAINT = "2"
    GOOD = "32"
    STORED = "36"
    WARN = "33"
    BAD = "31"
    LIVE = "35"


class Span(NamedTuple):
    """A piece of a line, clean and in one style."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]


def painted(line: Line, *, colour: bool) -> str:
    """One line, without spaces at its end."""
    spans = list(line)
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans:
        spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].style)
    return "".join(paint(span.text, span.style, colour=colour) for span in spans)


def paint(text: str, style: Style, *, colour: bool) -> str:
    """The clean text in a style, or as it is where there is no colour."""
    if not colour or style is Style.PLAIN or not text:
        return text
    return f"\x1b[{style.value}m{text}\x1b[0m"
