"""How a workflow's arguments are written on a command line, for help and for messages."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vibe_workflows.catalog.arguments import ArgumentOption

_VALUES = {"string": "TEXT", "integer": "N", "number": "X", "boolean": "", "array": "A,B,...", "object": "JSON"}


def command_line(target: str) -> str:
    """`vibe NAME`, or `vibe run FILE`."""
    by_path = "/" in target or target.endswith(".py") or target == "-"
    return f"vibe run {shlex.quote(target)}" if by_path else f"vibe {target}"


def takes_bare_words(option: ArgumentOption) -> bool:
    """Whether it can be given without its name: a text, or a list of texts."""
    return option.kind == "string" or (option.kind == "array" and option.items == "string")


def needs_json(option: ArgumentOption) -> bool:
    """Whether it is nested, which no option can say."""
    return option.kind == "object" or (option.kind == "array" and option.items in ("object", "array"))


def spelled(option: ArgumentOption, own: Sequence[str] = ()) -> str:
    """As the left side of a list of options. A name that is Vibe's own is a pair."""
    if needs_json(option):
        return f"{option.name}:=JSON"
    value = _value(option)
    if option.flag[2:] in own:
        return f"{option.name}={value or 'true|false'}"
    if option.kind == "boolean":
        return f"{option.flag} / --no-{option.flag[2:]}"
    return f"{option.flag} {value}"


def example(target: str, options: Sequence[ArgumentOption]) -> str:
    """A whole command that gives these."""
    if len(options) == 1 and options[0].kind == "string" and options[0].required and not options[0].choices:
        return f'{command_line(target)} "{options[0].name.upper().replace("_", " ")}"'
    return " ".join([command_line(target), *(_given(option) for option in options)])


def _given(option: ArgumentOption) -> str:
    if needs_json(option):
        inner = ", ".join(f'"{key}": ...' for key in option.keys[:3])
        return f"{option.name}:='{f'[{{{inner}}}]' if option.kind == 'array' else f'{{{inner}}}'}'"
    if option.default is not None and option.kind not in ("array", "boolean"):
        return f"{option.flag} {shlex.quote(default_of(option))}"
    if option.choices:
        return f"{option.flag} {shlex.quote(option.choices[0])}"
    return f"{option.flag} {_value(option)}".rstrip()


def _value(option: ArgumentOption) -> str:
    if option.choices:
        return "|".join(option.choices) + (",..." if option.kind == "array" else "")
    return _VALUES[option.kind]


def default_of(option: ArgumentOption) -> str:
    """As it can be typed: a text as it is, a list of texts with commas, anything else as JSON."""
    value = option.default
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
