"""JSON Schema, evaluated in the locked worker: local references only, bounded in depth and size."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Any

MAX_DEPTH = 64
MAX_PARTS = 20_000
MAX_PROBLEMS = 20
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
#: Below these, a key `$ref` or `pattern` means nothing.
_PLAIN_VALUES = ("const", "enum", "default", "examples")
_SHOWN_CHARS = 300
TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
#: What they are called in other languages.
_OTHER_TYPES = {
    "bool": "boolean",
    "dict": "object",
    "double": "number",
    "float": "number",
    "int": "integer",
    "list": "array",
    "map": "object",
    "none": "null",
    "str": "string",
    "text": "string",
}


def load() -> dict[str, Callable[..., Any]]:
    # Whatever is imported or seeded when first used must have been used: the lock leaves no file and no getrandom.
    warm = {"$defs": {"a": {"type": "string", "pattern": "a"}}, "properties": {"b": {"$ref": "#/$defs/a"}}}
    for dialect in _DIALECTS:
        check_schema({"$schema": dialect, **warm})
        validate({"$schema": dialect, **warm}, {"b": 1}, fill_defaults=True)
    return {"check_schema": check_schema, "validate": validate}


_DIALECTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-04/schema#",
)


def check_schema(schema: Any) -> list[str]:
    """What is wrong with a schema, in words; nothing where it can be used."""
    if not isinstance(schema, dict | bool):
        return [f"a schema is an object, not {_show(schema)}"]
    problem = _too_big(schema)
    if problem:
        return [problem]
    from jsonschema.exceptions import SchemaError

    if isinstance(schema, dict) and schema.get("$schema") not in (None, *_DIALECTS, _DIALECTS[2].rstrip("#")):
        return [f"$schema: {_show(schema['$schema'])} is not a dialect that is known here; leave it out"]
    validator = _validator(schema)
    try:
        type(validator).check_schema(schema)
    except SchemaError as error:
        path = list(error.absolute_path)
        if path[-1:] == ["type"] and isinstance(error.instance, str):
            return [_at(path, f"{error.instance[:80]!r} is no type of JSON; {type_hint(error.instance)}")]
        return [_at(path, _short(error.message, error.instance))]
    return list(islice(_bad_parts(schema), MAX_PROBLEMS))


def validate(schema: Any, value: Any, fill_defaults: bool) -> dict[str, Any]:
    """`value`, with defaults where asked for, and what does not fit. Raises ValueError for a schema of no use."""
    problems = check_schema(schema)
    if problems:
        raise ValueError(f"the schema cannot be used: {problems[0]}")
    from referencing.exceptions import Unresolvable

    validator = _validator(schema)
    if fill_defaults:
        value = _filled(schema, value, schema, MAX_DEPTH)
    try:
        errors = sorted(validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])
    except Unresolvable as error:
        raise ValueError(f"the schema cannot be used: $ref {_show(error.ref)} leads nowhere") from None
    found = [_at(error.absolute_path, _short(error.message, error.instance)) for error in errors[:MAX_PROBLEMS]]
    if len(errors) > MAX_PROBLEMS:
        found.append(f"and {len(errors) - MAX_PROBLEMS} more")
    return {"value": value, "problems": found}


def type_hint(named: str) -> str:
    """What to write in place of a "type" that is none."""
    near = _OTHER_TYPES.get(named.lower()) or next(iter(get_close_matches(named[:100], TYPES, 1)), None)
    return f"did you mean {near!r}?" if near else f"the types are {', '.join(TYPES)}"


def _validator(schema: Any) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    # A registry of our own replaces the default one, which fetches http and file addresses.
    return validator_for(schema, default=Draft202012Validator)(schema, registry=EMPTY_REGISTRY)


def _bad_parts(schema: Any) -> Iterator[str]:
    """What the metaschema lets pass: references that leave the schema or lead nowhere, patterns that are none, and
    parts that no value fits."""
    from referencing import Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = EMPTY_REGISTRY.resolver_with_root(resource)
    for path, part in _objects(schema):
        if path and isinstance(part.get("$id"), str):
            yield _at((*path, "$id"), "only the whole schema may have an $id; refer to this part as '#/$defs/NAME'")
        for key in _REFERENCES:
            target = part.get(key)
            if not isinstance(target, str):
                continue
            if not target.startswith("#"):
                yield _at((*path, key), f"{_show(target)} is not local; move it here and refer to '#/$defs/NAME'")
                continue
            try:
                resolver.lookup(target)
            except Unresolvable:
                yield _at((*path, key), f"{_show(target)} leads nowhere")
        yield from _impossible(path, part)
        named = part.get("patternProperties")
        patterns = [part.get("pattern"), *(named if isinstance(named, dict) else ())]
        for pattern in patterns:
            if isinstance(pattern, str):
                try:
                    re.compile(pattern)
                except (re.error, OverflowError) as error:
                    yield _at(path, f"pattern {_show(pattern)} is no regular expression: {error}")


def _impossible(path: tuple[Any, ...], part: dict[str, Any]) -> Iterator[str]:
    """What no value can ever fit, and strict providers refuse; only where one part of the schema says so by itself."""
    if part.get("enum") == []:
        yield _at((*path, "enum"), "it is empty, so no value fits")
    properties, required = part.get("properties", {}), part.get("required")
    closed = part.get("additionalProperties") is False and not part.get("patternProperties")
    if not closed or not isinstance(properties, dict) or not isinstance(required, list):
        return
    for name in required:
        if isinstance(name, str) and name not in properties:
            yield _at((*path, "required"), f"{_show(name)} is not among the properties, and no others are allowed")


def _too_big(schema: Any) -> str:
    level, depth, parts = [schema], 0, 0
    while level:
        depth += 1
        parts += len(level)
        if depth > MAX_DEPTH:
            return f"a schema may be nested {MAX_DEPTH} levels deep, and this one is deeper"
        if parts > MAX_PARTS:
            return f"a schema may have {MAX_PARTS:,} parts, and this one has more"
        level = [item for part in level for item in _items(part)]
    return ""


def _items(part: Any) -> list[Any]:
    if isinstance(part, dict):
        return list(part.values())
    return part if isinstance(part, list) else []


def _objects(schema: Any) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    todo: list[tuple[tuple[Any, ...], Any]] = [((), schema)]
    while todo:
        path, part = todo.pop()
        if isinstance(part, dict):
            yield path, part
            todo += [((*path, key), item) for key, item in part.items() if key not in _PLAIN_VALUES]
        elif isinstance(part, list):
            todo += [((*path, index), item) for index, item in enumerate(part)]


def _filled(schema: Any, value: Any, root: Any, depth: int) -> Any:
    """`value` with the defaults of properties that it lacks, at every level that it has."""
    seen = 0
    while isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and seen < MAX_DEPTH:
        schema = _pointed(root, schema["$ref"])
        seen += 1
    if depth == 0:
        raise ValueError(f"defaults are filled in at most {MAX_DEPTH} levels deep; this schema refers to itself")
    if not isinstance(schema, dict):
        return value
    if isinstance(value, dict):
        properties = schema.get("properties")
        filled = dict(value)
        for name, part in properties.items() if isinstance(properties, dict) else ():
            if name in filled:
                filled[name] = _filled(part, filled[name], root, depth - 1)
            elif isinstance(part, dict) and "default" in part:
                filled[name] = _filled(part, part["default"], root, depth - 1)
        return filled
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_filled(schema["items"], item, root, depth - 1) for item in value]
    return value


def _pointed(root: Any, reference: str) -> Any:
    part = root
    for step in reference.removeprefix("#").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        part = part.get(key) if isinstance(part, dict) else None
    return part


def _at(path: Any, message: str) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return f"{place[:_SHOWN_CHARS]}: {message}" if place else message


def _short(message: str, instance: Any) -> str:
    """A validator's message begins with the whole value; show what can be read."""
    whole = repr(instance)
    if len(whole) > _SHOWN_CHARS and message.startswith(whole):
        message = f"{whole[: _SHOWN_CHARS // 2]}…{message[len(whole) :]}"
    return message if len(message) <= 2 * _SHOWN_CHARS else f"{message[: 2 * _SHOWN_CHARS]}…"


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
