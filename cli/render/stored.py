"""What the store holds, on its way to a person or a program: one reading of it for text and for JSON."""

from __future__ import annotations

import json

from .paint import paint
from .sanitize import one_line
from .words import status_style, status_word


def parsed(text: str) -> object:
    """A text as the JSON that it is, or as it stands: what a model wrote may be anything."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def step_line(
    name: str, *, label: str, phase: str, status: str, stored: bool, model: str, line: int, colour: bool
) -> str:
    """The first line about a step: which one it is, how it came by its answer, and where the script asked for it."""
    facts = [
        name,
        one_line(label),
        one_line(phase),
        paint("from the store" if stored else status_word(status), status_style(status, stored=stored), colour=colour),
        one_line(model),
        f"line {line}" if line else "",
    ]
    return "  ".join(fact for fact in facts if fact)
