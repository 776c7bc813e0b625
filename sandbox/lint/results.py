"""Answers and results that are read as what they are not, or without a look whether there is one."""

from __future__ import annotations

import ast
from difflib import get_close_matches
from typing import Final

from .findings import Findings
from .scopes import COMPREHENSIONS
from .script import FUNCTIONS, Script, within
from .shapes import Record, Several, Shapes, Text

_OF_DICTS: Final = frozenset(dir(dict))
_OF_TEXTS: Final = frozenset(dir(str))
_OF_LISTS: Final = frozenset(dir(list))
#: What `detail=True` gives, and an answer by itself does not have.
_OF_DETAIL: Final = frozenset({"value", "patch", "files", "usage", "turns", "model", "step", "cached"})
_PASSING_ON: Final = (ast.Return, ast.Dict, ast.FormattedValue)
_DECISIONS: Final = (ast.If, ast.IfExp, ast.BoolOp, ast.Compare, ast.Try, ast.Match, ast.While, ast.Assert)


def check_results(script: Script, shapes: Shapes, findings: Findings) -> None:
    for node in script.of(ast.Attribute):
        if isinstance(node.ctx, ast.Load):
            _check_attribute(shapes, findings, node)
    for node in script.of(ast.Subscript):
        if isinstance(node.ctx, ast.Load):
            _check_item(script, shapes, findings, node)
    for node in script.of(ast.For, *COMPREHENSIONS):
        _check_holes(script, shapes, findings, node)


def _check_attribute(shapes: Shapes, findings: Findings, node: ast.Attribute) -> None:
    shape, name = shapes.of(node.value), node.attr
    if isinstance(shape, Text) and name not in _OF_TEXTS:
        hint = "agent(..., detail=True) gives a result that has it" if name in _OF_DETAIL else "ask for a dict: schema="
        findings.report("wrong-access", node, f"this is text, which has no `.{name}`; {hint}")
    elif isinstance(shape, Record) and name not in _OF_DICTS:
        key = (
            "detail=True gives a result that has it"
            if name in _OF_DETAIL - shape.properties.keys()
            else f'write ["{name}"]'
        )
        findings.report("wrong-access", node, f"this is a dict, which has no `.{name}`; {key}")
    elif isinstance(shape, Several) and name not in _OF_LISTS:
        findings.report("wrong-access", node, f"this is a list, which has no `.{name}`; look at its items")


def _check_item(script: Script, shapes: Shapes, findings: Findings, node: ast.Subscript) -> None:
    key = node.slice.value if isinstance(node.slice, ast.Constant) else None
    if not isinstance(key, str):
        return
    shape = shapes.of(node.value)
    if isinstance(shape, Text):
        message = f'this is text, and text has no ["{key}"]; agent(..., schema=) gives a dict'
        findings.report("wrong-access", node, message)
    elif isinstance(shape, Several):
        findings.report("wrong-access", node, f'this is a list, and a list has no ["{key}"]; look at its items')
    elif isinstance(shape, Record) and shape.closed and key not in shape.properties and not _filled(script, node.value):
        near = get_close_matches(key, shape.properties, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(list(shape.properties)[:20])}"
        findings.report("unknown-key", node.slice, f"`{key}` is no property of the schema; {hint}")


def _filled(script: Script, owner: ast.expr) -> bool:
    """Whether the script may have put keys of its own into it."""
    while isinstance(owner, ast.Subscript):
        owner = owner.value
    home = script.home(owner) if isinstance(owner, ast.Name) else None
    if home is None or not isinstance(owner, ast.Name):
        return False
    return any(not _only_read(script, use) for use in home.uses.get(owner.id, ()))


def _only_read(script: Script, use: ast.Name) -> bool:
    parent = script.parents[use]
    if isinstance(parent, ast.Subscript) and parent.value is use:
        return isinstance(parent.ctx, ast.Load)
    if isinstance(parent, ast.Attribute):
        return parent.attr in ("get", "items", "keys", "values", "copy")
    return isinstance(parent, ast.Compare | ast.BoolOp | ast.If | ast.IfExp | ast.FormattedValue | ast.UnaryOp)


# ---------------------------------------------------------------- branches that failed


def _check_holes(script: Script, shapes: Shapes, findings: Findings, node: ast.AST) -> None:
    """A loop over all results of a fan-out that looks into each, and nowhere asks whether it is there."""
    body: list[ast.AST]
    if isinstance(node, ast.For):
        target, iterated, body = node.target, node.iter, [*node.body]
    elif isinstance(node, ast.DictComp | ast.ListComp | ast.SetComp | ast.GeneratorExp) and len(node.generators) == 1:
        generator = node.generators[0]
        target, iterated = generator.target, generator.iter
        if generator.ifs:
            return
        body = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    else:
        return
    shape = shapes.of(iterated)
    if not isinstance(target, ast.Name) or not isinstance(shape, Several) or not shape.holey:
        return
    if isinstance(iterated, ast.Name) and not _only_looped_over(script, iterated):
        return  # something else may have looked for what failed
    inside = list(within(body, functions=True))
    if any(isinstance(part, (*_DECISIONS, *FUNCTIONS)) for part in inside) or _guarded(script, node):
        return
    for part in inside:
        if isinstance(part, ast.Subscript | ast.Attribute) and _is(part.value, target.id):
            message = (
                f"`{target.id}` is None where its branch failed; leave those out: `if {target.id} is not None`, or "
                'raise their error: on_error="raise"'
            )
            findings.report("none-result", part, message)
            return


def _only_looped_over(script: Script, name: ast.Name) -> bool:
    """Whether all else that is done with the results is to pass them on."""
    home = script.home(name)
    uses = [] if home is None else home.uses.get(name.id, [])
    return all(use is name or isinstance(script.parents[use], _PASSING_ON) for use in uses)


def _guarded(script: Script, node: ast.AST) -> bool:
    """Whether an error of it is handled around it."""
    return any(isinstance(above, ast.Try) for above in script.above(node))


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
