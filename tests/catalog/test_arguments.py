"""From the command line to the `args` of a script, checked by the real locked worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from vibe_workflows.catalog.arguments import argument_options, bind_arguments, collect_arguments
from vibe_workflows.catalog.index import Index
from vibe_workflows.cli.arguments import pair_of
from vibe_workflows.engine.errors import WorkflowError
from vibe_workflows.engine.model import JSON
from vibe_workflows.sandbox.checker import open_checker
from vibe_workflows.sandbox.launcher import Zygote

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "default": ".", "description": "where"},
        "max_files": {"type": "integer", "minimum": 1},
        "ratio": {"type": "number"},
        "deep": {"type": "boolean", "default": False},
        "tags": {"type": "array", "items": {"type": "string"}},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "mode": {"enum": ["fast", "slow", 3]},
        "maybe": {"type": ["null", "integer"]},
        "extra": {"type": "object"},
        "any": {},
        "open": True,
    },
}


def collect(*words: str, schema: dict[str, Any] | None = SCHEMA, **more: Any) -> dict[str, JSON]:
    named = dict(filter(None, map(pair_of, words)))
    return collect_arguments(schema, named=named, cwd=more.pop("cwd", Path("/")), **more)


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("path=src", "path", "src"),
        ("path=", "path", ""),
        ("path=a=b", "path", "a=b"),
        ("path=7", "path", "7"),
        ("max_files=7", "max_files", 7),
        ("max_files=-7", "max_files", -7),
        ("ratio=7", "ratio", 7),
        ("ratio=1e-3", "ratio", 0.001),
        ("deep=yes", "deep", True),
        ("deep=0", "deep", False),
        ("tags=a, b", "tags", ["a", "b"]),
        ("tags=", "tags", []),
        ('tags=["a,b"]', "tags", ["a,b"]),
        ("sizes=1,2", "sizes", [1, 2]),
        ("mode=fast", "mode", "fast"),
        ("mode=3", "mode", 3),
        ("mode=other", "mode", "other"),
        ("maybe=4", "maybe", 4),
        ('extra={"a": 1}', "extra", {"a": 1}),
        ("any=4", "any", "4"),
        ("open=4", "open", "4"),
        ("path:=null", "path", None),
        ("any:=[1, 2.5]", "any", [1, 2.5]),
        ("max_files:=9", "max_files", 9),
    ],
)
def test_text_is_converted_by_the_schema_and_json_taken_as_it_is(word: str, name: str, value: JSON) -> None:
    assert collect(word) == {name: value}


def test_without_a_schema_every_name_is_taken_as_text() -> None:
    assert collect("a=1", "b:=1", schema=None) == {"a": "1", "b": 1}


def test_what_is_named_stands_above_the_document_also_where_it_is_null(tmp_path: Path) -> None:
    (tmp_path / "args.json").write_text('{"path": "x", "max_files": 1}')
    given = collect("path=y", "tags=a,b", "max_files:=null", document="@args.json", cwd=tmp_path)
    assert given == {"path": "y", "max_files": None, "tags": ["a", "b"]}


@pytest.mark.parametrize(
    ("words", "document", "message"),
    [
        (["pth=x"], None, "the workflow has no argument `pth`; did you mean `path`?"),
        (["zzz=x"], None, "the workflow has no argument `zzz`; it takes `path`, `max_files`"),
        (["max_files=many"], None, "argument `max_files`: a whole number is needed, not `many`"),
        (["ratio=nan"], None, "argument `ratio`: a number is needed, not `nan`"),
        (["deep=perhaps"], None, "argument `deep`: true or false is needed, not `perhaps`"),
        (["sizes=1,x"], None, "argument `sizes`: a whole number is needed, not `x`"),
        (["extra=1"], None, "argument `extra`: a JSON object is needed"),
        (["extra={a: 1}"], None, "argument `extra`: not valid JSON: Expecting property name"),
        (["extra=NaN"], None, "argument `extra`: not valid JSON: NaN is no JSON value"),
        (["tags=" + "[" * 100_000], None, "argument `tags`: not valid JSON"),
        ([], "[1]", "--args: a JSON object is needed"),
        ([], "@none.json", "--args @none.json: cannot be read: No such file"),
        ([], '{"zzz": 1}', "the workflow has no argument `zzz`"),
    ],
)
def test_wrong_input_names_the_argument_and_the_next_move(words: list[str], document: str | None, message: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        collect(*words, document=document)
    assert message in caught.value.message


@pytest.mark.parametrize("more", [{"additionalProperties": True}, {"additionalProperties": {"type": "string"}}])
def test_a_schema_may_let_other_names_in(more: dict[str, Any]) -> None:
    assert collect("zzz=1", schema=SCHEMA | more) == {"zzz": "1"}


def test_properties_become_options() -> None:
    schema = SCHEMA | {"required": ["max_files", "path"]}
    options = {option.name: option for option in argument_options(schema)}
    assert list(options) == list(SCHEMA["properties"])
    assert (options["path"].kind, options["path"].default, options["path"].required) == ("string", ".", False)
    assert options["path"].description == "where"
    assert (options["max_files"].flag, options["max_files"].required) == ("--max-files", True)
    assert (options["sizes"].kind, options["sizes"].items) == ("array", "integer")
    assert options["mode"].choices == ("fast", "slow", "3")
    assert (options["maybe"].kind, options["open"].kind) == ("integer", "string")
    assert argument_options(None) == ()


# ---------------------------------------------------------------- binding


def bind(
    zygote: Zygote, given: Mapping[str, JSON], schema: dict[str, Any] | None = SCHEMA, memo: Index | None = None
) -> bytes:
    async def main() -> bytes:
        async with open_checker(zygote) as checker:
            return await bind_arguments(schema, given, checker, memo)

    return trio.run(main)


def test_defaults_are_filled_in_and_what_is_missing_is_none(zygote: Zygote) -> None:
    bound = json.loads(bind(zygote, {"max_files": 3, "ratio": None}))
    assert bound == {**dict.fromkeys(SCHEMA["properties"]), "path": ".", "deep": False, "max_files": 3}


def test_equal_arguments_are_equal_bytes(zygote: Zygote) -> None:
    assert bind(zygote, {"path": "a", "any": 1}) == bind(zygote, {"any": 1, "path": "a"})
    assert bind(zygote, {"b": 1, "a": "ä"}, schema=None) == '{"a":"ä","b":1}'.encode()


@pytest.mark.parametrize(
    ("given", "schema", "message"),
    [
        ({"max_files": 0}, SCHEMA, "the arguments do not fit: max_files: 0 is less than the minimum of 1"),
        ({"mode": "other"}, SCHEMA, "the arguments do not fit: mode: 'other' is not one of"),
        ({}, SCHEMA | {"required": ["ratio", "any"]}, "argument `ratio` is missing, and `any`; give --ratio VALUE"),
        ({}, {"type": "object", "properties": {"a": {"type": "txt"}}}, 'meta["args"] is no sound JSON Schema'),
        (
            {"a": "a" * 40},
            {"properties": {"a": {"pattern": "^(a+)+$b"}}},
            'the arguments cannot be checked by meta["args"]',
        ),
        ({"a": "\udcff"}, None, "the arguments hold text that is not UTF-8"),
    ],
)
def test_what_does_not_fit_is_an_error_before_anything_runs(
    zygote: Zygote, given: dict[str, JSON], schema: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(WorkflowError) as caught:
        bind(zygote, given, schema)
    assert message in caught.value.message


class NoChecker:
    """Fails the test when it is asked anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the locked worker was needed: {name}")


def test_a_rerun_needs_no_worker(zygote: Zygote, tmp_path: Path) -> None:
    with Index(tmp_path) as memo:
        first = bind(zygote, {"max_files": 3}, memo=memo)

        async def again() -> bytes:
            return await bind_arguments(SCHEMA, {"max_files": 3}, NoChecker(), memo)

        assert trio.run(again) == first
        with pytest.raises(AssertionError, match="was needed"):
            trio.run(bind_arguments, SCHEMA, {"max_files": 4}, NoChecker(), memo)
