"""What the arguments' schema of somebody else's tool may be. It goes to model providers, and is not evaluated here."""

from __future__ import annotations

from typing import Final

from ..keys import canonical_json
from ..model import JSON

MAX_BYTES: Final = 64 << 10
MAX_DEPTH: Final = 40
#: Parts of it once every reference is replaced by what it stands for, as some providers' clients do.
MAX_UNFOLDED: Final = 10_000


def schema_problem(schema: JSON) -> str:
    """Why it is not handed on; empty where it is. Takes time in proportion to the schema, whatever stands in it."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "its arguments are no object"
    if _depth(schema) > MAX_DEPTH:
        return f"its schema is nested more than {MAX_DEPTH} levels deep"
    if len(canonical_json(schema)) > MAX_BYTES:
        return f"its schema has more than {MAX_BYTES >> 10} KB"
    return _unfolded_problem(schema)


def _depth(value: JSON) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        if deepest > MAX_DEPTH:
            break
        level = [below for each in level for below in _parts(each)]
    return deepest


def _parts(value: JSON) -> list[JSON]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _unfolded_problem(schema: dict[str, JSON]) -> str:
    """Walks it as if each reference were replaced, except within itself. Stops at MAX_UNFOLDED: a few lines can stand
    for billions of parts."""
    nothing: frozenset[str] = frozenset()
    waiting: list[tuple[JSON, frozenset[str]]] = [(schema, nothing)]
    count = 0
    while waiting:
        part, within = waiting.pop()
        count += 1
        if count > MAX_UNFOLDED:
            return f"its schema has more than {MAX_UNFOLDED:,} parts once its references are replaced"
        waiting += [(below, within) for below in _parts(part)]
        for target in _references(part):
            if not target.startswith("#"):
                return f"its schema refers to {target[:80]!r}, which is not a part of it"
            if len(within) >= MAX_DEPTH:
                return f"the references of its schema lead more than {MAX_DEPTH} levels deep"
            if target not in within:
                waiting.append((_pointed(schema, target), within | {target}))
    return ""


def _references(part: JSON) -> list[str]:
    held = [part.get(key) for key in ("$ref", "$dynamicRef", "$recursiveRef")] if isinstance(part, dict) else []
    return [target for target in held if isinstance(target, str)]


def _pointed(schema: JSON, target: str) -> JSON:
    found = schema
    for step in target.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found
