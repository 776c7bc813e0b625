"""Prompts with a name in braces that were meant to be f-strings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from .findings import Findings
from .scopes import Scope
from .script import Script

_FIELD: Final = re.compile(r"(?<!\{)\{([A-Za-z][A-Za-z0-9_]{0,99})(?:[.\[][^{}\n]{0,99})?\}(?!\})")
_NAMED: Final = frozenset({"prompt", "system", "context", "label"})


def check_texts(script: Script, findings: Findings) -> None:
    for call in script.calls:
        name = script.called(call)
        if name == "agent":
            texts = [*call.args[:1], *(each.value for each in call.keywords if each.arg in _NAMED)]
        elif name in ("log", "phase"):
            texts = [*call.args]
        else:
            continue
        for text in texts:
            for part, value in _constants(text):
                _check_text(script, findings, part, value)


def _constants(node: ast.expr) -> Iterator[tuple[ast.Constant, str]]:
    stack: list[ast.expr] = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            stack += [node.right, node.left]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node, node.value


def _check_text(script: Script, findings: Findings, node: ast.Constant, text: str) -> None:
    for found in _FIELD.finditer(text):
        name = found[1]
        if _is_variable(script.scopes[node], name):
            message = f'`{found[0][:60]}` stands here as it is, and `{name}` is a name of the script; write f"..."'
            findings.report("missing-f", node, message)
            return


def _is_variable(scope: Scope | None, name: str) -> bool:
    if name == "args":
        return True
    while scope is not None:
        if any(each.how in ("value", "loop", "parameter") for each in scope.bindings.get(name, ())):
            return True
        scope = scope.parent
    return False
