"""Parsers of plain config values. Each takes `(value, text)` and raises ValueError.

`text` says that the value came from the environment or a flag, where numbers, switches and mappings are text, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from .grants import GRANTS, PARTED_GROUPS
from .nearest import did_you_mean

Parser = Callable[[object, bool], object]

_SHOWN_CHARS = 80


def number(value: object) -> float | None:
    """A finite number, also one that is written as text; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def shown(value: object) -> str:
    """A wrong value, as a message quotes it."""
    text = value if isinstance(value, str) else repr(value)
    return f"`{text}`" if len(text) <= _SHOWN_CHARS else f"`{text[: _SHOWN_CHARS - 1]}…`"


def whole_number(low: int, high: int) -> Parser:
    def parse(value: object, text: bool) -> int:
        if text and isinstance(value, str) and re.fullmatch(r"[+-]?\d(_?\d){0,15}", value.strip(), re.ASCII):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"a whole number is needed, not {shown(value)}")
        if not low <= value <= high:
            raise ValueError(f"a number from {low:,} to {high:,} is needed, not {value:,}")
        return value

    return parse


def seconds(value: object, text: bool) -> float:
    found = number(value) if text or not isinstance(value, str) else None
    if found is None or not 0 < found <= 86_400:
        raise ValueError(f"a number of seconds, above 0 and at most 86,400, is needed, not {shown(value)}")
    return found


def switch(value: object, text: bool) -> bool:
    if text and isinstance(value, str):
        if value.strip().lower() in ("1", "true", "yes", "on"):
            return True
        if value.strip().lower() in ("", "0", "false", "no", "off"):
            return False
    if not isinstance(value, bool):
        raise ValueError(f"true or false is needed, not {shown(value)}")
    return value


def choice(*choices: str) -> Parser:
    def parse(value: object, text: bool) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)} is needed, not {shown(value)}")
        return str(value)

    return parse


def path(value: object, text: bool) -> str:
    named = str(value)
    if isinstance(value, bool | int | float | Mapping | list) or not named or "\0" in named:
        raise ValueError(f"a path is needed, not {shown(value)}")
    return named


def address(value: object, text: bool) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value):
        raise ValueError(
            f"an address such as `http://localhost:8000/v1` is needed, without user or password, not {shown(value)}"
        )
    return value.rstrip("/")


def mapping(value: object, text: bool, sample: Mapping[str, object]) -> Mapping[object, object]:
    """`key: value` lines; from the environment a JSON object. `sample` is what the message shows."""
    held = from_json(value) if text else value
    if isinstance(held, Mapping):
        return held
    import json  # only on the way to an error message

    example = json.dumps(sample)
    if text:
        raise ValueError(f"a JSON object is needed, such as `{example}`, not {shown(value)}")
    example = example.replace('"', "")
    raise ValueError(f"`key: value` lines are needed, such as `{example}`, not {shown(value)}")


def from_json(value: object) -> object:
    """What a text says in JSON; a value that is no text, or is no JSON, as it is."""
    if not isinstance(value, str):
        return value
    import json  # only where such a variable is set

    try:
        held: object = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return held


def names(value: object, text: bool) -> list[str]:
    """A list of texts; from environment and flags also one text with commas."""
    if text and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"a list of names is needed, such as `[one, two]`, not {shown(value)}")
    return list(value)


def folders(value: object, text: bool) -> dict[str, None]:
    return {path(folder, text): None for folder in names(value, text)}


def hidden(value: object, text: bool) -> frozenset[str]:
    return frozenset(name.replace("_", "-") for name in names(value, text))


def variables(value: object, text: bool) -> tuple[str, ...]:
    found = names(value, text)
    for name in found:
        if "=" in name or "\0" in name:
            raise ValueError(
                f"{shown(name)} is no name of an environment variable; its value is that of your environment"
            )
    return tuple(dict.fromkeys(found))


def grants(value: object, text: bool = False) -> dict[str, None]:
    given = names(value, text)
    for grant in given:
        group, colon, rest = grant.partition(":")
        if group not in GRANTS or (colon and not rest) or not grant.isprintable():
            raise ValueError(
                f"`{grant}` is no grant such as `write` or `command:pytest`; {did_you_mean(group, GRANTS)}"
            )
        if colon and group not in PARTED_GROUPS:
            raise ValueError(f"`{grant}` is no grant: `{group}` has no parts, and is granted as a whole or not at all")
    return dict.fromkeys(given)
