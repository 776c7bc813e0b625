"""Answers in a schema, on every provider.

A provider takes plain schemas of objects only, so others are wrapped as {"value": ...}. With a native JSON-schema mode
the answer comes as text, else as the arguments of a submit tool. Either way it is validated in the locked worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct

from ..errors import SetupError
from ..model import JSON, ToolSpec
from ..ports import Checker
from .prompts import PROMPTS_VERSION, SUBMIT_DESCRIPTION, SUBMIT_TOOL

#: How often problems go back to the model before the step fails.
MAX_REPAIRS = 2

_Change: TypeAlias = Callable[[dict[str, JSON]], dict[str, JSON]]

_WRAP = "value"
_SHOWN_PROBLEMS = 10
_SHOWN_CHARS = 500
_SHARED = ("$defs", "definitions")
_LITERALS = frozenset({"const", "default", "enum", "example", "examples"})  # data: a "$ref" in them is no reference
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", *_SHARED})  # maps from names to schemas

#: What providers refuse at the top of a schema, if it is an object's or not.
_NOT_ON_TOP = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "if", "not", "oneOf"})


class PreparedSchema(Struct, frozen=True, kw_only=True):
    """A schema that was checked, as providers take it."""

    schema: dict[str, JSON]
    wrapped: bool

    @property
    def submit_tool(self) -> ToolSpec:
        return ToolSpec(
            name=SUBMIT_TOOL, description=SUBMIT_DESCRIPTION, parameters=self.schema, version=PROMPTS_VERSION
        )


class Judged(Struct, frozen=True, kw_only=True):
    """`answer` counts where there are no problems."""

    answer: JSON = None
    problems: tuple[str, ...] = ()


async def prepare_schema(schema: JSON, checker: Checker) -> PreparedSchema:
    """Raises SetupError where the schema itself is wrong."""
    if not isinstance(schema, dict):
        raise SetupError(f'schema: a JSON Schema is a dict such as {{"type": "object", ...}}, not {_shown(schema)}')
    try:
        problems = await checker.check_schema(schema)
    except ValueError as error:
        raise SetupError(f"schema: {error}") from error
    if problems:
        raise SetupError(f"schema: {'; '.join(_bounded(problems))}")
    schema = _complete(schema)
    objects = schema.get("type") == "object" or ("type" not in schema and isinstance(schema.get("properties"), dict))
    if not objects or not _NOT_ON_TOP.isdisjoint(schema):
        return PreparedSchema(schema=_wrap(schema), wrapped=True)
    return PreparedSchema(schema={"type": "object", "properties": {}, **schema}, wrapped=False)


async def judge_text(prepared: PreparedSchema, text: str, checker: Checker) -> Judged:
    """Take `text` as the answer: JSON, bare or in a code fence."""
    try:
        value = parse_json(_unfenced(text))
    except ValueError as error:
        return Judged(problems=(f"it is not JSON: {str(error).removeprefix('JSON is malformed: ')}",))
    return await judge(prepared, value, checker)


async def judge(prepared: PreparedSchema, value: JSON, checker: Checker) -> Judged:
    """Validate a value as it came. A wrapped one counts without its wrapping too: models leave it out."""
    if prepared.wrapped and not (isinstance(value, dict) and value.keys() == {_WRAP}):
        value = {_WRAP: value}
    try:
        verdict = await checker.validate(prepared.schema, value)
    except ValueError as error:
        # The value may have been chosen to make the check expensive: this fails its own step, never the run.
        return Judged(problems=(f"it could not be checked: {error}",))
    if verdict.problems:
        return Judged(problems=_bounded(verdict.problems))
    return Judged(answer=value[_WRAP] if prepared.wrapped and isinstance(value, dict) else value)


def parse_json(text: str) -> JSON:
    """Strict JSON (no NaN, no lone surrogates). Raises ValueError with a message for the author of the text."""
    try:
        value: JSON = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def _unfenced(text: str) -> str:
    """The inside of the first code fence where the text is not JSON from its first character."""
    text = text.strip()
    if text[:1] in ("{", "["):
        return text
    _, fence, rest = text.partition("```")
    if not fence:
        return text
    head, newline, body = rest.partition("\n")
    if not newline or head.strip().lower() not in ("", "json"):
        return text
    return body.rpartition("```")[0].strip() or body.strip()


def _wrap(schema: dict[str, JSON]) -> dict[str, JSON]:
    """{"value": schema}. Shared definitions move to the new root, and references follow what they point to."""
    moved = schema if "$id" in schema else _rebased(schema)  # with an $id, references start from it
    shared = {} if "$id" in schema else {name: moved[name] for name in _SHARED if name in moved}
    inner: JSON = {name: part for name, part in moved.items() if name not in shared and name != "$schema"}
    outer: dict[str, JSON] = {"$schema": schema["$schema"]} if "$schema" in schema else {}
    outer |= {
        "type": "object",
        "properties": {_WRAP: inner},
        "required": [_WRAP],
        "additionalProperties": False,
    }
    return outer | shared


def _complete(schema: dict[str, JSON]) -> dict[str, JSON]:
    """The same schema with the `items` of every array, which providers want even where they may be anything."""
    return _mapped(schema, _with_items)


def _with_items(schema: dict[str, JSON]) -> dict[str, JSON]:
    lacking = schema.get("type") == "array" and "items" not in schema and "prefixItems" not in schema
    return {**schema, "items": {}} if lacking else schema


def _rebased(schema: dict[str, JSON]) -> dict[str, JSON]:
    """The same schema, one level further down."""
    return _mapped(schema, _with_moved_reference)


def _with_moved_reference(schema: dict[str, JSON]) -> dict[str, JSON]:
    reference = schema.get("$ref")
    return {**schema, "$ref": _moved(reference)} if isinstance(reference, str) else schema


def _mapped(schema: dict[str, JSON], change: _Change) -> dict[str, JSON]:
    """`schema` with a change made to it and to every schema in it; never to data or to maps from names to schemas."""
    return change({name: _mapped_keyword(name, value, change) for name, value in schema.items()})


def _mapped_keyword(name: str, value: JSON, change: _Change) -> JSON:
    if name in _LITERALS:
        return value
    if name in _NAMED and isinstance(value, dict):
        return {key: _mapped_part(part, change) for key, part in value.items()}
    return _mapped_part(value, change)


def _mapped_part(part: JSON, change: _Change) -> JSON:
    if isinstance(part, list):
        return [_mapped_part(item, change) for item in part]
    return _mapped(part, change) if isinstance(part, dict) else part


def _moved(reference: str) -> str:
    if reference != "#" and not reference.startswith("#/"):
        return reference  # an anchor
    if reference.startswith(tuple(f"#/{name}/" for name in _SHARED)):
        return reference
    return f"#/properties/{_WRAP}{reference[1:]}"


def _bounded(problems: Sequence[str]) -> tuple[str, ...]:
    shown = tuple(problem[:_SHOWN_CHARS] for problem in problems[:_SHOWN_PROBLEMS])
    return shown if len(problems) <= _SHOWN_PROBLEMS else (*shown, f"and {len(problems) - _SHOWN_PROBLEMS} more")


def _shown(value: JSON) -> str:
    return msgspec.json.encode(value).decode()[:80]
