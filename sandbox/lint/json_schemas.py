"""JSON Schemas that stand in the source: whether they are sound, and whether their words are those of JSON Schema."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from ..schemas import TYPES, check_schema, type_hint
from .findings import Findings
from .literals import Literals, NotLiteral, item_of
from .script import Script

_OF_NAMES: Final = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_OF_ONE: Final = frozenset(
    {
        *("items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames"),
        *("unevaluatedItems", "unevaluatedProperties", "contentSchema", "additionalItems"),
    }
)
_OF_SEVERAL: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_OTHERS: Final = frozenset(
    {
        *("$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"),
        *("$vocabulary", "$comment", "id", "type", "enum", "const", "default", "examples", "title", "description"),
        *("deprecated", "readOnly", "writeOnly", "required", "dependentRequired", "dependencies", "minProperties"),
        *("maxProperties", "minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minLength"),
        *("maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("multipleOf", "contentEncoding", "contentMediaType", "example", "nullable", "discriminator"),
    }
)
_KNOWN: Final = sorted(_OF_NAMES | _OF_ONE | _OF_SEVERAL | _OTHERS)
#: What may give a value properties that "properties" does not list.
_OPEN: Final = frozenset({"patternProperties", "allOf", "anyOf", "oneOf", "$ref", "if"})
_DEPTH: Final = 64


def is_open(schema: Mapping[str, Any]) -> bool:
    """Whether it tells of properties that its "properties" do not list. Where it says nothing, nobody counts on any."""
    return bool(schema.keys() & _OPEN) or schema.get("additionalProperties", False) is not False


def check_schemas(script: Script, literals: Literals, args: ast.expr | None, findings: Findings) -> None:
    rules = _SchemaRules(literals, findings)
    for call in script.calls:
        if script.called(call) == "agent":
            for keyword in call.keywords:
                if keyword.arg == "schema":
                    rules.check(keyword.value)
    if args is not None:
        rules.check(args)


class _SchemaRules:
    def __init__(self, literals: Literals, findings: Findings) -> None:
        self._literals = literals
        self._findings = findings
        self._sound: set[ast.AST] = set()
        self._seen: set[ast.AST] = set()
        self._told: set[ast.AST] = set()  # types that are none

    def check(self, node: ast.expr) -> None:
        """A schema may be used many times, under a name: it is told of once, where it stands."""
        source = self._literals.source(node)
        if not isinstance(source, ast.Dict) or source in self._sound:
            return
        self._sound.add(source)
        self._look_at(source, 0)
        try:
            value = self._literals.value(node)
        except NotLiteral:
            return
        for problem in check_schema(value) if isinstance(value, dict) else ():
            place = self._place(source, problem)
            if place not in self._told:
                self._findings.report("schema", place, f"the schema cannot be used: {problem}")

    def _place(self, source: ast.Dict, problem: str) -> ast.AST:
        """The part of the schema that a problem `properties.a[0]: ...` is about, as far as it can be followed."""
        path = problem.partition(": ")[0]
        node: ast.AST | None = source
        place: ast.AST = _first_key(source)
        for name, index in re.findall(r"([^.\[\]]+)|\[(\d{1,6})\]", path):
            node = self._literals.source(node)
            node = _part(node, name, int(index) if index else None)
            if node is None:
                break
            place = node
        return _first_key(place) if isinstance(place, ast.Dict) else place

    # ------------------------------------------------------------ words

    def _look_at(self, node: ast.AST | None, depth: int) -> None:
        node = self._literals.source(node)
        if not isinstance(node, ast.Dict) or node in self._seen or depth > _DEPTH:
            return
        self._seen.add(node)
        parts: dict[str, ast.expr] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                parts[key.value] = value
                self._check_word(key, key.value)
        self._check_type(parts.get("type"))
        if None not in node.keys:
            self._check_required(parts)
        for word, value in parts.items():
            for part in self._schemas_in(word, value):
                self._look_at(part, depth + 1)

    def _check_word(self, key: ast.expr, word: str) -> None:
        if word not in _KNOWN and (near := get_close_matches(word[:100], _KNOWN, 1, 0.8)):
            message = f"JSON Schema has no {word!r}, so it says nothing here; did you mean {near[0]!r}?"
            self._findings.report("schema-keyword", key, message)

    def _check_type(self, node: ast.expr | None) -> None:
        """In words of its own: what the metaschema says of a type that is none is hard to read."""
        source = self._literals.source(node)
        for item in source.elts if isinstance(source, ast.List) else [source]:
            name = item.value if isinstance(item, ast.Constant) else None
            if item is not None and isinstance(name, str) and name not in TYPES:
                self._told |= {item, source or item}
                self._findings.report("schema", item, f"{name!r} is no type; {type_hint(name)}")

    def _check_required(self, parts: dict[str, ast.expr]) -> None:
        required, properties = (
            self._literals.source(parts.get("required")),
            self._literals.source(parts.get("properties")),
        )
        if (
            not isinstance(required, ast.List | ast.Tuple)
            or not isinstance(properties, ast.Dict)
            or is_open({word: part.value if isinstance(part, ast.Constant) else part for word, part in parts.items()})
        ):
            return
        names = [each.value for each in properties.keys if isinstance(each, ast.Constant)]
        if len(names) < len(properties.keys):
            return
        for item in required.elts:
            name = item.value if isinstance(item, ast.Constant) else None
            if isinstance(name, str) and name not in names:
                near = get_close_matches(name, [each for each in names if isinstance(each, str)], 1)
                hint = f"did you mean {near[0]!r}?" if near else "describe it there"
                message = f'{name!r} is required, and is not among the "properties"; {hint}'
                self._findings.report("schema-required", item, message)

    def _schemas_in(self, word: str, value: ast.expr) -> list[ast.expr]:
        source = self._literals.source(value)
        if word in _OF_NAMES and isinstance(source, ast.Dict):
            return source.values
        if word in _OF_SEVERAL and isinstance(source, ast.List | ast.Tuple):
            return source.elts
        return [value] if word in _OF_ONE else []


def _part(node: ast.AST | None, name: str, index: int | None) -> ast.AST | None:
    if index is not None:
        return node.elts[index] if isinstance(node, ast.List | ast.Tuple) and index < len(node.elts) else None
    return item_of(node, name)


def _first_key(node: ast.AST) -> ast.AST:
    """A dict of many lines is shown by its beginning."""
    keys: list[Any] = node.keys if isinstance(node, ast.Dict) else []
    return keys[0] if keys and keys[0] is not None else node
