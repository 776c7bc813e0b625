"""A script as the rules look at it: its tree, who is whose parent, and which name means what."""
# ruff: noqa: N815 - the names of visit methods are the names of nodes

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from ..names import PRIMITIVES
from .scopes import Binding, How, Scope

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp

FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)
#: One object stands for all of a kind, wherever it occurs.
_SHARED: Final = (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)
_SCRIPT_MODULE: Final = "vibe_workflows.script"


class Script:
    """Everything is looked up by identity of nodes; the tree is never changed."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents: dict[ast.AST, ast.AST] = {}
        self.scopes: dict[ast.AST, Scope] = {}  # the scope in which a node stands
        self.inner: dict[ast.AST, Scope] = {}  # the scope that a node makes
        self.calls: list[ast.Call] = []
        self.names: list[ast.Name] = []
        self.nodes: list[ast.AST] = []
        _Builder(self).build()
        for name in self.names:
            home = self.home(name)
            if home is not None and isinstance(name.ctx, ast.Load):
                home.uses.setdefault(name.id, []).append(name)

    # ------------------------------------------------------------ names

    def home(self, name: ast.Name) -> Scope | None:
        """The scope that binds it; None where the script does not."""
        scope: Scope | None = self.scopes[name]
        while scope is not None:
            if name.id in scope.global_names:
                scope = self.inner[self.tree]
                return scope if name.id in scope.bindings else None
            if name.id in scope.bindings:
                return scope
            scope = scope.parent
        return None

    def bindings(self, name: ast.Name) -> list[Binding]:
        home = self.home(name)
        return [] if home is None else home.bindings[name.id]

    def only_binding(self, node: ast.AST | None) -> Binding | None:
        """The one place where the name gets its value, if there is one only."""
        found = self.bindings(node) if isinstance(node, ast.Name) else []
        return found[0] if len(found) == 1 else None

    def primitive(self, node: ast.AST) -> str:
        """The primitive that an expression names; empty where it names none."""
        if not isinstance(node, ast.Name):
            return ""
        found = self.bindings(node)
        if not found:
            return node.id if node.id in PRIMITIVES else ""
        path = found[0].value
        if any(each.how != "import" or each.value != path for each in found) or not isinstance(path, str):
            return ""
        if path.rpartition(".")[0] != _SCRIPT_MODULE:
            return ""
        name = path.rpartition(".")[2]
        return name if name in PRIMITIVES else ""

    def called(self, node: ast.AST | None) -> str:
        """The primitive that a call calls."""
        return self.primitive(node.func) if isinstance(node, ast.Call) else ""

    def function(self, node: ast.AST | None) -> Function | None:
        """The script's own function that an expression stands for, if it can be no other."""
        if isinstance(node, ast.Lambda):
            return node
        binding = self.only_binding(node)
        if binding is None or binding.how not in ("function", "value") or not isinstance(binding.value, FUNCTIONS):
            return None
        decorated = getattr(binding.value, "decorator_list", None)
        return None if decorated else binding.value

    # ------------------------------------------------------------ places

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """What encloses it, from inside to outside."""
        at = self.parents.get(node)
        while at is not None:
            yield at
            at = self.parents.get(at)

    def statement(self, node: ast.AST) -> ast.stmt | None:
        for each in (node, *self.above(node)):
            if isinstance(each, ast.stmt):
                return each
        return None

    def of(self, *kinds: type[ast.AST]) -> Iterator[Any]:
        return (node for node in self.nodes if isinstance(node, kinds))


def within(nodes: Sequence[ast.AST], *, functions: bool = False) -> Iterator[ast.AST]:
    """All below, without what is inside of functions unless that is asked for."""
    stack: list[ast.AST] = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        if functions or not isinstance(node, FUNCTIONS):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


class _Builder(ast.NodeVisitor):
    """Walks once, in the scopes that Python would be in."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._scope = Scope(script.tree, None)
        self._of_others: list[tuple[str, Scope, Binding]] = []
        script.inner[script.tree] = self._scope

    def build(self) -> None:
        for node in self._script.tree.body:
            self._below(self._script.tree, node)
        self._bind_in_others()

    def _below(self, parent: ast.AST, node: ast.AST | None) -> None:
        if node is None:
            return
        script = self._script
        script.parents[node] = parent
        script.scopes[node] = self._scope
        script.nodes.append(node)
        self.visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, _SHARED):
                self._below(node, child)

    # ------------------------------------------------------------ names

    def _bind(self, name: str, how: How, node: ast.AST, value: ast.AST | str | None = None) -> None:
        scope = self._scope
        if name in scope.global_names:
            scope = self._script.inner[self._script.tree]
        elif name in scope.nonlocal_names:
            self._of_others.append((name, scope, Binding(how, node, value)))
            return
        scope.bindings.setdefault(name, []).append(Binding(how, node, value))

    def _bind_in_others(self) -> None:
        """Names that a function declares nonlocal: whose they are is known when all are bound."""
        for name, inner, binding in self._of_others:
            scope = inner.parent
            while scope is not None and name not in scope.bindings:
                scope = scope.parent
            (scope or inner).bindings.setdefault(name, []).append(binding)

    def visit_Name(self, node: ast.Name) -> None:
        self._script.names.append(node)
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id, *self._meaning(node))

    def _meaning(self, node: ast.Name) -> tuple[How, ast.AST, ast.AST | None]:
        parent = self._script.parents[node]
        match parent:
            case ast.Assign(targets=[ast.Name()]) | ast.AnnAssign():
                return "value", node, parent.value
            case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target) if (
                target is node
            ):
                return "loop", node, parent.iter
        for each in self._script.above(node):
            if isinstance(each, ast.For | ast.AsyncFor | ast.comprehension):
                return "loop", node, None
            if isinstance(each, ast.stmt):
                break
        return "other", node, None

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._below(node, node.value)
        scope, self._scope = self._scope, self._scope.function
        self._script.parents[node.target] = node
        self._script.scopes[node.target] = self._scope
        self._bind(node.target.id, "other", node.target)
        self._scope = scope

    def visit_Call(self, node: ast.Call) -> None:
        self._script.calls.append(node)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self._scope.function.global_names.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self._scope.function.nonlocal_names.update(node.names)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self._bind(name, "import", node, alias.name if alias.asname else name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name, "import", node, f"{node.module}.{alias.name}")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name is not None:
            self._bind(node.name, "other", node)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name is not None:
            self._bind(node.name, "other", node)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest is not None:
            self._bind(node.rest, "other", node)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node.name, "other", node)  # it is refused; what is in it is nobody's business

    # ------------------------------------------------------------ scopes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self._below(node, decorator)
        self._bind(node.name, "function", node, node)
        self._function(node, node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node, node.args, [node.body])

    def _function(self, node: ast.AST, arguments: ast.arguments, body: list[Any]) -> None:
        self._script.parents[arguments] = node
        self._script.scopes[arguments] = self._scope
        for default in (*arguments.defaults, *arguments.kw_defaults):
            self._below(arguments, default)
        self._enter(node)
        several = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
        for parameter in (*several, arguments.vararg, arguments.kwarg):
            if parameter is not None:
                self._script.parents[parameter] = arguments
                self._bind(parameter.arg, "parameter", parameter)
        for statement in body:
            self._below(node, statement)
        self._leave()

    def visit_ListComp(self, node: Comprehension) -> None:
        first = node.generators[0]
        self._script.parents[first] = node
        self._script.scopes[first] = self._scope
        self._below(first, first.iter)  # evaluated outside
        self._enter(node)
        for number, generator in enumerate(node.generators):
            self._script.parents[generator] = node
            self._script.scopes.setdefault(generator, self._scope)
            if number:
                self._below(generator, generator.iter)
            self._below(generator, generator.target)
            for test in generator.ifs:
                self._below(generator, test)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self._below(node, part)
        self._leave()

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp

    def _enter(self, node: ast.AST) -> None:
        self._scope = self._script.inner[node] = Scope(node, self._scope)

    def _leave(self) -> None:
        assert self._scope.parent is not None
        self._scope = self._scope.parent
