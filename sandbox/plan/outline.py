"""Reads the plan of a script from its source. Nothing is executed; for the locked worker only, as all parsing.

The plan is what the source spells out: primitives that are called by their names, and functions of the script that are
called by theirs, expanded where they are called. What is handed around under other names is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from . import calls
from .nodes import (
    AGENT,
    BUDGET,
    CALL,
    CONDITION,
    LOOP,
    MERGE,
    OTHERWISE,
    PARALLEL,
    PHASE,
    PIPELINE,
    RACE,
    RESCUE,
    STAGE,
    TOOL,
    Counter,
    Node,
    TooLarge,
    short,
    source_of,
)

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
_MOST_DEPTH = 30


def read_plan(source: str) -> list[Node]:
    """The nodes of a script's plan, in the order of its text. Raises ValueError where it has none that can be read."""
    try:
        tree = ast.parse(source.removeprefix("\ufeff"))
    except (SyntaxError, MemoryError, RecursionError, OverflowError) as error:
        raise ValueError(f"the script cannot be read: {type(error).__name__}") from None
    functions = {node.name: node for node in tree.body if isinstance(node, _FUNCTIONS)}
    main = functions.get("main")
    body = main.body if main is not None else [node for node in tree.body if not isinstance(node, _FUNCTIONS)]
    try:
        return _Reader(functions, calls.Texts(tree)).block(body)
    except TooLarge:
        raise ValueError("the plan has too many steps to be drawn") from None


class _Reader:
    """`names` maps functions of the script that are in sight; `within` are those that are being expanded."""

    def __init__(self, names: dict[str, ast.FunctionDef | ast.AsyncFunctionDef], texts: calls.Texts) -> None:
        self._names = dict(names)
        self._texts = texts
        self._within: list[str] = []
        self._made = Counter()

    def block(self, statements: list[ast.stmt]) -> list[Node]:
        """Nodes of statements in a row: what follows a `phase(...)` lies in it."""
        outer = self._names
        self._names = outer | {each.name: each for each in statements if isinstance(each, _FUNCTIONS)}
        found: list[Node] = []
        phase: Node | None = None
        for statement in statements:
            if isinstance(statement, _FUNCTIONS):
                continue
            for node in self._statement(statement):
                if node["kind"] == PHASE and "open" in node:
                    del node["open"]
                    phase = node
                    found.append(node)
                else:
                    (found if phase is None or node["kind"] == PHASE else phase["children"]).append(node)
        self._names = outer
        return found

    # ------------------------------------------------------------ statements

    def _statement(self, node: ast.stmt) -> Iterator[Node]:
        match node:
            case ast.For() | ast.AsyncFor():
                yield from self.expression(node.iter)
                title = f"for {source_of(node.target)} in {source_of(node.iter)}"
                yield from self._group(LOOP, title, node, self.block(node.body))
                yield from self.block(node.orelse)
            case ast.While():
                inside = [*self.expression(node.test), *self.block(node.body)]
                yield from self._group(LOOP, f"while {source_of(node.test)}", node, inside)
                yield from self.block(node.orelse)
            case ast.If():
                yield from self.expression(node.test)
                yield from self._group(CONDITION, f"if {source_of(node.test)}", node, self.block(node.body))
                yield from self._otherwise(node)
            case ast.With() | ast.AsyncWith():
                yield from self._with(node)
            case ast.Try():
                yield from self.block(node.body)
                for handler in node.handlers:
                    title = f"on {source_of(handler.type)}" if handler.type else "on any error"
                    yield from self._group(RESCUE, title, handler, self.block(handler.body))
                yield from self.block([*node.orelse, *node.finalbody])
            case ast.Match():
                yield from self.expression(node.subject)
                for case in node.cases:
                    title = f"case {source_of(case.pattern)} of {source_of(node.subject)}"
                    yield from self._group(CONDITION, title, case.pattern, self.block(case.body))
            case _:
                for child in ast.iter_child_nodes(node):
                    yield from self.expression(child)

    def _otherwise(self, node: ast.If) -> Iterator[Node]:
        match node.orelse:
            case [ast.If()]:
                yield from self._statement(node.orelse[0])
            case _:
                yield from self._group(OTHERWISE, "else", node, self.block(node.orelse))

    def _with(self, node: ast.With | ast.AsyncWith) -> Iterator[Node]:
        inside = self.block(node.body)
        for item in reversed(node.items):
            call = item.context_expr
            match call:
                case ast.Call(func=ast.Name(id="phase")):
                    inside = [self._made.node(PHASE, _title(call), call, _budget(call), inside)]
                case ast.Call(func=ast.Name(id="budget")):
                    inside = [self._made.node(BUDGET, f"within {calls.limits(call)}", call, children=inside)]
                case _:
                    inside = [*self.expression(call), *inside]
        yield from inside

    def _group(self, kind: str, title: str, at: ast.AST, inside: list[Node]) -> Iterator[Node]:
        """A node around others; without any it says nothing, and is left out."""
        if inside:
            yield self._made.node(kind, title, at, children=inside)

    # ------------------------------------------------------------ expressions

    def expression(self, node: ast.AST) -> Iterator[Node]:
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in _PRIMITIVES and name not in self._names:
                yield from _PRIMITIVES[name](self, node)
            case ast.Call(func=ast.Name(id=name)) if name in self._names:
                yield from self._arguments(node)
                yield from self._expanded(name, node)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                inside = [each for child in _elements(node) for each in self.expression(child)]
                yield from self.expression(node.generators[0].iter)
                yield from self._group(LOOP, _loops(node), node, inside)
            case ast.IfExp():
                yield from self.expression(node.test)
                yield from self._group(CONDITION, f"if {source_of(node.test)}", node, list(self.expression(node.body)))
                yield from self._group(OTHERWISE, "else", node, list(self.expression(node.orelse)))
            case _:
                for child in ast.iter_child_nodes(node):
                    yield from self.expression(child)

    def _arguments(self, call: ast.Call) -> Iterator[Node]:
        for each in [*call.args, *(keyword.value for keyword in call.keywords)]:
            yield from self.expression(each)

    def _expanded(self, name: str, at: ast.AST, *, kind: str = CALL) -> Iterator[Node]:
        """A function of the script, where it is called or named. One that calls itself is not followed again."""
        if name in self._within or len(self._within) >= _MOST_DEPTH:
            yield self._made.node(kind, f"{name}() again", at)
            return
        self._made.expand()
        self._within.append(name)
        inside = self.block(self._names[name].body)
        self._within.pop()
        if kind == CALL and len(inside) == 1:
            yield from inside  # its name would add nothing
        else:
            yield from self._group(kind, name, at, inside)

    def _branch(self, node: ast.expr) -> Iterator[Node]:
        """What an element of a fan-out, or a stage, runs: a call, a function by its name, a lambda."""
        match node:
            case ast.Name(id=name) if name in self._names:
                yield from self._expanded(name, node)
            case ast.Lambda():
                yield from self.expression(node.body)
            case ast.Starred():
                yield from self._branch(node.value)
            case _:
                yield from self.expression(node)

    # ------------------------------------------------------------ primitives

    def agent(self, call: ast.Call) -> Iterator[Node]:
        yield from self._arguments(call)
        node = self._made.node(AGENT, calls.text_of(calls.keyword(call, "label")), call, calls.agent_notes(call))
        prompt = self._texts.behind(calls.first(call) or calls.keyword(call, "prompt"))
        yield node | {"prompt": short(calls.text_of(prompt))}

    def tool(self, call: ast.Call) -> Iterator[Node]:
        yield from self._arguments(call)
        yield self._made.node(TOOL, calls.tool_title(call), call)

    def merge(self, call: ast.Call) -> Iterator[Node]:
        yield from self._arguments(call)
        yield self._made.node(MERGE, source_of(calls.first(call)), call)

    def phase(self, call: ast.Call) -> Iterator[Node]:
        yield self._made.node(PHASE, _title(call), call, _budget(call)) | {"open": True}

    def parallel(self, call: ast.Call) -> Iterator[Node]:
        yield from self._fan_out(PARALLEL, call)

    def race(self, call: ast.Call) -> Iterator[Node]:
        yield from self._fan_out(RACE, call)

    def _fan_out(self, kind: str, call: ast.Call) -> Iterator[Node]:
        steps = calls.first(call) or calls.keyword(call, "steps")
        title, inside = "", list[Node]()
        match steps:
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                yield from self.expression(steps.generators[0].iter)
                title, inside = _loops(steps), list(self._branch(steps.elt))
            case ast.List() | ast.Tuple():
                inside = [node for each in steps.elts for node in self._branch(each)]
            case None:
                pass
            case _:
                title, inside = source_of(steps), list(self.expression(steps))
        yield self._made.node(kind, title, call, calls.fan_out_notes(call), inside)

    def pipeline(self, call: ast.Call) -> Iterator[Node]:
        items, *stages = call.args or [ast.Constant(None)]
        yield from self.expression(items)
        inside = []
        for stage in stages:
            if isinstance(stage, ast.Name) and stage.id in self._names:
                inside += list(self._expanded(stage.id, stage, kind=STAGE)) or [self._made.node(STAGE, stage.id, stage)]
            else:
                title = "" if isinstance(stage, ast.Lambda) else source_of(stage)
                inside.append(self._made.node(STAGE, title, stage, children=list(self._branch(stage))))
        yield self._made.node(PIPELINE, f"for each of {source_of(items)}", call, calls.fan_out_notes(call), inside)


_PRIMITIVES: dict[str, Callable[[_Reader, ast.Call], Iterator[Node]]] = {
    "agent": _Reader.agent,
    "tool": _Reader.tool,
    "merge": _Reader.merge,
    "phase": _Reader.phase,
    "parallel": _Reader.parallel,
    "pipeline": _Reader.pipeline,
    "race": _Reader.race,
}


def _title(call: ast.Call) -> str:
    return calls.text_of(calls.first(call) or calls.keyword(call, "title"))


def _budget(call: ast.Call) -> list[str]:
    names = ("budget", "model")
    return [f"{name} {calls.text_of(value)}" for name in names if (value := calls.keyword(call, name)) is not None]


def _elements(node: _COMPREHENSIONS) -> Iterator[ast.expr]:
    yield from [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    for each in node.generators:
        yield from each.ifs
    yield from (each.iter for each in node.generators[1:])


def _loops(node: _COMPREHENSIONS) -> str:
    """`for x in xs if x`."""
    parts = []
    for each in node.generators:
        parts.append(f"for {source_of(each.target)} in {source_of(each.iter)}")
        parts += [f"if {source_of(test)}" for test in each.ifs]
    return " ".join(parts)
