"""The parts of a script: docstring, `meta`, and the body, which is `main` or the whole file."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from . import problems
from .policy_base import located

Report: TypeAlias = Callable[[ast.AST, str], None]

_FUNCTIONS: Final = ast.FunctionDef | ast.AsyncFunctionDef


class Outline:
    def __init__(
        self,
        *,
        docstring: str | None,
        meta: ast.Assign | ast.AnnAssign | None,
        mains: tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...],
        does_nothing: bool = False,
    ) -> None:
        self.docstring = docstring
        self.meta = meta
        self.mains = mains
        self.does_nothing = does_nothing  # it defines, and neither has a main nor runs anything

    @property
    def has_main(self) -> bool:
        return bool(self.mains)


def outline(tree: ast.Module) -> Outline:
    metas = list(_metas(tree))
    mains = tuple(node for node in tree.body if isinstance(node, _FUNCTIONS) and node.name == "main")
    defines = ast.FunctionDef | ast.AsyncFunctionDef | ast.Import | ast.ImportFrom
    # A fragment that only imports may be meant to be one.
    is_fragment = bool(tree.body) and all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)
    does_nothing = not (mains or is_fragment) and all(
        isinstance(node, defines) or node in metas or _is_string(node) for node in tree.body
    )
    meta = metas[0] if metas else None
    return Outline(docstring=_docstring(tree), meta=meta, mains=mains, does_nothing=does_nothing)


def check_body(tree: ast.Module, parts: Outline, report: Report) -> None:
    """Report what is wrong with `main`, and a second `meta`."""
    for main in parts.mains:
        _check_main(main, report)
    for main in parts.mains[1:]:
        report(main, problems.MAIN_TWICE.format(line=parts.mains[0].lineno))
    for node in tree.body:
        if _assigns_meta_elsewhere(node):
            report(node, problems.META_PLACE)
    for meta in [*_metas(tree)][1:]:
        report(meta, problems.META_TWICE.format(line=parts.meta.lineno if parts.meta else 0))


def assemble(tree: ast.Module, parts: Outline, declared_global: set[str]) -> ast.Module:
    """A module that defines `main(args)`, out of a tree that the policy has been over."""
    # A string that begins the module would be stored as `__doc__`.
    statements = [node for node in tree.body if not _is_string(node)]
    if parts.has_main:
        parameters = parts.mains[0].args
        if not parameters.posonlyargs and not parameters.args:
            parameters.args.append(located(ast.arg("args"), parts.mains[0]))
        tree.body = statements
    else:
        head = [node for node in statements if _is_meta(node)]
        body = [node for node in statements if not _is_meta(node)]
        tree.body = [*head, _wrapped(body, declared_global - {"meta"})]
    return tree


def _wrapped(body: list[ast.stmt], global_names: set[str]) -> ast.stmt:
    main = ast.parse("async def main(args): pass").body[0]
    assert isinstance(main, ast.AsyncFunctionDef)
    first: ast.AST = body[0] if body else main
    located(main, first)
    main.body = body or main.body
    if global_names:
        # What a function of the script declares global was at module level when it was written.
        main.body.insert(0, located(ast.Global(sorted(global_names)), first))
    return main


# ---------------------------------------------------------------- meta and docstring


def _metas(tree: ast.Module) -> Iterator[ast.Assign | ast.AnnAssign]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_meta(node) and node.value is not None:
            yield node


def _is_meta(node: ast.stmt) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name("meta")]) | ast.AnnAssign(target=ast.Name("meta")):
            return True
    return False


def _assigns_meta_elsewhere(node: ast.stmt) -> bool:
    """An assignment to `meta` that nobody would read: `meta = x = {...}`, `meta |= {...}`."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    names = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    is_written = any(isinstance(target, ast.Name | ast.Tuple | ast.List) for target in targets)
    return "meta" in names and is_written and not _is_meta(node)


def _is_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _docstring(tree: ast.Module) -> str | None:
    """As ast.get_docstring gives it, which loads `inspect` to do so."""
    if not tree.body or not _is_string(tree.body[0]):
        return None
    text: str = tree.body[0].value.value  # type: ignore[attr-defined]
    first, _, rest = text.expandtabs().partition("\n")
    return f"{first.lstrip()}\n{textwrap.dedent(rest)}".strip()


# ---------------------------------------------------------------- main


def _check_main(main: ast.FunctionDef | ast.AsyncFunctionDef, report: Report) -> None:
    arguments = main.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    if isinstance(main, ast.FunctionDef):
        report(main, problems.MAIN_SYNC)
    if main.decorator_list:
        report(main.decorator_list[0], problems.MAIN_DECORATED)
    if positional > 1 or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
        report(main, problems.MAIN_PARAMETERS)
    for node in _within(main.body):
        if isinstance(node, ast.Yield | ast.YieldFrom):
            report(node, problems.MAIN_YIELDS)
            break


def _within(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
    """What belongs to a function itself, without the functions inside it."""
    stack: list[ast.AST] = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))
