"""The plan of a workflow as a drawing: a tree of its phases, loops, fan-outs and steps. Pure.

A line a node, cut to the width: what it is, its label, in faint letters what it may use, and what it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .paint import Style, paint
from .sanitize import cell_width, fit, one_line

if TYPE_CHECKING:
    from vibe_workflows.sandbox.replies import PlanNode

_NARROWEST = 12
#: What each kind is called, and how it is painted.
_WORDS = {
    "agent": ("agent", Style.LIVE),
    "tool": ("tool", Style.STORED),
    "merge": ("merge", Style.STORED),
    "parallel": ("parallel", Style.GOOD),
    "pipeline": ("pipeline", Style.GOOD),
    "race": ("race", Style.GOOD),
    "stage": ("stage", Style.GOOD),
    "budget": ("budget", Style.WARN),
    "phase": ("", Style.TITLE),
    "loop": ("", Style.PLAIN),
    "if": ("", Style.PLAIN),
    "else": ("", Style.PLAIN),
    "except": ("", Style.PLAIN),
    "call": ("", Style.PLAIN),
}


def plan_lines(nodes: Sequence[PlanNode], *, width: int | None, colour: bool) -> list[str]:
    """The drawing; without a width no line is cut."""
    return list(_lines(nodes, "", width=width, colour=colour, top=True))


def _lines(nodes: Sequence[PlanNode], indent: str, *, width: int | None, colour: bool, top: bool) -> Iterator[str]:
    for at, node in enumerate(nodes):
        last = at == len(nodes) - 1
        branch, below = ("", "") if top else ("└─ ", "   ") if last else ("├─ ", "│  ")
        room = None if width is None else max(width - cell_width(indent + branch), _NARROWEST)
        yield paint(indent + branch, Style.FAINT, colour=colour) + _line(node, room, colour=colour)
        yield from _lines(node.children, indent + below, width=width, colour=colour, top=False)


def _line(node: PlanNode, room: int | None, *, colour: bool) -> str:
    word, style = _WORDS.get(node.kind, (one_line(node.kind), Style.PLAIN))
    pieces = [(word, style), (one_line(node.title), Style.TITLE if node.kind == "phase" else Style.PLAIN)]
    if node.notes:
        pieces.append((f"[{', '.join(map(one_line, node.notes))}]", Style.FAINT))
    if node.prompt:
        pieces.append((one_line(node.prompt), Style.FAINT))
    parts: list[str] = []
    for text, how in pieces:
        if not text:
            continue
        if room is not None:
            if room < 1:
                break
            text = fit(text, room)
            room -= cell_width(text) + 2
        parts.append(paint(text, how, colour=colour))
    return "  ".join(parts)
