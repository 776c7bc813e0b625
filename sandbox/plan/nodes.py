"""What a plan is made of. Plain dicts, since they travel as JSON."""

from __future__ import annotations

import ast
from typing import Any, Final, TypeAlias

#: kind, title, line, prompt (of an agent), notes (texts), children (nodes).
Node: TypeAlias = dict[str, Any]

PHASE: Final = "phase"
AGENT: Final = "agent"
TOOL: Final = "tool"
MERGE: Final = "merge"
PARALLEL: Final = "parallel"
PIPELINE: Final = "pipeline"
STAGE: Final = "stage"
RACE: Final = "race"
LOOP: Final = "loop"
CONDITION: Final = "if"
OTHERWISE: Final = "else"
RESCUE: Final = "except"
CALL: Final = "call"
BUDGET: Final = "budget"

MOST_NODES: Final = 500
_MOST_EXPANSIONS: Final = 2_000
_MOST_CHARS: Final = 160


class TooLarge(Exception):
    """The plan has more nodes than anybody reads."""


class Counter:
    """Makes nodes, up to a limit: a helper that is called in many places stands in each of them."""

    def __init__(self) -> None:
        self._made = 0
        self._expanded = 0

    def expand(self) -> None:
        """Count one function that is followed: functions that call each other twice are many without any node."""
        self._expanded += 1
        if self._expanded > _MOST_EXPANSIONS:
            raise TooLarge

    def node(
        self, kind: str, title: str, at: ast.AST, notes: list[str] | None = None, children: list[Node] | None = None
    ) -> Node:
        self._made += 1
        if self._made > MOST_NODES:
            raise TooLarge
        return {
            "kind": kind,
            "title": short(title),
            "line": getattr(at, "lineno", 1),
            "prompt": "",
            "notes": notes or [],
            "children": children or [],
        }


def short(text: str) -> str:
    """On one line, and cut."""
    words = " ".join(text.split())
    return words if len(words) <= _MOST_CHARS else words[: _MOST_CHARS - 1].rstrip() + "…"


def source_of(node: ast.AST | None) -> str:
    """An expression as a person would write it."""
    if node is None:
        return ""
    text = ast.unparse(node)
    return short(text[1:-1] if isinstance(node, ast.Tuple) and text.startswith("(") else text)
