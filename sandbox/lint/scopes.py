"""The scopes of a script as Python sees them: which names each binds, and where they are read."""

from __future__ import annotations

import ast
from typing import Final, Literal, TypeAlias

How: TypeAlias = Literal["value", "loop", "function", "parameter", "import", "other"]
COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


class Binding:
    """One place where a name gets a value. `node` is where; `value` what it gets, where that is one expression."""

    __slots__ = ("how", "node", "value")

    def __init__(self, how: How, node: ast.AST, value: ast.AST | str | None = None) -> None:
        self.how = how
        self.node = node
        self.value = value


class Scope:
    """Of the module, a function or a comprehension: `node` is it."""

    __slots__ = ("bindings", "global_names", "node", "nonlocal_names", "parent", "uses")

    def __init__(self, node: ast.AST, parent: Scope | None) -> None:
        self.node = node
        self.parent = parent
        self.bindings: dict[str, list[Binding]] = {}
        self.uses: dict[str, list[ast.Name]] = {}  # of names that are bound here, wherever they are read
        self.global_names: set[str] = set()
        self.nonlocal_names: set[str] = set()

    @property
    def function(self) -> Scope:
        """The innermost one that is not a comprehension's."""
        scope = self
        while isinstance(scope.node, COMPREHENSIONS) and scope.parent is not None:
            scope = scope.parent
        return scope
