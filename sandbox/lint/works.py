"""Which expressions make a step, and which of them start it."""

from __future__ import annotations

import ast
from typing import Final

from .script import Script, within

PRIMITIVES_OF_WORK: Final = frozenset({"agent", "tool", "merge", "parallel", "pipeline", "race"})
STEPS: Final = frozenset({"agent", "tool", "merge"})


class Works:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._generators: dict[ast.AST, bool] = {}

    def made(self, node: ast.AST | None) -> str:
        """What a call makes that has to be awaited, in words: `agent() step`. Empty where it makes none."""
        if not isinstance(node, ast.Call):
            return ""
        name = self._script.called(node)
        if name in PRIMITIVES_OF_WORK:
            return f"{name}() step" if name in STEPS else f"{name}()"
        function = self._script.function(node.func)
        if isinstance(function, ast.AsyncFunctionDef) and not self._yields(function):
            return f"{function.name}()"
        return ""

    def made_several(self, node: ast.AST | None) -> str:
        """As `made`, of what a list holds."""
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return next((made for item in items if (made := self.made(item))), "")
            case ast.ListComp(elt=item):
                return self.made(item)
        return ""

    def _yields(self, function: ast.AsyncFunctionDef) -> bool:
        known = self._generators.get(function)
        if known is None:
            known = any(isinstance(node, ast.Yield) for node in within(list(function.body)))
            self._generators[function] = known
        return known
