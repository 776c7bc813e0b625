"""Answers in a schema, on every provider.

A provider takes schemas of objects only, so others are wrapped as {"value": ...}. With a native JSON-schema mode the
answer comes as text, else as the arguments of a submit tool. Either way it is validated in the locked worker.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from ..errors import SetupError
from ..model import JSON, ToolSpec
from ..ports import Checker
from .prompts import PROMPTS_VERSION, SUBMIT_DESCRIPTION, SUBMIT_TOOL

#: How often problems go back to the model before the step fails.
MAX_REPAIRS = 2

_WRAP = "value"
_SHOWN_PROBLEMS = 10
_SHOWN_CHARS = 500
_SHARED = ("$defs", "definitions")
_LITERALS = frozenset({"const", "default", "enum", "example", "examples"})  # data: a "$ref" in them is no reference
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", *_SHARED})  # maps from names to schemas


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
    if schema.get("type") == "object":
        return PreparedSchema(schema=schema, wrapped=False)
    if "type" not in schema and isinstance(schema.get("properties"), dict):
        return PreparedSchema(schema={"type": "object", **schema}, wrapped=False)
    return PreparedSchema(schema=_wrap(schema), wrapped=True)


async def judge_text(prepared: PreparedSchema, text: str, checker: Checker) -> Judged:
    """Take `text` as the answer: JSON, bare or in a code fence."""
    try:
        value = parse_json(_unfenced(text))
    except ValueError as error:
        return Judged(problems=(f"it is not JSON: {error}",))
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
    if not isinstance(moved, dict):
        raise TypeError("a schema that is a dict stays one")
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


def _rebased(part: JSON) -> JSON:
    """A schema, or a list of them, with its references moved."""
    if isinstance(part, list):
        return [_rebased(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {name: _rebased_keyword(name, value) for name, value in part.items()}


def _rebased_keyword(name: str, value: JSON) -> JSON:
    if name == "$ref" and isinstance(value, str):
        return _moved(value)
    if name in _LITERALS:
        return value
    if name in _NAMED and isinstance(value, dict):
        return {key: _rebased(schema) for key, schema in value.items()}
    return _rebased(value)


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
