"""What kind of value an expression gives, where the source leaves no doubt: mostly the answers of agents."""

from __future__ import annotations

import ast
from typing import Any, Final

from .json_schemas import is_open
from .literals import Literals, NotLiteral
from .script import Script

_DEPTH: Final = 12


class Text:
    """A string."""


class Record:
    """A dict that fits a schema with these properties; `closed` if it has no others."""

    def __init__(self, properties: dict[str, Any], *, closed: bool) -> None:
        self.properties = properties
        self.closed = closed


class Several:
    """A list. `holey`: an item may be None, since a branch may have failed."""

    def __init__(self, item: Shape | None, *, holey: bool) -> None:
        self.item = item
        self.holey = holey


Shape = Text | Record | Several


class Shapes:
    def __init__(self, script: Script, literals: Literals) -> None:
        self._script = script
        self._literals = literals

    def of(self, node: ast.AST | None, depth: int = 0) -> Shape | None:
        """None where it may be anything."""
        if depth > _DEPTH:
            return None
        match node:
            case ast.Await(value=awaited):
                return self._awaited(awaited, depth + 1)
            case ast.Name():
                return self._named(node, depth + 1)
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as key)):
                owner = self.of(value, depth + 1)
                return shape_of(owner.properties.get(key)) if isinstance(owner, Record) else None
        return None

    def _named(self, name: ast.Name, depth: int) -> Shape | None:
        binding = self._script.only_binding(name)
        if binding is None or not isinstance(binding.value, ast.expr):
            return None
        if binding.how == "value":
            return self.of(binding.value, depth)
        if binding.how == "loop":
            several = self.of(binding.value, depth)
            return several.item if isinstance(several, Several) else None
        return None

    def _awaited(self, node: ast.AST | str | None, depth: int) -> Shape | None:
        if not isinstance(node, ast.AST):
            return None
        name = self._script.called(node)
        if not isinstance(node, ast.Call):
            made = self._script.only_binding(node)
            is_call = made is not None and made.how == "value" and isinstance(made.value, ast.Call)
            return self._awaited(made.value, depth + 1) if made is not None and is_call else None
        if name == "agent":
            return self._answer(node)
        if name in ("parallel", "pipeline"):
            return self._results(node, name)
        return None

    def _answer(self, call: ast.Call) -> Shape | None:
        given = {each.arg: each.value for each in call.keywords}
        if None in given or "detail" in given:
            return None
        schema = given.get("schema")
        if schema is None:
            return Text()
        try:
            return shape_of(self._literals.value(schema))
        except NotLiteral:
            return None

    def _results(self, call: ast.Call, name: str) -> Shape | None:
        given = {each.arg: each.value for each in call.keywords}
        if None in given:
            return None
        policy = self._literals.text(given["on_error"]) if "on_error" in given else "none"
        if policy not in ("none", "raise"):
            return None
        steps = call.args[0] if call.args and name == "parallel" else None
        made = [steps.elt] if isinstance(steps, ast.ListComp | ast.GeneratorExp) else []
        made = steps.elts if isinstance(steps, ast.List | ast.Tuple) else made
        direct = bool(made) and all(self._script.called(each) in ("agent", "tool") for each in made)
        only = made[0] if len(made) == 1 and self._script.called(made[0]) == "agent" else None
        item = self._answer(only) if isinstance(only, ast.Call) else None
        # A function of the script's own may handle the errors of its steps, and then no branch of it fails.
        return Several(item, holey=policy == "none" and direct)


def shape_of(schema: Any) -> Shape | None:
    """Of a value that fits the schema."""
    if not isinstance(schema, dict) or "$ref" in schema or "default" in schema:
        return None
    match schema.get("type"):
        case "string":
            return Text()
        case "array":
            return Several(shape_of(schema.get("items")), holey=False)
        case "object":
            properties = schema.get("properties")
            if not isinstance(properties, dict) or not properties or is_open(schema):
                return Record({}, closed=False)
            return Record(properties, closed=True)
    return None
