# ruff: noqa: N802, N815 - the names of visit methods are the names of nodes
"""The policy over the nodes of a script: what is allowed, what is rewritten, and what is refused with a reason.

Only attribute reads are rewritten into calls of a guard. Why that is enough is written in guards.py.
"""

from __future__ import annotations

import ast
from typing import Any

from RestrictedPython.transformer import INSPECT_ATTRIBUTES

from . import problems
from .policy_base import located
from .policy_imports import ImportPolicy
from .policy_match import MatchPolicy


class Policy(ImportPolicy, MatchPolicy):
    """One pass over one script. `has_main`: the body is `main`, and nothing at module level may await or return."""

    def __init__(self, lines: list[str], *, has_main: bool) -> None:
        super().__init__(lines)
        self._has_main = has_main
        #: Literal titles of `phase("...")`, in order.
        self.phases: dict[str, None] = {}

    # ------------------------------------------------------------ names and attributes

    def visit_Name(self, node: ast.Name) -> Any:
        if type(node.ctx) is ast.Load:
            self.check_name(node, node.id)
            self.scopes.use(node)
        else:
            self.bind_name(node, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        name = node.attr
        if type(node.ctx) is not ast.Load:
            message = problems.ATTRIBUTE_DELETE if type(node.ctx) is ast.Del else problems.ATTRIBUTE_WRITE
            self.error(node, message.format(name=name))
        elif name[0] == "_" and name != "__name__":
            self.error(self._attribute_place(node), problems.UNDERSCORE_ATTRIBUTE.format(name=name))
        elif name in INSPECT_ATTRIBUTES:
            self.error(self._attribute_place(node), problems.INTERNAL_ATTRIBUTE.format(name=name))
        self._visit_owner(node)
        guard = ast.copy_location(ast.Name("_getattr_", ast.Load()), node)
        call = ast.Call(guard, [node.value, ast.copy_location(ast.Constant(name), node)], [])
        return ast.copy_location(call, node)

    def _visit_owner(self, node: ast.Attribute) -> None:
        path = _dotted(node) if node.attr in problems.MEMBER_LEAVES else None
        owner = node.value
        if isinstance(owner, ast.Name):
            self.check_name(owner, owner.id)
            self.scopes.use(owner, attribute=node.attr, path=path, at=owner)
            return
        if path is not None:
            self.scopes.use(_root(owner), attribute=node.attr, path=path, at=node)
        node.value = self.visit(owner)

    def _attribute_place(self, node: ast.Attribute) -> ast.AST:
        """Where the attribute's name stands, for one problem a link of `a.b.c`."""
        line = node.end_lineno or node.lineno
        before = self.lines[line - 1].encode("utf-8", "replace")[: node.end_col_offset]
        return ast.Pass(lineno=line, col_offset=before.rfind(b".") + 1)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        return self.node_contents_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        function = node.func
        if isinstance(function, ast.Name):
            self.check_name(function, function.id)
            self.scopes.use(function, called=node)
            self._note_phase(function.id, node.args)
        else:
            node.func = self.visit(function)
        self.visit_all(node.args)
        self.visit_all(node.keywords)
        return node

    def _note_phase(self, name: str, arguments: list[ast.expr]) -> None:
        if name == "phase" and arguments and isinstance(arguments[0], ast.Constant):
            title = arguments[0].value
            if isinstance(title, str):
                self.phases[title] = None

    # ------------------------------------------------------------ binding, in the order of evaluation

    def visit_Assign(self, node: ast.Assign) -> Any:
        node.value = self.visit(node.value)
        target = node.targets[0]
        if isinstance(target, ast.Name) and len(node.targets) == 1 and isinstance(node.value, ast.Lambda):
            self.bind_name(target, target.id, "function")
        else:
            self.visit_all(node.targets)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """Annotations are dropped: they are never evaluated."""
        if node.value is not None:
            return self.visit(located_statement(ast.Assign([node.target], node.value), node))
        node.target = self.visit(node.target)
        return located(ast.Pass(), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        if isinstance(node.target, ast.Name):
            self.scopes.use(node.target)
        node.value = self.visit(node.value)
        node.target = self.visit(node.target)
        return node

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Any:
        node.value = self.visit(node.value)
        self.check_name(node.target, node.target.id)
        # The name belongs to the function around a comprehension.
        self.scopes.bind(node.target, node.target.id, scope=self.scopes.current.function)
        return node

    def visit_For(self, node: ast.For | ast.AsyncFor) -> Any:
        node.iter = self.visit(node.iter)
        node.target = self.visit(node.target)
        self.visit_all(node.body)
        self.visit_all(node.orelse)
        return node

    visit_AsyncFor = visit_For

    def visit_With(self, node: ast.With | ast.AsyncWith) -> Any:
        return self.node_contents_visit(node)

    visit_AsyncWith = visit_With

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        if node.type is None:
            # A bare `except:` would catch what ends the run.
            node.type = located(ast.Name("Exception", ast.Load()), node)
        node.type = self.visit(node.type)
        if node.name is not None:
            self.bind_name(node, node.name)
        self.visit_all(node.body)
        return node

    def visit_Global(self, node: ast.Global) -> Any:
        for name in node.names:
            self.check_name(node, name)
        self.scopes.declare_global(node)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> Any:
        for name in node.names:
            self.check_name(node, name)
        self.scopes.declare_nonlocal(node)
        return node

    # ------------------------------------------------------------ functions and comprehensions

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Any:
        if getattr(node, "type_params", None):
            self.error(node, problems.TYPE_PARAMETERS)
        node.returns = None
        self.visit_all(node.decorator_list)
        self._visit_defaults(node.args)
        self.bind_name(node, node.name, "function")
        outer = self.scopes.enter("function", is_async=isinstance(node, ast.AsyncFunctionDef))
        self._bind_parameters(node.args)
        self.visit_all(node.body)
        self.scopes.leave(outer)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self._visit_defaults(node.args)
        outer = self.scopes.enter("function")
        self._bind_parameters(node.args)
        node.body = self.visit(node.body)
        self.scopes.leave(outer)
        return node

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        self.visit_all(arguments.defaults)
        self.visit_all(arguments.kw_defaults)

    def _bind_parameters(self, arguments: ast.arguments) -> None:
        several = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
        for parameter in (*several, arguments.vararg, arguments.kwarg):
            if parameter is not None:
                self.bind_name(parameter, parameter.arg, "parameter")
                parameter.annotation = None

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Any:
        outer = self._enter_comprehension(node.generators)
        if isinstance(node.elt, ast.Starred):
            self.error(node.elt, problems.COMPREHENSION_UNPACKING)
        node.elt = self.visit(node.elt)
        self.scopes.leave(outer)
        return node

    visit_SetComp = visit_GeneratorExp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> Any:
        outer = self._enter_comprehension(node.generators)
        node.key = self.visit(node.key)
        value: ast.expr | None = node.value
        if value is None:  # `{**d for d in ...}` of Python 3.15
            self.error(node.key, problems.COMPREHENSION_UNPACKING)
        else:
            node.value = self.visit(value)
        self.scopes.leave(outer)
        return node

    def _enter_comprehension(self, generators: list[ast.comprehension]) -> Any:
        generators[0].iter = self.visit(generators[0].iter)  # evaluated outside
        outer = self.scopes.enter("comprehension")
        for index, generator in enumerate(generators):
            if index:
                generator.iter = self.visit(generator.iter)
            generator.target = self.visit(generator.target)
            self.visit_all(generator.ifs)
        return outer

    # ------------------------------------------------------------ what depends on where it stands

    def visit_Return(self, node: ast.Return) -> Any:
        self._check_inside_main(node, "return")
        return self.node_contents_visit(node)

    def visit_Await(self, node: ast.Await) -> Any:
        self._check_inside_main(node, "await")
        return self.node_contents_visit(node)

    def _check_inside_main(self, node: ast.AST, keyword: str) -> None:
        if self._has_main and self.scopes.current.function is self.scopes.module:
            self.error(node, problems.OUTSIDE_MAIN.format(keyword=keyword))

    def visit_Yield(self, node: ast.Yield | ast.YieldFrom) -> Any:
        if self.scopes.current.function is self.scopes.module:
            self.error(node, problems.YIELD_OUTSIDE)
        return self.node_contents_visit(node)

    visit_YieldFrom = visit_Yield

    def visit_If(self, node: ast.If) -> Any:
        if _is_main_guard(node):
            self.error(node, problems.MAIN_GUARD)
            return node
        return self.node_contents_visit(node)

    def visit_Try(self, node: ast.Try) -> Any:
        return self.node_contents_visit(node)

    def visit_Module(self, node: ast.Module) -> Any:
        self.visit_all(node.body)
        return node

    # ------------------------------------------------------------ refused

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
        if node.decorator_list or bases & {"BaseModel", "TypedDict", "NamedTuple", "Enum", "StrEnum"}:
            message = problems.CLASS_DATA
        elif any(base.endswith(("Error", "Exception", "Exit", "Group")) for base in bases):
            message = problems.CLASS_ERROR
        else:
            message = problems.CLASS
        self.scopes.bind(node, node.name, "function")
        self.error(node, message)
        return located(ast.Pass(), node)

    def visit_TryStar(self, node: ast.AST) -> Any:
        self.not_allowed(node)
        return located(ast.Pass(), node)

    def visit_TemplateStr(self, node: ast.AST) -> Any:
        self.not_allowed(node)
        return node

    visit_Interpolation = visit_TemplateStr


def located_statement(new: ast.stmt, old: ast.stmt) -> ast.stmt:
    """`new` at the place of `old`; what is within has its own place already."""
    return ast.copy_location(new, old)


def _dotted(node: ast.expr) -> str | None:
    """`a.b.c` as text, where it is made of nothing but names."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join((node.id, *reversed(parts)))


def _root(node: ast.expr) -> ast.Name:
    while isinstance(node, ast.Attribute):
        node = node.value
    assert isinstance(node, ast.Name)
    return node


def _is_main_guard(node: ast.If) -> bool:
    test = node.test
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"
