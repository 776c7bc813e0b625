"""Every key of the configuration: its type, its default, and who may set it. A new key is one line of `KEYS`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from .nearest import did_you_mean
from .routing import model_name, parse_routing

Parser = Callable[[object, bool], object]


class Reach(StrEnum):
    """What a project's own file may do with a key before the person trusts that file."""

    FREE = "free"  # set it
    LOWER = "lower"  # lower it, below what the person's own config says
    PERSON = "person"  # nothing: it counts from user config, environment and flags


class Key(NamedTuple):
    """`parse(value, text)` raises ValueError; `text` says that a number may come as text (environment, flags).

    `merged`: the value is a mapping whose entries merge across layers, one by one, instead of replacing each other.
    """

    name: str
    parse: Parser
    default: object
    reach: Reach
    about: str
    merged: bool = False

    @property
    def variable(self) -> str:
        return "VIBE_" + self.name.replace(".", "_").upper()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace(".", "-").replace("_", "-")


# ---------------------------------------------------------------- parsers


def _shown(value: object) -> str:
    return f"`{value}`" if isinstance(value, str) else f"`{value!r}`"[:80]


def whole_number(low: int, high: int) -> Parser:
    def parse(value: object, text: bool) -> int:
        if text and isinstance(value, str) and re.fullmatch(r"[+-]?\d(_?\d){0,15}", value.strip(), re.ASCII):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"a whole number is needed, not {_shown(value)}")
        if not low <= value <= high:
            raise ValueError(f"a number from {low:,} to {high:,} is needed, not {value:,}")
        return value

    return parse


def _seconds(value: object, text: bool) -> float:
    number = _number(value) if text or not isinstance(value, str) else None
    if number is None or not 0 < number <= 86_400:
        raise ValueError(f"a number of seconds, above 0 and at most 86,400, is needed, not {_shown(value)}")
    return number


def _switch(value: object, text: bool) -> bool:
    if text and isinstance(value, str):
        if value.strip().lower() in ("1", "true", "yes", "on"):
            return True
        if value.strip().lower() in ("", "0", "false", "no", "off"):
            return False
    if not isinstance(value, bool):
        raise ValueError(f"true or false is needed, not {_shown(value)}")
    return value


def _choice(*choices: str) -> Parser:
    def parse(value: object, text: bool) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)} is needed, not {_shown(value)}")
        return str(value)

    return parse


def _model(value: object, text: bool) -> str:
    return model_name(value)


def _path(value: object, text: bool) -> str:
    shown = str(value)
    if isinstance(value, bool | int | float | Mapping | list) or not shown or "\0" in shown:
        raise ValueError(f"a path is needed, not {_shown(value)}")
    return shown


def _address(value: object, text: bool) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value):
        raise ValueError(
            f"an address such as `http://localhost:8000/v1` is needed, without user or password, not {_shown(value)}"
        )
    return value.rstrip("/")


def _names(value: object, text: bool) -> list[str]:
    """A list of texts; from environment and flags also one text with commas."""
    if text and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"a list of names is needed, such as `[one, two]`, not {_shown(value)}")
    return list(value)


def _folders(value: object, text: bool) -> dict[str, None]:
    return {_path(folder, text): None for folder in _names(value, text)}


def _hidden(value: object, text: bool) -> frozenset[str]:
    return frozenset(name.replace("_", "-") for name in _names(value, text))


_GRANTS = ("read", "write", "command", "web", "net", "mcp")


def parse_grants(value: object, text: bool = False) -> dict[str, None]:
    grants = _names(value, text)
    for grant in grants:
        group, colon, rest = grant.partition(":")
        if group not in _GRANTS or (colon and not rest) or not grant.isprintable():
            raise ValueError(
                f"`{grant}` is no grant such as `write` or `command:pytest`; {did_you_mean(group, _GRANTS)}"
            )
    return dict.fromkeys(grants)


def _aliases(value: object, text: bool) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("`alias: model` lines are needed")
    found: dict[str, str] = {}
    for alias, target in value.items():
        try:
            found[model_name(alias)] = model_name(target)
        except ValueError as error:
            raise ValueError(f"alias `{alias}`: {error}") from error
    return found


def _routing(value: object, text: bool) -> object:
    return parse_routing(value)


# ---------------------------------------------------------------- amounts

_UNITS = ("tokens", "usd", "steps", "seconds")
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000}
_MOST = 1e15  # above any sensible amount, below where floats lose whole numbers


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _tokens(value: object) -> int | None:
    if isinstance(value, str):
        found = re.fullmatch(r"(\d(?:_?\d){0,15}(?:\.\d{1,9})?)\s*([kKmM]?)", value.strip(), re.ASCII)
        if found is None:
            return None
        value = round(float(found[1]) * _SCALE[found[2].lower()])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _dollars(value: object) -> float | None:
    return _number(value.strip().removeprefix("$") if isinstance(value, str) else value)


def _amount(unit: str, value: object) -> float | int:
    amount: float | int | None
    match unit:
        case "tokens":
            amount = _tokens(value)
        case "usd":
            amount = _dollars(value)
        case "steps":
            number = _number(value)
            amount = int(number) if number is not None and number == int(number) else None
        case "seconds":
            amount = _number(value)
        case _:
            raise ValueError(f"`{unit}` is no unit of a budget; {did_you_mean(unit, _UNITS)}")
    if amount is None or not 0 < amount <= _MOST:
        sample = {"tokens": "200k", "usd": "1.50", "steps": "40", "seconds": "600"}[unit]
        raise ValueError(f"{unit} above 0 are needed, such as `{sample}`, not {_shown(value)}")
    return amount


def budget_units(value: object) -> dict[str, float | int]:
    """Limits by unit (tokens, usd, steps, seconds) of `"200k"`, `"$1.50"`, `"200k, steps=40"` or a mapping."""
    if isinstance(value, Mapping):
        given = [(str(unit), amount) for unit, amount in value.items() if amount is not None]
    elif isinstance(value, int) and not isinstance(value, bool):
        given = [("tokens", value)]
    elif isinstance(value, str) and value.strip():
        given = [_part(part.strip()) for part in value.split(",")]
    else:
        raise ValueError(
            f"a budget is `200k` (tokens), `$1.50`, or a mapping of {', '.join(_UNITS)}, not {_shown(value)}"
        )
    found: dict[str, float | int] = {}
    for unit, amount in given:
        if unit in found:
            raise ValueError(f"the budget names {unit} twice; keep one")
        found[unit] = _amount(unit, amount)
    return found


def _part(text: str) -> tuple[str, object]:
    if text.startswith("$"):
        return "usd", text
    unit, sign, amount = text.partition("=")
    return (unit.strip(), amount.strip()) if sign else ("tokens", text)


def _budget(value: object, text: bool) -> object:
    return budget_units(value)


def _max_usd(value: object, text: bool) -> float | None:
    if value == "none":
        return None
    dollars = _dollars(value)
    if dollars is None or not 0 <= dollars <= _MOST:
        raise ValueError(f"dollars are needed, such as `10` or `$2.50`, or `none` for no limit, not {_shown(value)}")
    return dollars


# ---------------------------------------------------------------- the table

_FREE, _LOWER, _PERSON = Reach.FREE, Reach.LOWER, Reach.PERSON

KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key(name="model", parse=_model, default="", reach=_FREE, about="the model of steps that name none"),
        Key(name="aliases", parse=_aliases, default={}, reach=_FREE, about="short names of models", merged=True),
        Key(name="routing", parse=_routing, default=(), reach=_FREE, about="models by phase and label, first match"),
        Key(
            name="concurrency",
            parse=whole_number(1, 1_000),
            default=16,
            reach=_FREE,
            about="steps at work at the same time",
        ),
        Key(
            name="max_tokens",
            parse=whole_number(1, 10_000_000),
            default=16_384,
            reach=_PERSON,
            about="output of one call",
        ),
        Key(
            name="max_turns", parse=whole_number(1, 10_000), default=30, reach=_PERSON, about="turns of one agent step"
        ),
        Key(name="timeout", parse=_seconds, default=600.0, reach=_PERSON, about="seconds of one attempt at a step"),
        Key(name="retries", parse=whole_number(0, 20), default=2, reach=_PERSON, about="further attempts at a step"),
        Key(name="budget", parse=_budget, default={}, reach=_LOWER, about="hard limit of a run", merged=True),
        Key(name="max_usd", parse=_max_usd, default=10.0, reach=_LOWER, about="dollars that one invocation may pay"),
        Key(name="db", parse=_path, default=".vibe/vibe.db", reach=_PERSON, about="the database"),
        Key(name="api_base", parse=_address, default=None, reach=_PERSON, about="address of an OpenAI-like server"),
        Key(
            name="workflows", parse=_folders, default={}, reach=_FREE, about="further folders of workflows", merged=True
        ),
        Key(
            name="allow", parse=parse_grants, default={}, reach=_PERSON, about="what agents may do unasked", merged=True
        ),
        Key(
            name="sandbox.accept",
            parse=_choice("strong", "good", "weak"),
            default="strong",
            reach=_PERSON,
            about="the weakest sandbox that a run may use",
        ),
        Key(
            name="sandbox.memory_mb",
            parse=whole_number(64, 65_536),
            default=256,
            reach=_PERSON,
            about="memory of a script",
        ),
        Key(
            name="sandbox.cpu_s",
            parse=whole_number(1, 86_400),
            default=30,
            reach=_PERSON,
            about="a script's own CPU seconds",
        ),
        Key(
            name="sandbox.calls",
            parse=whole_number(1, 10_000_000),
            default=100_000,
            reach=_PERSON,
            about="calls of one script",
        ),
        Key(
            name="sandbox.log_lines",
            parse=whole_number(1, 10_000_000),
            default=20_000,
            reach=_PERSON,
            about="lines that one script may log",
        ),
        Key(
            name="sandbox.stall_s",
            parse=_seconds,
            default=60.0,
            reach=_PERSON,
            about="seconds of a script's silence while no answer is due",
        ),
        Key(name="catalog.builtin", parse=_switch, default=True, reach=_FREE, about="offer the built-in workflows"),
        Key(
            name="catalog.hide",
            parse=_hidden,
            default=frozenset(),
            reach=_FREE,
            about="built-in workflows not to offer",
        ),
        Key(name="offline", parse=_switch, default=False, reach=_PERSON, about="answer without any model"),
        Key(name="require_model", parse=_switch, default=False, reach=_PERSON, about="a missing model is an error"),
    )
}

SECTIONS = frozenset(name.partition(".")[0] for name in KEYS if "." in name)
