"""A diff of two texts as lines for a person."""

from __future__ import annotations

from vibe_workflows.engine.text_diff import TextDiff

from .paint import Style, paint
from .sanitize import clean


def diff_lines(diff: TextDiff, *, colour: bool, indent: str = "  ") -> list[str]:
    """A diff as text, each line cleaned for itself, so that no line can pass for another's."""
    styles = {"+": Style.GOOD, "-": Style.BAD, "@": Style.FAINT}
    lines = [
        indent + paint(line[:1] + clean(line[1:]).replace("\n", " "), styles.get(line[:1], Style.PLAIN), colour=colour)
        for line in diff.lines
    ]
    return [*lines, f"{indent}... and more"] if diff.cut else lines
