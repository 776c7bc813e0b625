"""The few styles of the terminal output, from the 16 colours that follow the reader's own theme, dark or light."""

from __future__ import annotations

from enum import StrEnum


class Style(StrEnum):
    PLAIN = ""
    TITLE = "1"
    FAINT = "2"
    GOOD = "32"
    STORED = "36"
    WARN = "33"
    BAD = "31"
    LIVE = "34"


def paint(text: str, style: Style, *, colour: bool) -> str:
    """The clean text in a style, or as it is where there is no colour."""
    if not colour or style is Style.PLAIN or not text:
        return text
    return f"\x1b[{style.value}m{text}\x1b[0m"
