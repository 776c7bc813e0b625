"""What the commands that look print on stdout: a text, or one JSON document. `vibe list` imports no more than this."""

from __future__ import annotations

import sys

from .render.sanitize import escaped
from .render.stream import Output


def print_text(text: str) -> None:
    """Clean text with a newline, on stdout."""
    Output.of(sys.stdout).line(text)


def print_json(value: object) -> None:
    """The table of a listing command as one indented document."""
    import msgspec  # it takes 10 ms, and a text does without

    Output.of(sys.stdout).write(indented(msgspec.json.encode(value)))


def indented(document: bytes) -> bytes:
    """JSON for a person to read, and for a terminal to show."""
    import msgspec

    return escaped(msgspec.json.format(document, indent=2)) + b"\n"
