"""Schemas as providers take them, and answers as models give them."""

from __future__ import annotations

import contextlib

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support.checking import PlainChecker
from vibe_workflows.engine.agents.structured import Judged, judge, judge_text, parse_json, prepare_schema
from vibe_workflows.engine.errors import SetupError
from vibe_workflows.engine.model import JSON

CHECKER = PlainChecker()


def _wrapper(inner: JSON) -> dict[str, JSON]:
    return {"type": "object", "properties": {"value": inner}, "required": ["value"], "additionalProperties": False}


def _judge(schema: JSON, value: JSON) -> Judged:
    async def main() -> Judged:
        return await judge(await prepare_schema(schema, CHECKER), value, CHECKER)

    return trio.run(main)


def _judge_text(schema: JSON, text: str) -> Judged:
    async def main() -> Judged:
        return await judge_text(await prepare_schema(schema, CHECKER), text, CHECKER)

    return trio.run(main)


@pytest.mark.parametrize(
    ("schema", "sent", "wrapped"),
    [
        ({"type": "object"}, {"type": "object", "properties": {}}, False),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}, False),
        ({"type": "array"}, _wrapper({"type": "array", "items": {}}), True),
        ({"type": "array", "prefixItems": [{}]}, _wrapper({"type": "array", "prefixItems": [{}]}), True),
        (
            {
                "properties": {
                    "type": {"type": "array"},
                    "items": {"anyOf": [{"type": "array"}]},
                    "c": {"const": {"type": "array"}},
                }
            },
            {
                "type": "object",
                "properties": {
                    "type": {"type": "array", "items": {}},
                    "items": {"anyOf": [{"type": "array", "items": {}}]},
                    "c": {"const": {"type": "array"}},
                },
            },
            False,
        ),
        ({"type": "object", "anyOf": [{}]}, _wrapper({"type": "object", "anyOf": [{}]}), True),
        (
            {"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {}}},
            {**_wrapper({"type": "object", "$ref": "#/$defs/a"}), "$defs": {"a": {}}},
            True,
        ),
        ({"type": ["object", "null"]}, _wrapper({"type": ["object", "null"]}), True),
        ({"enum": ["yes", "no"]}, _wrapper({"enum": ["yes", "no"]}), True),
        ({}, _wrapper({}), True),
    ],
)
def test_a_provider_is_sent_an_object_schema(schema: JSON, sent: JSON, wrapped: bool) -> None:
    prepared = trio.run(prepare_schema, schema, CHECKER)
    assert (prepared.schema, prepared.wrapped) == (sent, wrapped)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "objct"}, "schema: type: 'objct'"),
        ({"$ref": "http://example.org/a.json"}, "schema: "),
        ({"$ref": "#/$defs/none"}, "schema: "),
        ({"type": "string", "pattern": "("}, "schema: "),
        ({"type": "array", "items": {"enum": []}}, "schema: items.enum: it is empty, so no value fits"),
        (
            {"type": "object", "properties": {"a": {}}, "required": ["a", "b"], "additionalProperties": False},
            'schema: required: "b" is not among the properties, and no others are allowed',
        ),
        ("string", "a JSON Schema is a dict"),
        ([], "a JSON Schema is a dict"),
        (True, "a JSON Schema is a dict"),
    ],
)
def test_a_wrong_schema_is_a_setup_error(schema: JSON, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        trio.run(prepare_schema, schema, CHECKER)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        # a list of trees, by a definition, a pointer into the schema, and the schema as a whole
        (
            {
                "type": "array",
                "items": {"$ref": "#/$defs/tree"},
                "$defs": {"tree": {"type": "object", "properties": {"sub": {"$ref": "#"}}, "required": ["sub"]}},
            },
            [{"sub": [{"sub": []}]}],
            [{"sub": [{"sub": 5}]}],
        ),
        (
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"$ref": "#/prefixItems/0"}],
            },
            [1, 2],
            [1, "x"],
        ),
        (
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "$ref": "#/definitions/n",
                "definitions": {"n": {"type": "null"}},
            },
            None,
            1,
        ),
        # names of properties that look like keywords
        (
            {
                "anyOf": [
                    {"properties": {"default": {"$ref": "#/anyOf/1"}, "$ref": {"$ref": "#/$defs/n"}}, "type": "object"},
                    {"type": "integer"},
                ],
                "$defs": {"n": {"type": "integer"}},
            },
            {"default": 1, "$ref": 2},
            {"default": "x"},
        ),
        ({"type": "array", "items": {"const": {"$ref": "#/x"}}}, [{"$ref": "#/x"}], [{"$ref": "#/properties/value/x"}]),
    ],
)  # fmt: skip
def test_references_still_lead_where_they_led_after_wrapping(schema: JSON, good: JSON, bad: JSON) -> None:
    assert _judge(schema, {"value": good}) == Judged(answer=good)
    assert _judge(schema, {"value": bad}).problems


def test_a_wrapped_answer_counts_without_its_wrapping_too() -> None:
    schema: JSON = {"type": "array", "items": {"type": "integer"}}
    assert _judge(schema, {"value": [1]}) == _judge(schema, [1]) == Judged(answer=[1])
    assert _judge(schema, {"value": [1], "more": 2}).problems
    assert _judge({}, {"value": 1, "more": 2}) == Judged(answer={"value": 1, "more": 2})
    assert _judge({"type": "object", "required": ["value"]}, {"value": 1}) == Judged(answer={"value": 1})


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' \n{"a": 1}\n',
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}\n```\n',
        'Here it is:\n```JSON\n{"a": 1}\n```\nI hope it helps.',
        '```json\n{"a": 1}',
    ],
)
def test_json_is_found_bare_and_in_a_fence(text: str) -> None:
    assert _judge_text({"type": "object"}, text) == Judged(answer={"a": 1})


@pytest.mark.parametrize("text", ["", "no", "{", '{"a": 1} and more', "```python\n{}\n```", "NaN", "[" * 100_000])
def test_what_is_no_json_is_a_problem_and_no_answer(text: str) -> None:
    (problem,) = _judge_text({}, text).problems
    assert problem.startswith("it is not JSON")


def test_a_fence_inside_of_a_string_is_part_of_the_answer() -> None:
    assert _judge_text({"type": "object"}, '{"code": "```json\\n1\\n```"}').answer == {"code": "```json\n1\n```"}


def test_a_flood_of_problems_is_bounded() -> None:
    judged = _judge({"type": "array", "items": {"type": "integer"}}, ["x" * 10_000] * 1_000)
    assert len(judged.problems) <= 11
    assert sum(map(len, judged.problems)) < 6_000


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=_json)
def test_any_json_value_comes_back_unchanged_through_the_wrapping(value: JSON) -> None:
    assert _judge({}, {"value": value}).answer == value


@given(text=st.text())
def test_any_text_parses_or_raises_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_json(text)
