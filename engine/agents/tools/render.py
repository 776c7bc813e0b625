"""The text form of tool results for models: compact, capped, and a pure function of the result's data.

Pure, because the digest of the data stands for all that the model saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

MAX_TEXT_BYTES = 32 * 1024
MAX_LINE_CHARS = 1_000


def clip(line: str, limit: int = MAX_LINE_CHARS) -> str:
    """`line`, or its start with a mark that the rest was left out."""
    return line if len(line) <= limit else f"{line[:limit]} [...]"


def capped(lines: Sequence[str], note: Callable[[int], str], *, more: bool = False) -> str:
    """The lines as one text of at most MAX_TEXT_BYTES.

    Where some are left out, or there were `more` to begin with, `note(shown)` tells the model how to get the rest.
    """
    whole = "\n".join([*lines, note(len(lines))] if more else lines)
    if text_bytes(whole) <= MAX_TEXT_BYTES:
        return whole
    used = 0
    for shown, line in enumerate(lines):
        used += text_bytes(line) + 1
        if used > MAX_TEXT_BYTES:
            return "\n".join([*lines[:shown], note(shown)])
    return whole


def text_bytes(text: str) -> int:
    """Of its UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
