"""What an expression is worth, where its value stands in the source and nothing could have changed it."""

from __future__ import annotations

import ast
from typing import Any, Final

from .script import Script

_DEPTH: Final = 32
_PARTS: Final = 20_000
#: What a name can stand for and be no longer what it was.
_CHANGING: Final = (ast.Dict, ast.List, ast.ListComp, ast.DictComp)
#: Methods and functions that leave a list or a dict as it is.
_READING: Final = frozenset({"copy", "count", "get", "index", "items", "keys", "values"})


class NotLiteral(Exception):
    """Its value is computed."""


class Literals:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._left = _PARTS * 10  # of all: a name may stand for a large value, many times

    def value(self, node: ast.AST | None) -> Any:
        """Raises NotLiteral."""
        self._parts = _PARTS
        return self._value(node, 0)

    def text(self, node: ast.AST | None) -> str | None:
        try:
            value = self.value(node)
        except NotLiteral:
            return None
        return value if isinstance(value, str) else None

    def source(self, node: ast.AST | None) -> ast.AST | None:
        """The expression itself, or the one that its name stands for; the name where that may have been changed."""
        for _ in range(_DEPTH):
            binding = self._script.only_binding(node)
            if binding is None or binding.how != "value" or not isinstance(binding.value, ast.expr):
                return node
            if isinstance(node, ast.Name) and isinstance(binding.value, _CHANGING) and not self._untouched(node):
                return node
            node = binding.value
        return node

    def _value(self, node: ast.AST | None, depth: int) -> Any:
        self._parts -= 1
        self._left -= 1
        if depth > _DEPTH or self._parts < 0 or self._left < 0:
            raise NotLiteral
        match node:
            case ast.Constant(value=value):
                return value
            case ast.List(elts=items):
                return [self._value(item, depth + 1) for item in items]
            case ast.Tuple(elts=items):
                return tuple(self._value(item, depth + 1) for item in items)
            case ast.Dict(keys=keys, values=values):
                return {self._key(key): self._value(item, depth + 1) for key, item in zip(keys, values, strict=True)}
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.Name():
                return self._named(node, depth)
        raise NotLiteral

    def _key(self, node: ast.expr | None) -> Any:
        if not isinstance(node, ast.Constant):
            raise NotLiteral
        return node.value

    def _named(self, node: ast.Name, depth: int) -> Any:
        binding = self._script.only_binding(node)
        if binding is None or binding.how != "value":
            raise NotLiteral
        value = self._value(binding.value if isinstance(binding.value, ast.expr) else None, depth + 1)
        if isinstance(value, list | dict) and not self._untouched(node):
            raise NotLiteral
        return value

    def _untouched(self, node: ast.Name) -> bool:
        """Whether nothing in the script changes the list or dict that a name stands for."""
        home = self._script.home(node)
        return home is not None and all(self._reads(use) for use in home.uses.get(node.id, ()))

    def _reads(self, use: ast.Name) -> bool:
        parent = self._script.parents[use]
        match parent:
            case ast.Subscript(value=value, ctx=context) if value is use:
                return isinstance(context, ast.Load) and not isinstance(
                    self._script.parents[parent], ast.Subscript | ast.Attribute
                )
            case ast.Attribute(attr=name):
                return name in _READING
            case ast.AugAssign():
                return False
        return True


def item_of(node: ast.AST | None, name: str) -> ast.expr | None:
    """The value that a dict in the source has under a name."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == name:
                return value
    return None
