"""Functions that are made in a loop, are called when it is over, and then see its last value only."""

from __future__ import annotations

import ast
from typing import Final, NamedTuple, TypeAlias

from .findings import Findings
from .scopes import COMPREHENSIONS, Scope
from .script import FUNCTIONS, Comprehension, Function, Script, within

_KEEPING: Final = frozenset({"append", "add", "insert", "setdefault", "appendleft"})
#: What they are given runs after they were called: when they are awaited.
_LATER: Final = frozenset({"parallel", "pipeline", "race"})
_LISTING: Final = frozenset({"dict", "list", "set", "sorted", "tuple"})
#: What stands between a function and the place where it is kept.
_PASSED_ON: Final = (ast.List, ast.Tuple, ast.Dict, ast.Call, ast.Expr, ast.AugAssign, ast.Assign, ast.If)

_Loop: TypeAlias = ast.For | ast.AsyncFor | Comprehension


class _Round(NamedTuple):
    """What each round of a loop has for itself. `leaves`: a round may be the last one before its time."""

    inside: frozenset[int]  # the ids of all nodes in it
    names: frozenset[str]
    scope: Scope
    leaves: bool


def check_captures(script: Script, findings: Findings) -> None:
    captures = _Captures(script)
    for function in script.of(*FUNCTIONS):
        loop = captures.kept_by(function)
        found = captures.captured(function, loop) if loop is not None else None
        if found is not None:
            name = found.id
            hint = f"lambda {name}={name}: ..." if isinstance(function, ast.Lambda) else f"{name}={name}"
            message = (
                f"when this function is called, the loop is over, and `{name}` has its last value; bind it: {hint}"
            )
            findings.report("loop-capture", found, message)


class _Captures:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._rounds: dict[ast.AST, _Round] = {}

    def kept_by(self, function: Function) -> _Loop | None:
        """The loop out of whose round the function gets, to be called when the loop is over."""
        at: ast.AST | None = function if isinstance(function, ast.Lambda) else self._kept_use(function)
        kept_in: ast.AST | None = None  # the list or dict that keeps it
        for above in self._script.above(at) if at is not None else ():
            if isinstance(above, COMPREHENSIONS):
                return above if not isinstance(at, ast.comprehension) and self._is_listed(above) else None
            if isinstance(above, ast.For | ast.AsyncFor):
                return above if kept_in is not None and self._outlives(kept_in, above) else None
            if not isinstance(above, _PASSED_ON):
                return None
            if isinstance(above, ast.Call) and kept_in is None:
                called = above.func
                if isinstance(called, ast.Attribute) and called.attr in _KEEPING:
                    kept_in = called.value
                elif called is at or self._script.called(above) not in _LATER:
                    return None  # called at once, or by who knows whom: `sorted` calls it at once
            elif isinstance(above, ast.AugAssign) and isinstance(above.op, ast.Add):
                kept_in = above.target
            elif isinstance(above, ast.Assign) and isinstance(above.targets[0], ast.Subscript):
                kept_in = above.targets[0].value
            at = above
        return None

    def _is_listed(self, comprehension: Comprehension) -> bool:
        """Whether all rounds take place before anything is done with what they gave: a generator's may not."""
        if not isinstance(comprehension, ast.GeneratorExp):
            return True
        taker = self._script.parents[comprehension]
        if self._script.called(taker) in _LATER:
            return True
        function = taker.func if isinstance(taker, ast.Call) else None
        return isinstance(function, ast.Name) and function.id in _LISTING and not self._script.bindings(function)

    def captured(self, function: Function, loop: _Loop) -> ast.Name | None:
        """A name of the loop's round that the function reads when it is called."""
        each = self._round(loop)
        body: list[ast.AST] = [function.body] if isinstance(function, ast.Lambda) else [*function.body]
        for node in within(body, functions=True):
            read = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
            if isinstance(node, ast.Name) and read and node.id in each.names and self._script.home(node) is each.scope:
                return node
        return None

    def _kept_use(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.Name | None:
        """Where a function of a loop is put away, as it is: its only use."""
        scope = self._script.scopes[function]
        uses = scope.uses.get(function.name, [])
        return uses[0] if len(uses) == 1 and len(scope.bindings.get(function.name, ())) == 1 else None

    def _outlives(self, container: ast.AST, loop: ast.For | ast.AsyncFor) -> bool:
        """Whether a list or dict is one for all rounds, which all take place; what is no plain name is in doubt."""
        each = self._round(loop)
        if not isinstance(container, ast.Name) or each.leaves:
            return False
        return not any(id(binding.node) in each.inside for binding in self._script.bindings(container))

    def _round(self, loop: _Loop) -> _Round:
        known = self._rounds.get(loop)
        if known is None:
            known = self._rounds[loop] = self._look_at(loop)
        return known

    def _look_at(self, loop: _Loop) -> _Round:
        if not isinstance(loop, ast.For | ast.AsyncFor):
            scope = self._script.inner[loop]
            return _Round(frozenset(), frozenset(scope.bindings), scope, leaves=False)
        nodes = [*within([*loop.body]), *ast.walk(loop.target)]
        inside = frozenset(map(id, nodes))
        scope = self._script.scopes[loop].function
        names = frozenset(
            name
            for name, bindings in scope.bindings.items()
            if any(each.how == "loop" and id(each.node) in inside for each in bindings)
            or all(each.how == "value" and id(each.node) in inside for each in bindings)
        )
        leaves = any(isinstance(node, ast.Break | ast.Return) for node in nodes)
        return _Round(inside, names, scope, leaves)
