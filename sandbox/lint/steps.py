"""Steps that are never started, used as if they were their results, started twice, or run before their fan-out."""

from __future__ import annotations

import ast
from typing import Final

from .findings import Findings
from .scopes import COMPREHENSIONS, Scope
from .script import FUNCTIONS, LOOPS, Script, within
from .works import PRIMITIVES_OF_WORK, Works

_FAN_OUTS: Final = ("parallel", "race")
#: Functions that can do nothing with a step.
_OF_VALUES: Final = frozenset(
    {"bool", "dict", "enumerate", "float", "int", "len", "log", "max", "min", "print", "sorted", "str", "sum"}
)


def check_steps(script: Script, works: Works, findings: Findings) -> None:
    rules = _StepRules(script, works, findings)
    for call in script.calls:
        if made := works.made(call):
            rules.check_made(call, made)
    for node in script.of(ast.Expr):
        if made := works.made_several(node.value):
            rules.not_awaited(
                node.value, f"these steps are made and never started: {made}; write `await parallel([...])`"
            )
    for scope in script.inner.values():
        rules.check_names(scope)
    for node in script.of(ast.BinOp):
        rules.check_copies(node)
    for call in script.calls:
        if script.called(call) in _FAN_OUTS and call.args:
            rules.check_awaited_elements(script.called(call), call.args[0])


class _StepRules:
    def __init__(self, script: Script, works: Works, findings: Findings) -> None:
        self._script = script
        self._works = works
        self._findings = findings

    def not_awaited(self, node: ast.AST, message: str) -> None:
        self._findings.report("not-awaited", node, message)

    # ------------------------------------------------------------ where a step is made

    def check_made(self, call: ast.Call, made: str) -> None:
        if isinstance(self._script.parents[call], ast.Expr):
            self.not_awaited(call, f"the {made} is made and never started; write `await` before it")
        elif used := self._used_as_value(call):
            self.not_awaited(call, f"the {made} is not awaited, and {used}; write (await ...)")

    def _used_as_value(self, node: ast.expr) -> str:
        """What is done with an expression that only a result can stand; empty where a step could stand there, too."""
        parent = self._script.parents[node]
        match parent:
            case ast.Subscript(value=value) if value is node:
                return "a step has no items"
            case ast.Attribute(value=value) if value is node:
                return "a step has no attributes"
            case ast.FormattedValue():
                return "its text is not its result"
            case ast.Compare(ops=[ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE(), *_]):
                return "a step cannot be compared"
            case ast.BinOp():
                return "a step cannot be computed with"
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if test is node:
                return "a step is always true"
            case ast.UnaryOp(op=ast.Not()):
                return "a step is always true"
            case ast.For(iter=iterated) | ast.AsyncFor(iter=iterated) | ast.comprehension(iter=iterated) if (
                iterated is node
            ):
                return "a step cannot be looped over"
            case ast.Call(func=ast.Name(id=name) as function) if name in _OF_VALUES and parent.func is not node:
                return f"{name}() needs its result" if not self._script.bindings(function) else ""
        return ""

    # ------------------------------------------------------------ names of steps

    def check_names(self, scope: Scope) -> None:
        for name, bindings in scope.bindings.items():
            uses = scope.uses.get(name, [])
            values = [each.value for each in bindings if each.how == "value" and isinstance(each.value, ast.expr)]
            if not uses and name not in scope.global_names:
                self._check_unused(name, values)
            if len(bindings) == 1 and len(values) == 1 and (made := self._works.made(values[0])):
                self._check_uses(name, made, values[0], uses)

    def _check_unused(self, name: str, values: list[ast.expr]) -> None:
        for value in values:
            if made := self._works.made(value):
                self.not_awaited(
                    value, f"the {made} is made, called `{name}`, and never started; write `await` before it"
                )
            elif self._works.made_several(value):
                message = f"these steps are made, called `{name}`, and never started; write `await parallel({name})`"
                self.not_awaited(value, message)

    def _check_uses(self, name: str, made: str, value: ast.expr, uses: list[ast.Name]) -> None:
        asked = [(use, self._used_as_value(use)) for use in uses]
        if uses and all(what for _, what in asked):
            use, what = asked[0]
            self.not_awaited(use, f"`{name}` is the {made} itself, not awaited in line {value.lineno}, and {what}")
            return
        starts = [use for use in uses if self._starts(use)]
        for number, use in enumerate(starts):
            if any(self._both_run(earlier, use) for earlier in starts[:number][-20:]):
                self._twice(use, f"`{name}` is one {made}, and was started already; make a new one")
            elif self._in_loop(use, value):
                self._twice(use, f"`{name}` is one {made}, made before the loop; make a new one in each round")

    def _twice(self, node: ast.AST, message: str) -> None:
        self._findings.report("started-twice", node, message)

    def _starts(self, use: ast.Name) -> bool:
        """Awaited, or an element of what a fan-out is given."""
        parent = self._script.parents[use]
        if isinstance(parent, ast.Await):
            return True
        if not isinstance(parent, ast.List | ast.Tuple | ast.ListComp | ast.GeneratorExp):
            return False
        if isinstance(parent, ast.ListComp | ast.GeneratorExp) and parent.elt is not use:
            return False
        call = self._script.parents[parent]
        return self._script.called(call) in _FAN_OUTS and isinstance(call, ast.Call) and parent in call.args

    def _both_run(self, first: ast.Name, second: ast.Name) -> bool:
        """Whether whoever comes to the second one came by the first one: nothing decides between them."""
        block = self._block(first)
        return block is not None and block == self._block(second)

    def _block(self, use: ast.Name) -> ast.AST | None:
        """The statement that holds the list of statements in which a use stands; None where something decides."""
        at: ast.AST = use
        for above in self._script.above(use):
            if isinstance(above, ast.IfExp | ast.BoolOp | ast.Try | ast.If | ast.While | ast.Match | ast.match_case):
                return None
            if isinstance(at, ast.stmt):
                return above
            if isinstance(above, (*FUNCTIONS, *COMPREHENSIONS)):
                return None
            at = above
        return None

    def _in_loop(self, use: ast.Name, value: ast.expr) -> bool:
        """Whether it is started in every round of a loop that does not make it."""
        for above in self._script.above(use):
            if isinstance(above, (*FUNCTIONS, ast.If, ast.IfExp, ast.BoolOp, ast.Try, ast.Match)):
                return False
            if isinstance(above, ast.For | ast.AsyncFor):
                inside = list(within([*above.body]))
                leaves = any(isinstance(node, ast.Break | ast.Return | ast.Raise) for node in inside)
                return not leaves and use in inside and value not in inside
            if isinstance(above, COMPREHENSIONS):
                first = above.generators[0]
                return not first.ifs and use not in ast.walk(first.iter)
            if isinstance(above, LOOPS):
                return False
        return False

    # ------------------------------------------------------------ copies, and results

    def check_copies(self, node: ast.BinOp) -> None:
        if not isinstance(node.op, ast.Mult):
            return
        for side in (node.left, node.right):
            if isinstance(side, ast.List | ast.Tuple) and (made := self._works.made_several(side)):
                message = f"this repeats one {made}, which starts once; write [agent(...) for _ in range(3)]"
                self._twice(node, message)

    def check_awaited_elements(self, name: str, given: ast.expr) -> None:
        elements: list[ast.expr] = []
        if isinstance(given, ast.List | ast.Tuple):
            elements = given.elts
        elif isinstance(given, ast.ListComp | ast.GeneratorExp):
            elements = [given.elt]
        elif isinstance(given, ast.Await):
            elements = [given]
        for element in elements:
            if isinstance(element, ast.Await) and self._script.called(element.value) in PRIMITIVES_OF_WORK:
                message = f"this runs before {name} begins, and hands over its result; leave `await` out"
                self._findings.report("await-in-fan-out", element, message)
