"""Loops without an end, and statements that nobody reaches."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from .findings import Findings
from .script import Script, within

_ENDS: Final = (ast.Return, ast.Raise, ast.Break, ast.Continue)


def check_flow(script: Script, findings: Findings) -> None:
    for loop in script.of(ast.While):
        _check_bound(script, findings, loop)
    for node in (script.tree, *script.nodes):
        for block in _blocks(node):
            _check_reached(findings, block)


def _check_bound(script: Script, findings: Findings, loop: ast.While) -> None:
    test = loop.test
    operands = [test.left, *test.comparators] if isinstance(test, ast.Compare) else [test]
    asks = [
        each
        for each in operands
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr == "remaining"
        and script.primitive(each.func.value) == "budget"
    ]
    others = [each for each in operands if each not in asks]
    if not asks or not all(isinstance(each, ast.Constant) for each in others):
        return
    if any(isinstance(node, ast.Break | ast.Return | ast.Raise) for node in within([*loop.body])):
        return
    message = (
        "without a budget, this loop never ends: budget.remaining() is infinite then; count its rounds, too: "
        "`while budget.remaining() > N and rounds < 10:`"
    )
    findings.report("unbounded-loop", test, message)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _check_reached(findings: Findings, block: list[ast.stmt]) -> None:
    for number, statement in enumerate(block[:-1]):
        if isinstance(statement, _ENDS):
            rest = block[number + 1 :]
            if not any(isinstance(node, ast.Yield | ast.YieldFrom) for node in within([*rest])):
                word = type(statement).__name__.lower()
                findings.report(
                    "unreachable", rest[0], f"this is never reached: `{word}` in line {statement.lineno} leaves"
                )
            return
