"""What `meta` says, held against what the body does: phases and arguments."""

from __future__ import annotations

import ast
from difflib import get_close_matches
from typing import Any

from ..values import ARGS_METHODS
from .findings import Findings
from .json_schemas import is_open
from .literals import Literals, NotLiteral, item_of
from .script import Script


class Description:
    """`meta` as a value, and the nodes of its parts."""

    def __init__(self, script: Script, literals: Literals) -> None:
        self.node: ast.Dict | None = None
        self.value: dict[str, Any] = {}
        for statement in script.tree.body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name("meta")], value=ast.Dict() as node)
                    | ast.AnnAssign(target=ast.Name("meta"), value=ast.Dict() as node)
                ):
                    self.node = node
                    try:
                        self.value = literals.value(node)
                    except NotLiteral:
                        self.value = {}
                    return

    def part(self, *path: str) -> ast.expr | None:
        """The node of a value by its keys."""
        node: ast.expr | None = self.node
        for name in path:
            node = item_of(node, name)
        return node

    def key(self, *path: str) -> ast.expr | None:
        """The node of the last key."""
        owner = self.part(*path[:-1])
        for key in owner.keys if isinstance(owner, ast.Dict) else ():
            if isinstance(key, ast.Constant) and key.value == path[-1]:
                return key
        return None


def check_described(script: Script, literals: Literals, about: Description, findings: Findings) -> None:
    _check_phases(script, literals, about, findings)
    _check_args(script, about, findings)


# ---------------------------------------------------------------- phases


def _check_phases(script: Script, literals: Literals, about: Description, findings: Findings) -> None:
    used: dict[str, ast.AST] = {}
    computed = False
    for call in script.calls:
        for title_node in _titles(script, call):
            title = literals.text(title_node)
            if title is None:
                computed = True
            elif title not in used:
                used[title] = title_node
    listed = about.value.get("phases")
    declared = [title for title in listed if isinstance(title, str)] if isinstance(listed, list) else []
    for title, node in used.items():
        near = get_close_matches(title, declared, 1)
        if declared and title not in declared and not _same_but_case(title, declared):
            hint = f"did you mean {near[0]!r}?" if near else "add it there, so that the plan shows it"
            findings.report("undeclared-phase", node, f'the phase {title!r} is not in meta["phases"]; {hint}')
    _check_case(used, declared, findings)
    items = about.part("phases")
    for item in items.elts if isinstance(items, ast.List | ast.Tuple) and not computed else ():
        title = literals.text(item)
        if title is not None and title not in used and not _same_but_case(title, list(used)):
            findings.report(
                "unused-phase", item, f"the phase {title!r} never begins; drop it, or call phase({title!r})"
            )


def _titles(script: Script, call: ast.Call) -> list[ast.expr]:
    name = script.called(call)
    if name == "phase":
        return call.args[:1]
    return [each.value for each in call.keywords if each.arg == "phase"] if name == "agent" else []


def _same_but_case(title: str, others: list[str]) -> str:
    return next((each for each in others if each != title and each.casefold() == title.casefold()), "")


def _check_case(used: dict[str, ast.AST], declared: list[str], findings: Findings) -> None:
    known = list(declared)
    for title, node in used.items():
        if title not in known and (other := _same_but_case(title, known)):
            where = 'meta["phases"] has' if other in declared else "another phase is"
            findings.report("phase-case", node, f"{where} {other!r}: they are two phases; write {title!r} as {other!r}")
        known.append(title)


# ---------------------------------------------------------------- arguments


def _check_args(script: Script, about: Description, findings: Findings) -> None:
    schema = about.value.get("args")
    if not isinstance(schema, dict):
        return  # without a schema, any argument can be given
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        return
    open_ended = is_open(schema)
    read: set[str] = set()
    whole = False
    for name in script.names:
        if not _is_args(script, name) or not isinstance(name.ctx, ast.Load):
            continue
        found = _read_of(script, name)
        if found is None:
            whole = True
            continue
        argument, node = found
        read.add(argument)
        if argument not in properties and not open_ended:
            findings.report("undeclared-arg", node, _undeclared(argument, list(properties)))
    for argument in properties:
        key = about.key("args", "properties", argument)
        if argument not in read and not whole and key is not None:
            message = f"the argument `{argument}` is never read; read it as args.{argument}, or drop it"
            findings.report("unused-arg", key, message)


def _undeclared(name: str, declared: list[str]) -> str:
    if near := get_close_matches(name, declared, 1):
        return f'meta["args"] declares no `{name}`; did you mean `{near[0]}`?'
    return f'meta["args"] declares no `{name}`; declare it there: "properties": {{"{name}": {{"type": "string"}}}}'


def _is_args(script: Script, name: ast.Name) -> bool:
    """Whether it is the primitive, or what `main` is given."""
    if script.primitive(name) == "args":
        return True
    binding = script.only_binding(name)
    if binding is None or binding.how != "parameter":
        return False
    function = script.parents[script.parents[binding.node]]
    return (
        isinstance(function, ast.AsyncFunctionDef)
        and function.name == "main"
        and script.parents[function] is script.tree
    )


def _read_of(script: Script, name: ast.Name) -> tuple[str, ast.AST] | None:
    """The argument that is read here, and where; None where all of them may be."""
    parent = script.parents[name]
    match parent:
        case ast.Attribute(attr=attribute) if attribute not in ARGS_METHODS:
            return attribute, parent
        case ast.Subscript(value=value, slice=ast.Constant(value=str() as key)) if value is name:
            return key, parent
    return None
