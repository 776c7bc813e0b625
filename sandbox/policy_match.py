# ruff: noqa: N802 - the names of visit methods are the names of nodes
"""`match`: RestrictedPython has no visitor for patterns, and their names are plain strings that no visit_Name sees."""

from __future__ import annotations

import ast
from typing import Any

from . import problems
from .names import MATCH_CLASSES, match_class_name
from .policy_base import PolicyBase, located


class MatchPolicy(PolicyBase):
    def visit_Match(self, node: ast.Match) -> Any:
        return self.node_contents_visit(node)

    def visit_match_case(self, node: ast.match_case) -> Any:
        return self.node_contents_visit(node)

    def visit_MatchValue(self, node: ast.MatchValue) -> Any:
        self._check_value(node.value)
        return node

    def visit_MatchSingleton(self, node: ast.MatchSingleton) -> Any:
        return node

    def visit_MatchSequence(self, node: ast.MatchSequence) -> Any:
        return self.node_contents_visit(node)

    def visit_MatchOr(self, node: ast.MatchOr) -> Any:
        return self.node_contents_visit(node)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> Any:
        for key in node.keys:
            self._check_value(key)
        if node.rest is not None:
            self.bind_name(node, node.rest)
        self.visit_all(node.patterns)
        return node

    def visit_MatchAs(self, node: ast.MatchAs) -> Any:
        if node.pattern is not None:
            node.pattern = self.visit(node.pattern)
        if node.name is not None:
            self.bind_name(node, node.name)
        return node

    def visit_MatchStar(self, node: ast.MatchStar) -> Any:
        if node.name is not None:
            self.bind_name(node, node.name)
        return node

    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        """`str(x)` and its like, by a name that a script cannot bind: `str = Evil` would redirect the pattern.

        Attributes in a class pattern are read past the guard, so there are none.
        """
        name = node.cls.id if isinstance(node.cls, ast.Name) else ""
        if name not in MATCH_CLASSES or node.kwd_attrs or node.kwd_patterns or len(node.patterns) > 1:
            self.error(node, problems.CLASS_PATTERN)
            return node
        node.cls = located(ast.Name(match_class_name(name), ast.Load()), node.cls)
        self.visit_all(node.patterns)
        return node

    def _check_value(self, value: ast.expr) -> None:
        """A literal; a dotted name would be an attribute read past the guard."""
        if any(isinstance(part, ast.Attribute | ast.Name) for part in ast.walk(value)):
            self.error(value, problems.DOTTED_PATTERN)
        else:
            self.visit(value)
