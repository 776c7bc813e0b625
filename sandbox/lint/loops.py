"""Functions made in a loop that see its last value only, loops without an end, and statements that nobody reaches."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from .findings import Findings
from .scopes import COMPREHENSIONS
from .script import FUNCTIONS, Comprehension, Function, Script, within

_KEEPING: Final = frozenset({"append", "add", "insert", "setdefault", "appendleft"})
#: What they are given runs after they were called: when they are awaited.
_LATER: Final = frozenset({"parallel", "pipeline", "race"})
#: What stands between a function and the place where it is kept.
_PASSED_ON: Final = (ast.List, ast.Tuple, ast.Dict, ast.Call, ast.Expr, ast.AugAssign, ast.Assign, ast.If)
_ENDS: Final = (ast.Return, ast.Raise, ast.Break, ast.Continue)


def check_loops(script: Script, findings: Findings) -> None:
    for function in script.of(*FUNCTIONS):
        for loop in _kept_by(script, function):
            _check_capture(script, findings, function, loop)
    for loop in script.of(ast.While):
        _check_bound(script, findings, loop)
    for node in (script.tree, *script.nodes):
        for block in _blocks(node):
            _check_reached(findings, block)


# ---------------------------------------------------------------- captured names


def _kept_by(script: Script, function: Function) -> Iterator[ast.For | ast.AsyncFor | Comprehension]:
    """The loop out of whose round the function gets, to be called when the loop is over."""
    at: ast.AST = function
    kept_in: ast.AST | None = None  # the list or dict that keeps it
    if not isinstance(function, ast.Lambda):
        at_def = _kept_use(script, function)
        if at_def is None:
            return
        at = at_def
    for above in script.above(at):
        if isinstance(above, ast.Await) or (isinstance(above, FUNCTIONS) and above is not function):
            return
        if isinstance(above, COMPREHENSIONS):
            if not isinstance(at, ast.comprehension):
                yield above
            return
        if isinstance(above, ast.For | ast.AsyncFor):
            if kept_in is not None and not _leaves(above) and not _made_in(script, kept_in, above):
                yield above
            return
        if not isinstance(above, _PASSED_ON):
            return
        if isinstance(above, ast.Call) and kept_in is None:
            function_called = above.func
            if isinstance(function_called, ast.Attribute) and function_called.attr in _KEEPING:
                kept_in = function_called.value
            elif above.func is at or script.called(above) not in _LATER:
                return  # called at once, or by who knows whom: `sorted` calls it at once
        elif isinstance(above, ast.AugAssign) and isinstance(above.op, ast.Add):
            kept_in = above.target
        elif isinstance(above, ast.Assign) and isinstance(above.targets[0], ast.Subscript):
            kept_in = above.targets[0].value
        at = above


def _made_in(script: Script, container: ast.AST, loop: ast.For | ast.AsyncFor) -> bool:
    """Whether each round has a list or dict of its own; what is no plain name may be one."""
    if not isinstance(container, ast.Name):
        return True
    inside = {id(node) for node in within([*loop.body])}
    return any(id(binding.node) in inside for binding in script.bindings(container))


def _kept_use(script: Script, function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.Name | None:
    """Where a function of a loop is put away, as it is: its only use."""
    scope = script.scopes[function]
    uses = scope.uses.get(function.name, [])
    return uses[0] if len(uses) == 1 and len(scope.bindings.get(function.name, ())) == 1 else None


def _leaves(loop: ast.For | ast.AsyncFor) -> bool:
    return any(isinstance(node, ast.Break | ast.Return) for node in within([*loop.body]))


def _check_capture(
    script: Script, findings: Findings, function: Function, loop: ast.For | ast.AsyncFor | Comprehension
) -> None:
    bound = _bound_by(script, loop)
    body: list[ast.AST] = [function.body] if isinstance(function, ast.Lambda) else [*function.body]
    for node in within(body, functions=True):
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
            continue
        home = script.home(node)
        if home is not None and home is bound[1] and node.id in bound[0]:
            hint = f"lambda {node.id}={node.id}: ..." if isinstance(function, ast.Lambda) else f"{node.id}={node.id}"
            message = (
                f"when this function is called, the loop is over, and `{node.id}` has its last value; bind it: {hint}"
            )
            findings.report("loop-capture", node, message)
            return


def _bound_by(script: Script, loop: ast.For | ast.AsyncFor | Comprehension) -> tuple[set[str], object]:
    """The names that each round of a loop gives a value of its own, and their scope."""
    if isinstance(loop, ast.For | ast.AsyncFor):
        scope = script.scopes[loop].function
        inside = {id(node) for node in (*within([*loop.body]), *ast.walk(loop.target))}
        names = {
            name
            for name, bindings in scope.bindings.items()
            if all(each.how in ("value", "loop") and id(each.node) in inside for each in bindings)
        }
        return names, scope
    scope = script.inner[loop]
    return set(scope.bindings), scope


# ---------------------------------------------------------------- the flow


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
