"""`meta`: read as a literal, never evaluated."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from . import problems

_MAX_DEPTH = 32


def read_meta(node: ast.expr, report: Callable[[ast.AST, str], None]) -> dict[str, Any]:
    """The value of a `meta = {...}`: JSON values only. What is none is reported where it stands, and left out."""
    if not isinstance(node, ast.Dict):
        report(node, problems.META_DICT)
        return {}
    try:
        value = _value(node, 0)
    except _NotLiteral as error:
        report(error.node, problems.META_LITERAL.format(why=error.why))
        return {}
    assert isinstance(value, dict)
    return value


class _NotLiteral(Exception):
    def __init__(self, node: ast.AST, why: str) -> None:
        super().__init__(why)
        self.node = node
        self.why = why


def _value(node: ast.expr, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise _NotLiteral(node, f"it is nested deeper than {_MAX_DEPTH}")
    match node:
        case ast.Constant(value=value):
            return _checked(node, value)
        case ast.Dict():
            return _dict(node, depth)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, depth + 1) for item in items]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float() as number)) if not (
            isinstance(number, bool)
        ):
            return _checked(node, -number if isinstance(node.op, ast.USub) else number)
        case ast.JoinedStr():
            raise _NotLiteral(node, "an f-string is computed")
        case ast.Name(id=name):
            raise _NotLiteral(node, f"the name `{name}` stands for a value of the running script")
        case ast.Call():
            raise _NotLiteral(node, "a call is computed")
        case ast.Set():
            raise _NotLiteral(node, "JSON has no sets; use a list")
        case ast.BinOp():
            raise _NotLiteral(node, "an operator is computed; write the value out")
        case ast.Starred():
            raise _NotLiteral(node, "`*` is computed; write the items out")
    raise _NotLiteral(node, "it is computed; write the value out")


def _dict(node: ast.Dict, depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            raise _NotLiteral(value, "`**` is computed; write the items out")
        name = _value(key, depth + 1)
        if not isinstance(name, str):
            raise _NotLiteral(key, "keys are strings")
        if name in result:
            raise _NotLiteral(key, f"the key {name!r} is there twice")
        result[name] = _value(value, depth + 1)
    return result


def _checked(node: ast.AST, value: object) -> Any:
    """`value`, if JSON can hold it."""
    match value:
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case float():
            raise _NotLiteral(node, "JSON has no number that large")
        case str():
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise _NotLiteral(node, "a lone surrogate is no text")
            return value
    raise _NotLiteral(node, f"JSON has no {type(value).__name__}")
