"""What every part of the policy stands on: a walk over the tree that refuses each node it does not know."""

from __future__ import annotations

import ast
from typing import Any, Final, TypeVar

from RestrictedPython.transformer import RestrictingNodeTransformer

from . import problems
from .policy_scopes import How, Scopes
from .problems import MAX_PROBLEMS, ScriptProblem

_Node = TypeVar("_Node", bound=ast.AST)

#: Of all problems the first ones are told. Looking up the columns of a hundred thousand in one long line takes seconds.
_MAX_FOUND: Final = 50 * MAX_PROBLEMS

#: Nodes without contents that are allowed wherever the grammar has them. Anything else needs a visitor.
_LEAVES: Final = frozenset(
    {
        *(ast.Load, ast.Store, ast.Del),
        *(ast.And, ast.Or, ast.Not, ast.Invert, ast.UAdd, ast.USub),
        *(ast.Add, ast.Sub, ast.Mult, ast.MatMult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
        *(ast.LShift, ast.RShift, ast.BitOr, ast.BitXor, ast.BitAnd),
        *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn),
    }
)


def located(new: _Node, old: ast.AST) -> _Node:
    """`new`, and all within it, at the place of `old`: there errors and calls are reported."""
    for node in ast.walk(new):
        ast.copy_location(node, old)
    return new


class PolicyBase(RestrictingNodeTransformer):  # type: ignore[misc]
    """Deny by default: RestrictedPython calls `not_allowed` for every node that has no visit method."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines
        self._methods: dict[type, Any] = {}
        self.found: set[ScriptProblem] = set()
        self.scopes = Scopes(self.error)

    # ------------------------------------------------------------ problems

    @property
    def problems(self) -> tuple[ScriptProblem, ...]:
        return tuple(sorted(self.found)[:MAX_PROBLEMS])

    def error(self, node: ast.AST, info: str) -> None:
        if len(self.found) >= _MAX_FOUND:
            return
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        self.found.add(ScriptProblem(line, self.column(line, offset), info))

    def column(self, line: int, offset: int) -> int:
        """The column, from 1 and in characters, of an offset in UTF-8 bytes."""
        return problems.column(self.lines, line, offset)

    def not_allowed(self, node: ast.AST) -> None:
        kind = type(node).__name__
        self.error(node, problems.CONSTRUCTS.get(kind) or problems.unavailable(kind))

    # ------------------------------------------------------------ names

    def check_name(self, node: ast.AST, name: str | None, allow_magic_methods: bool = False) -> None:
        """Names with a leading underscore are the guards', and the interpreter's."""
        if name is not None and name[0] == "_" and name != "_":
            plain = name.strip("_")
            is_plain = plain.isidentifier() and not name.endswith("_")
            advice = f"call it `{plain}`" if is_plain else "use another name"
            self.error(node, problems.UNDERSCORE_NAME.format(name=name, advice=advice))

    def bind_name(self, node: ast.AST, name: str, how: How = "other") -> None:
        self.check_name(node, name)
        self.scopes.bind(node, name, how)

    # ------------------------------------------------------------ walking

    def visit(self, node: ast.AST) -> Any:
        kind = type(node)
        try:
            method = self._methods[kind]
        except KeyError:
            method = self._methods[kind] = getattr(self, f"visit_{kind.__name__}", self.generic_visit)
        return method(node)

    def node_contents_visit(self, node: _Node) -> _Node:
        """Visit all below `node`, in the order of its fields."""
        for field in node._fields:
            value = getattr(node, field, None)
            if type(value) is list:
                self.visit_all(value)
            elif isinstance(value, ast.AST) and type(value) not in _LEAVES:
                setattr(node, field, self.visit(value))
        return node

    def visit_all(self, nodes: list[Any]) -> None:
        """Visit each, in place; a statement may turn into several, or into none."""
        changed: list[Any] = []
        for node in nodes:
            if not isinstance(node, ast.AST) or type(node) in _LEAVES:
                changed.append(node)
                continue
            new = self.visit(node)
            if isinstance(new, list):
                changed.extend(new)
            elif new is not None:
                changed.append(new)
        nodes[:] = changed
