"""What a call of a primitive says of itself: its prompt or label, its model, tools and limits."""

from __future__ import annotations

import ast

from .nodes import short, source_of

#: Options of `agent` that a reader of the plan wants to see, in this order.
_TOLD = (
    "model",
    "profile",
    "tools",
    "schema",
    "files",
    "isolation",
    "merge",
    "gate",
    "effort",
    "budget",
    "cache",
    "ttl",
)


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def first(call: ast.Call) -> ast.expr | None:
    return call.args[0] if call.args and not isinstance(call.args[0], ast.Starred) else None


def text_of(node: ast.AST | None) -> str:
    """A text as its template: `Review {path}`; of what is no literal its source."""
    match node:
        case None:
            return ""
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(map(_part, values))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{text_of(left)}{text_of(right)}" if _is_text(left) else "{" + source_of(node) + "}"
        case _:
            return "{" + source_of(node) + "}"


def _part(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.FormattedValue(value=value):
            return "{" + source_of(value) + "}"
        case _:
            return "{…}"


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.JoinedStr() | ast.Constant(value=str()):
            return True
        case ast.BinOp(left=left, op=ast.Add()):
            return _is_text(left)
        case _:
            return False


class Texts:
    """What stands behind a name or a call where a prompt is due: a text of the script, or what a function returns."""

    def __init__(self, tree: ast.Module) -> None:
        self._returned = {node.name: _returned(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        self._named = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and _is_text(node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def behind(self, node: ast.expr | None) -> ast.expr | None:
        match node:
            case ast.Call(func=ast.Name(id=name)):
                return self._returned.get(name) or node
            case ast.Name(id=name):
                return self._named.get(name) or node
            case _:
                return node


def _returned(node: ast.FunctionDef) -> ast.expr | None:
    """The text that a function ends with, if it does."""
    match node.body[-1]:
        case ast.Return(value=value) if value is not None and _is_text(value):
            return value
        case _:
            return None


def agent_notes(call: ast.Call) -> list[str]:
    notes = []
    for name in _TOLD:
        value = keyword(call, name)
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            continue
        if name == "schema":
            notes.append(f"schema {value.id}" if isinstance(value, ast.Name) else "schema")
        elif name in ("tools", "gate", "files"):
            notes.append(f"{name} {_words(value, ', ' if name == 'tools' else ' ')}")
        elif name == "isolation" and isinstance(value, ast.Constant):
            notes.append(str(value.value))
        else:
            notes.append(f"{name} {_plain(value)}")
    return notes


def fan_out_notes(call: ast.Call) -> list[str]:
    names = ("limit", "on_error", "budget", "until")
    return [f"{name} {_plain(value)}" for name in names if (value := keyword(call, name)) is not None]


def tool_title(call: ast.Call) -> str:
    """`glob pattern=**/*.py`."""
    given = [f"{each.arg}={_plain(each.value)}" for each in call.keywords if each.arg]
    return " ".join([text_of(first(call)), *given])


def limits(call: ast.Call) -> str:
    """Of `budget(...)`."""
    given = [_plain(each) for each in call.args]
    return ", ".join(given + [f"{each.arg} {_plain(each.value)}" for each in call.keywords if each.arg])


def _words(node: ast.expr, between: str) -> str:
    if isinstance(node, ast.List | ast.Tuple):
        return between.join(_plain(each) for each in node.elts)
    return source_of(node)


def _plain(node: ast.expr) -> str:
    """A text without its quotes; anything else as it is written."""
    return short(text_of(node)) if _is_text(node) else source_of(node)
