"""Text from a child, made fit for a terminal, a log and a trace."""

from __future__ import annotations

import re
from typing import Any

#: Control characters but tab and newline, what turns the direction of text, line separators, and lone surrogates.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

#: What is there and cannot be seen: with it a page says to a model what no person reads.
_HIDDEN = re.compile("[\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


def clean(text: str, limit: int) -> str:
    """`text` without control characters, cut to `limit` characters."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return _UNFIT.sub("", cut)


def clean_page(text: str, limit: int) -> str:
    """As `clean`, of a page of the web: line ends are newlines, and what cannot be seen goes, too."""
    return _HIDDEN.sub("", clean(text.replace("\r\n", "\n").replace("\r", "\n"), limit))


def clean_line(text: str, limit: int) -> str:
    """As `clean`, on one line."""
    return " ".join(clean(text, limit).split())


def clean_value(value: Any, limit: int) -> Any:
    """JSON with every string in it cleaned. Its depth is bounded by the wire."""
    match value:
        case str():
            return clean(value, limit)
        case list():
            return [clean_value(item, limit) for item in value]
        case dict():
            return {clean_line(key, 200): clean_value(item, limit) for key, item in value.items()}
        case _:
            return value
