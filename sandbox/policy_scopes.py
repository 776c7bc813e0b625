"""Which name means what: the scopes of a script, as far as the names go that the policy has something to say about.

Names are recorded while the policy walks the tree, in the order in which Python evaluates them, and judged at the end,
when every binding is known.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from . import problems
from .names import NOT_YET, PRIMITIVE_ATTRIBUTES, PRIMITIVES

_WATCHED: Final = (
    PRIMITIVES | problems.NAMES.keys() | problems.CALLS.keys() | problems.MODULES.keys() | {"datetime", "print"}
)


# Literals and plain classes, here and in the other parts of the policy: an Enum or a NamedTuple takes a cold start ten
# times as long to make.
Kind: TypeAlias = Literal["module", "function", "comprehension"]
#: How a name gets its value. "function" is a `def`, or an assigned lambda: calling it is no mistake.
How: TypeAlias = Literal["function", "import", "parameter", "other"]


class _Binding:
    """`path`, of an import: the dotted name of what it gives."""

    __slots__ = ("how", "line", "path")

    def __init__(self, line: int, how: How, path: str | None) -> None:
        self.line = line
        self.how = how
        self.path = path


class _Use:
    """`called`: a call of the name. `attribute`: what is read of it. `path`: a dotted use that may be of interest.

    `early`: before any binding in the same scope.
    """

    __slots__ = ("attribute", "called", "early", "name", "node", "path")

    def __init__(
        self,
        name: str,
        node: ast.expr,
        *,
        called: ast.Call | None,
        attribute: str | None,
        path: str | None,
        early: bool,
    ) -> None:
        self.name = name
        self.node = node
        self.called = called
        self.attribute = attribute
        self.path = path
        self.early = early


class Scope:
    __slots__ = ("bindings", "global_names", "is_async", "kind", "nonlocal_names", "parent", "uses")

    def __init__(self, kind: Kind, parent: Scope | None, *, is_async: bool = False) -> None:
        self.kind = kind
        self.parent = parent
        self.is_async = is_async
        self.bindings: dict[str, list[_Binding]] = {}
        self.global_names: set[str] = set()
        self.nonlocal_names: set[str] = set()
        self.uses: list[_Use] = []

    @property
    def function(self) -> Scope:
        """The innermost scope that is not a comprehension's."""
        scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope


class Scopes:
    """`report(node, message)` is called for each problem."""

    def __init__(self, report: Callable[[ast.AST, str], None]) -> None:
        self._report = report
        self.module = self.current = Scope("module", None)
        self._all = [self.module]
        self._refused: set[str] = set()  # names that the script may not define, and did
        #: Names that some function declares `global`.
        self.declared_global: set[str] = set()

    # ------------------------------------------------------------ recording

    def enter(self, kind: Kind, *, is_async: bool = False) -> Scope:
        """Go into a new scope; gives the one to `leave` to."""
        outer = self.current
        self.current = Scope(kind, outer, is_async=is_async)
        self._all.append(self.current)
        return outer

    def leave(self, outer: Scope) -> None:
        self.current = outer

    def bind(
        self,
        node: ast.AST,
        name: str,
        how: How = "other",
        *,
        path: str | None = None,
        scope: Scope | None = None,
    ) -> None:
        scope = scope or self.current
        if name in scope.nonlocal_names:
            return
        if name in scope.global_names:
            if name in PRIMITIVES:
                return  # said where it is declared
            scope = self.module
        if how != "import" and name not in _WATCHED:
            return
        if scope.kind == "module" and name in PRIMITIVES:
            self._refuse(node, name)
            return
        scope.bindings.setdefault(name, []).append(_Binding(getattr(node, "lineno", 0), how, path))

    def _refuse(self, node: ast.AST, name: str) -> None:
        self._refused.add(name)
        text = problems.RESERVED_REBOUND if name in NOT_YET else problems.PRIMITIVE_REBOUND
        self._report(node, text.format(name=name))

    def use(
        self,
        node: ast.Name,
        *,
        called: ast.Call | None = None,
        attribute: str | None = None,
        path: str | None = None,
        at: ast.expr | None = None,
    ) -> None:
        name = node.id
        if name in _WATCHED or path is not None:
            early = name not in self.current.bindings
            use = _Use(name, at or node, called=called, attribute=attribute, path=path, early=early)
            self.current.uses.append(use)

    def declare_global(self, node: ast.Global) -> None:
        for name in node.names:
            if name in PRIMITIVES:
                self._refuse(node, name)
        self.current.function.global_names.update(node.names)
        self.declared_global.update(node.names)

    def declare_nonlocal(self, node: ast.Nonlocal) -> None:
        self.current.function.nonlocal_names.update(node.names)

    # ------------------------------------------------------------ judging

    def judge(self) -> None:
        """Report what the uses that were recorded amount to."""
        for scope in self._all:
            for use in scope.uses:
                home = _home(scope, use.name)
                bindings = home.bindings[use.name] if home is not None else []
                if home is None or bindings[0].how == "import":
                    self._judge_known(use, bindings)
                elif use.name in PRIMITIVES:
                    self._judge_shadowed(use, bindings, is_own=home is scope)

    def _judge_known(self, use: _Use, bindings: list[_Binding]) -> None:
        """A name that the script does not define: a builtin, a primitive, or a module."""
        if use.path is not None:
            root, _, rest = use.path.partition(".")
            path = f"{bindings[0].path if bindings else root}.{rest}"
            if advice := problems.MEMBERS.get(path):
                self._report(use.node, problems.unavailable(path, advice))
                return
        if bindings:
            return
        name = use.name
        if name in NOT_YET:
            if name not in self._refused:
                self._report(use.node, problems.NOT_IN_THIS_VERSION.format(name=name))
        elif advice := problems.NAMES.get(name) or problems.CALLS.get(name if use.called else ""):
            self._report(use.node, problems.unavailable(name, advice))
        elif name in problems.MODULES and use.attribute is not None:
            self._report(use.node, problems.unavailable(name, problems.MODULES[name]))
        elif name == "print" and use.called is not None:
            self._judge_print(use.called)

    def _judge_print(self, call: ast.Call) -> None:
        for keyword in call.keywords:
            if keyword.arg in ("end", "file"):
                self._report(keyword, problems.PRINT.format(name=keyword.arg))

    def _judge_shadowed(self, use: _Use, bindings: list[_Binding], *, is_own: bool) -> None:
        """Is the primitive meant, where its name is taken?"""
        called = use.called is not None and not all(binding.how == "function" for binding in bindings)
        read = use.attribute in PRIMITIVE_ATTRIBUTES.get(use.name, ())
        unbound = is_own and use.early
        if unbound or (use.name != "args" and (called or read)):
            line = getattr(use.node, "lineno", 0)
            message = problems.PRIMITIVE_SHADOWED.format(name=use.name, line=line, shadow=bindings[0].line)
            self._report(use.node, message)


def _home(scope: Scope | None, name: str) -> Scope | None:
    """The scope whose binding a use of `name` in `scope` refers to; None for a builtin or what is injected."""
    while scope is not None:
        if name in scope.bindings:
            return scope
        if name in scope.global_names:
            scope = _root(scope)
            return scope if name in scope.bindings else None
        scope = scope.parent
    return None


def _root(scope: Scope) -> Scope:
    while scope.parent is not None:
        scope = scope.parent
    return scope
