"""Arguments of a tool call: one msgspec struct a tool, which is also the JSON Schema that the model sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from ...errors import ToolFailed
from ...model import JSON, Fault
from ...nearest import nearest

A = TypeVar("A", bound=msgspec.Struct)


class BadArguments(ToolFailed):
    """The arguments do not fit the tool, which has looked at nothing: a model gets the text, a script is wrong."""

    def to_fault(self) -> Fault:
        return ToolFailed(self.message).to_fault()  # the name that scripts know


def parameters_of(arguments: type[msgspec.Struct]) -> dict[str, JSON]:
    """The JSON Schema of a struct of plain fields, without references."""
    _, definitions = msgspec.json.schema_components([arguments])
    schema: dict[str, JSON] = definitions[arguments.__name__]
    schema.pop("title")
    schema.setdefault("required", [])
    return schema


def given(arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    """The arguments without nulls: models send null for what they leave out."""
    return {name: value for name, value in arguments.items() if value is not None}


def parse(tool: str, kind: type[A], arguments: Mapping[str, JSON]) -> A:
    """Raises BadArguments with the parameters that the tool takes."""
    values = given(arguments)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise BadArguments(f"{tool}: {_problem(kind, values, str(error))}") from error


def _problem(kind: type[msgspec.Struct], values: Mapping[str, JSON], said: str) -> str:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    takes = f"it takes {', '.join(fields)}"
    for name in values:
        if name not in fields:
            near = nearest(name, fields)
            return f"no parameter `{name}`; {f'did you mean `{near}`? ' if near else ''}{takes}"
    for name, field in fields.items():
        if field.required and name not in values:
            return f"`{name}` is missing; {takes}"
    what, _, where = said.partition(" - at `$.")
    return f"{where.rstrip('`') or 'arguments'}: {what[:1].lower()}{what[1:]}"
