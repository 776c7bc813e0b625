# ruff: noqa: N802 - the names of visit methods are the names of nodes
"""Imports: rewritten into calls of the importer of facades, so that no import is left in the bytecode."""

from __future__ import annotations

import ast
from typing import Any, Final

from . import problems
from .facades import registry
from .facades.module import members
from .names import HINTS, NOT_YET, PRIMITIVES
from .policy_base import PolicyBase, located
from .script_errors import ERRORS

_SCRIPT: Final = "vibe_workflows.script"
_PATTERNS: Final = "vibe_workflows.patterns"


_OF_SCRIPT: Final = frozenset({*PRIMITIVES, *HINTS, *ERRORS})


class ImportPolicy(PolicyBase):
    modules_listed = False  # a message has listed what may be imported

    def visit_Import(self, node: ast.Import) -> Any:
        if getattr(node, "is_lazy", 0):
            self.error(node, problems.LAZY_IMPORT)
        statements: list[ast.stmt] = []
        for alias in node.names:
            package = alias.name.partition(".")[0]
            bound = alias.asname or package
            self.check_name(alias, bound)
            if registry.find(alias.name) is None and alias.name not in registry.FROM_OUTSIDE:
                self.error(alias, self._no_module(alias.name))
            elif bound == alias.name == "random":
                continue  # the primitive itself
            self.scopes.bind(alias, bound, "import", path=alias.name if alias.asname else package)
            statements.append(_assignment(node, bound, alias.name if alias.asname else package, None))
        return statements or located(ast.Pass(), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        if getattr(node, "is_lazy", 0):
            self.error(node, problems.LAZY_IMPORT)
        module = node.module or ""
        if node.level:
            self.error(node, problems.RELATIVE_IMPORT)
        elif module == "__future__":
            return located(ast.Pass(), node)
        elif registry.find(module) is None and module not in registry.FROM_OUTSIDE:
            self.error(node, self._module_problem(node, module))
            module = ""
        statements = [statement for alias in node.names for statement in self._import_member(node, alias, module)]
        return statements or located(ast.Pass(), node)

    def _import_member(self, node: ast.ImportFrom, alias: ast.alias, module: str) -> list[ast.stmt]:
        """`module` is empty where it is refused as a whole."""
        name, bound = alias.name, alias.asname or alias.name
        if name == "*":
            self.error(alias, problems.STAR_IMPORT)
            return []
        self.check_name(alias, bound)
        if module:
            self._check_member(alias, module, name)
        is_primitive = name in PRIMITIVES and module == _SCRIPT
        if bound == name in PRIMITIVES and (is_primitive or module in ("", "vibe_workflows")):
            return []  # in scope already; from elsewhere it is refused, and that is enough said
        path = f"{node.module}.{name}" if node.module else name
        self.scopes.bind(alias, bound, "import", path=path)
        return [_assignment(node, bound, module, name)]

    def _check_member(self, alias: ast.alias, module: str, name: str) -> None:
        path = f"{module}.{name}"
        if module == _SCRIPT and name in NOT_YET:
            self.error(alias, problems.NOT_IN_THIS_VERSION.format(name=name))
        elif module == _SCRIPT and name not in _OF_SCRIPT:
            self.error(alias, problems.no_member(name, _OF_SCRIPT))
        elif module == _PATTERNS and not self._may_have(module, name):
            self.error(alias, problems.NO_PATTERN.format(name=name, names=_patterns()))
        elif module == "vibe_workflows":
            if name in PRIMITIVES - NOT_YET:
                self.error(alias, problems.FROM_SCRIPT.format(name=name))
            elif path not in registry.FROM_OUTSIDE and registry.find(path) is None:
                self.error(alias, problems.NOT_IN_THIS_VERSION.format(name=path))
        elif path in problems.MEMBERS or not self._may_have(module, name):
            self.error(alias, problems.member_problem(module, name))

    def _may_have(self, module: str, name: str) -> bool:
        """What a module from outside has is known when the script runs: nothing here depends on its registration."""
        facade = registry.find(module)
        return module in registry.FROM_OUTSIDE or facade is None or name in members(facade)

    def _module_problem(self, node: ast.ImportFrom, module: str) -> str:
        """The advice for what is imported, where there is one; else for the module."""
        for alias in node.names:
            path = f"{module}.{alias.name}"
            if advice := problems.MEMBERS.get(path) or problems.MODULES.get(path):
                return problems.unavailable(path, advice)
        return self._no_module(module)

    def _no_module(self, name: str) -> str:
        """What may be imported is listed once."""
        text = problems.module_problem(name, "" if self.modules_listed else registry.importable())
        self.modules_listed = self.modules_listed or registry.importable() in text
        return text


def _patterns() -> str:
    """The functions of the patterns, for a message, in order."""
    facade = registry.find(_PATTERNS)
    return ", ".join(sorted(name for name in members(facade) if name.islower())) if facade else ""


def _assignment(node: ast.stmt, bound: str, module: str, member: str | None) -> ast.stmt:
    call = ast.Call(ast.Name("_import_", ast.Load()), [ast.Constant(module), ast.Constant(member)], [])
    return located(ast.Assign([ast.Name(bound, ast.Store())], call), node)
