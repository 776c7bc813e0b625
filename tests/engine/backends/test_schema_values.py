"""Small values fit their schemas: by hand for each keyword, and for random schemas by jsonschema's verdict."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from vibe_workflows.engine.backends.schema_values import MAX_DEPTH, MAX_PARTS, small_value
from vibe_workflows.engine.model import JSON

TEXT = "[offline] x"
NODE: dict[str, JSON] = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "name": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, TEXT),
        ({}, TEXT),
        (True, TEXT),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 0),
        ({"const": {"a": 1}}, {"a": 1}),
        ({"enum": ["high", "low"]}, "high"),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5}, 5),
        ({"type": "number", "maximum": -0.5}, -0.5),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "array", "items": {"type": "integer"}}, [0]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
        ({"type": "array"}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "uniqueItems": True}, ["a", "b"]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "minItems": 2}, [0, None]),
        ({"type": "string", "minLength": 14}, TEXT + "..."),
        ({"type": "string", "maxLength": 4}, "[off"),
        ({"type": "string", "format": "date"}, "2000-01-01"),
        ({"type": "string", "pattern": "^fixed$"}, "fixed"),
        (
            {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "required": ["b"]},
            {"b": None},
        ),
        ({"properties": {"a": {"type": "null"}, "b": {"type": "null"}}}, {"a": None, "b": None}),
        ({"anyOf": [{"type": "integer", "minimum": 2}, {"type": "string"}]}, 2),
        ({"oneOf": [{"$ref": "#/$defs/n"}], "$defs": {"n": {"type": "null"}}}, None),
        ({"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "integer"}}}]}, {"a": 0}),
        ({"$ref": "https://example.com/schema"}, TEXT),
        ({"$ref": "#/$defs/missing"}, TEXT),
    ],
)
def test_each_keyword_is_honoured(schema: JSON, value: JSON) -> None:
    assert small_value(schema, TEXT) == value


def test_recursive_schemas_end() -> None:
    loop: JSON = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    assert small_value(loop, TEXT) == TEXT
    chain: Any = small_value({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, TEXT)
    assert chain["name"] == chain["next"]["name"] == TEXT
    must: JSON = {"$ref": "#/$defs/node", "$defs": {"node": {**NODE, "required": ["next"]}}}
    assert small_value(must, TEXT) is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
        {"type": "array", "minItems": 1000, "items": {"$ref": "#"}},
        {"allOf": [{"$ref": "#"}] * 50, "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "object", "minProperties": 1000, "additionalProperties": {"$ref": "#"}},
    ],
)
def test_a_schema_that_multiplies_itself_costs_no_more_than_its_bound(schema: JSON) -> None:
    value = small_value(schema, "text")

    def parts(value: JSON) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(map(parts, inner))

    # Each level that is under way when the bound is met still fills up, with nulls.
    assert parts(value) <= MAX_PARTS + 1000 * (MAX_DEPTH + 1)


def test_a_recursive_choice_takes_the_way_out() -> None:
    tree: dict[str, JSON] = {
        "anyOf": [{"type": "object", "properties": {"of": {"$ref": "#"}}, "required": ["of"]}, {"type": "integer"}]
    }
    Draft202012Validator(tree).validate(small_value(tree, TEXT))


_leaves = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(
        lambda low, room: {"type": "integer", "minimum": low, "maximum": low + room},
        st.integers(-99, 99),
        st.integers(0, 9),
    ),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, st.integers(-99, 99)),
    st.builds(
        lambda low, room: {"type": "string", "minLength": low, "maxLength": low + room},
        st.integers(0, 30),
        st.integers(0, 9),
    ),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(max_size=3), min_size=1, max_size=3)),
    st.sampled_from(["date", "date-time", "email", "ipv4", "ipv6", "uuid", "uri", "time"]).map(
        lambda name: {"type": "string", "format": name}
    ),
)


def _below(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b", "c", "d"])
    objects = st.builds(
        lambda properties, pick: {
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name in pick],
            "additionalProperties": False,
        },
        st.dictionaries(names, part, max_size=3),
        st.sets(names),
    )
    arrays = st.builds(
        lambda items, least: {"type": "array", "items": items, "minItems": least}, part, st.integers(0, 3)
    )
    choices = st.builds(lambda options: {"anyOf": options}, st.lists(part, min_size=1, max_size=3))
    return objects | arrays | choices


@given(st.recursive(_leaves, _below, max_leaves=8))
def test_a_small_value_fits_any_schema_of_these_keywords(schema: Any) -> None:
    value = small_value(schema, TEXT)
    errors = list(Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).iter_errors(value))
    assert errors == []


_KEYWORDS = [
    *(
        "type",
        "properties",
        "required",
        "items",
        "prefixItems",
        "minItems",
        "enum",
        "anyOf",
        "allOf",
        "$ref",
        "pattern",
    ),
    *("format", "minimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minProperties"),
]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
        lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(_KEYWORDS), part, max_size=4),
        max_leaves=12,
    )
)
def test_nonsense_in_place_of_a_schema_never_raises(schema: Any) -> None:
    small_value(schema, TEXT)
