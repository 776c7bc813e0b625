"""A small JSON value that fits a schema: what the offline model answers with.

Deterministic, and safe on any schema: references are local only, depth and work are bounded, patterns are never
evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..model import JSON

#: Deeper than any schema a provider accepts; what lies below is answered with null.
MAX_DEPTH: Final = 32

#: Parts of schemas that are looked at for one value. A few lines with two references to themselves make 2^32 of them.
MAX_PARTS: Final = 20_000

#: Down to here an object without `required` gets all its properties, and a list that may be empty one item, so that a
#: script that goes through it is seen at work; below, recursive schemas would not end.
WHOLE_DEPTH: Final = 4

_FORMATS: Final[dict[str, str]] = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "offline@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_LITERAL_PATTERN: Final = re.compile(r"\^?([\w\- /:.@#]*)\$?", re.ASCII)


def small_value(schema: JSON, text: str) -> JSON:
    """A value that fits `schema`; free strings are `text`. A schema that nothing fits still yields some value."""
    return _Builder(root=schema, text=text).build(schema, 0)


class _Builder:
    __slots__ = ("_left", "_root", "_text")

    def __init__(self, *, root: JSON, text: str) -> None:
        self._root = root
        self._text = text
        self._left = MAX_PARTS

    def build(self, schema: JSON, depth: int) -> JSON:
        self._left -= 1
        if self._left < 0:
            return None
        if depth > MAX_DEPTH or not isinstance(schema, dict):
            return None if schema is False or depth > MAX_DEPTH else self._text
        schema = self._expanded(schema, depth)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return choices[0]
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer":
                return _number(schema, whole=True)
            case "number":
                return _number(schema, whole=False)
            case "boolean":
                return False
            case "null":
                return None
            case _:
                return self._string(schema)

    def _expanded(self, schema: dict[str, JSON], depth: int) -> dict[str, JSON]:
        """`schema` with its reference followed, all of `allOf` and the first of `anyOf` and `oneOf` merged in."""
        for _ in range(MAX_DEPTH):
            parts: list[JSON] = []
            reference = schema.get("$ref")
            if isinstance(reference, str):
                parts.append(self._resolve(reference))
            every = schema.get("allOf")
            if isinstance(every, list):
                parts += every
            for keyword in ("anyOf", "oneOf"):
                options = schema.get(keyword)
                if isinstance(options, list) and options:
                    parts.append(self._first_usable(options, depth))
            if not parts:
                return schema
            merged = {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
            self._left -= len(parts)
            if self._left < 0:
                return merged
            for part in parts:
                if isinstance(part, dict):
                    merged = _merge(merged, part)
            schema = merged
        return schema

    def _first_usable(self, options: list[JSON], depth: int) -> JSON:
        """The first option; deep down the first that goes no deeper, so that recursion ends with a value that fits."""
        if depth > MAX_DEPTH // 2:
            for option in options:
                if isinstance(option, dict) and "$ref" not in option and _type_of(option) not in ("object", "array"):
                    return option
        return options[0]

    def _resolve(self, reference: str) -> JSON:
        if not reference.startswith("#"):
            return {}
        target: JSON = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and name in target:
                target = target[name]
            elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            else:
                return {}
        return target

    def _object(self, schema: dict[str, JSON], depth: int) -> JSON:
        properties = schema.get("properties")
        known: Mapping[str, JSON] = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        if required is None and depth <= WHOLE_DEPTH:
            # Scripts read the properties that they declared, and many an author forgets to require them.
            names = list(known)
        extra = schema.get("additionalProperties", True)
        value: dict[str, JSON] = {name: self.build(known.get(name, extra), depth + 1) for name in names}
        least = _whole(schema.get("minProperties"))
        for name in [*known, *(f"key{number}" for number in range(1, least + 1))]:
            if len(value) >= least:
                break
            value.setdefault(name, self.build(known.get(name, extra), depth + 1))
        return value

    def _array(self, schema: dict[str, JSON], depth: int) -> JSON:
        prefix = schema.get("prefixItems")
        first: list[JSON] = prefix if isinstance(prefix, list) else []
        count = _whole(schema.get("minItems"))
        if "contains" in schema or (isinstance(schema.get("items"), dict) and self._may_hold_one(schema, depth)):
            count = max(count, 1)
        items = schema.get("items", schema.get("contains", True))
        values = [self.build(first[i] if i < len(first) else items, depth + 1) for i in range(count)]
        if schema.get("uniqueItems") is True:
            return [_distinct(value, items, position) for position, value in enumerate(values)]
        return values

    @staticmethod
    def _may_hold_one(schema: dict[str, JSON], depth: int) -> bool:
        most = schema.get("maxItems", 1)
        return depth < WHOLE_DEPTH and isinstance(most, int | float) and most >= 1

    def _string(self, schema: dict[str, JSON]) -> JSON:
        form = schema.get("format")
        if isinstance(form, str) and form in _FORMATS:
            return _FORMATS[form]
        text = self._text
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            # A stranger may have written it, so it is never evaluated: only a pattern without operators is met.
            literal = _LITERAL_PATTERN.fullmatch(pattern)
            text = literal.group(1) if literal and "." not in literal.group(1) else text
        text = text.ljust(_whole(schema.get("minLength")), ".")
        longest = schema.get("maxLength")
        return text[:longest] if isinstance(longest, int) and not isinstance(longest, bool) and longest >= 0 else text


def _merge(left: dict[str, JSON], right: dict[str, JSON]) -> dict[str, JSON]:
    merged = {**right, **left}
    ours, theirs = left.get("properties"), right.get("properties")
    if isinstance(ours, dict) and isinstance(theirs, dict):
        merged["properties"] = {**theirs, **ours}
    needed, also = left.get("required"), right.get("required")
    if isinstance(needed, list) and isinstance(also, list):
        merged["required"] = list(dict.fromkeys(name for name in (*needed, *also) if isinstance(name, str)))
    return merged


def _type_of(schema: dict[str, JSON]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "required" in schema or "minProperties" in schema:
        return "object"
    if "items" in schema or "minItems" in schema or "prefixItems" in schema or "contains" in schema:
        return "array"
    if any(name in schema for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")):
        return "number"
    return "string"


def _whole(value: JSON) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000 else 0


def _number(schema: dict[str, JSON], *, whole: bool) -> JSON:
    """Zero where it fits, else the first number near a bound that does."""
    unit = _real(schema.get("multipleOf")) or 0.0
    if unit < 0 or (whole and not unit.is_integer()):
        unit = 0.0
    unit = unit or (1.0 if whole else 0.0)
    low, above = _real(schema.get("minimum")), _real(schema.get("exclusiveMinimum"))
    high, below = _real(schema.get("maximum")), _real(schema.get("exclusiveMaximum"))

    def fits(value: float) -> bool:
        return (
            (low is None or value >= low)
            and (above is None or value > above)
            and (high is None or value <= high)
            and (below is None or value < below)
        )

    bounds = [bound for bound in (low, above, high, below) if bound is not None]
    near = [0.0, *bounds, *(bound + 1 for bound in bounds), *(bound - 1 for bound in bounds)]
    if len(bounds) > 1:
        near.append(sum(bounds) / len(bounds))
    if unit:
        near = [round(value / unit) * unit + shift for value in near for shift in (0.0, unit, -unit)]
    value = next((value for value in near if fits(value)), 0.0)
    return int(value) if whole or (unit and value.is_integer()) else value


def _real(value: JSON) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e15:
        return None
    return float(value)


def _distinct(value: JSON, items: JSON, position: int) -> JSON:
    """`value` changed by its position, so that the items of an array differ."""
    choices = items.get("enum") if isinstance(items, dict) else None
    if isinstance(choices, list) and choices:
        return choices[position % len(choices)]
    match value:
        case bool():
            return position % 2 == 1
        case str() if position:
            return f"{value} {position + 1}"
        case int() | float():
            return value + position
        case _:
            return value
