"""Amounts as people write them: tokens, dollars, and the limits of a budget."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .config_values import number, shown
from .nearest import did_you_mean

_UNITS = ("tokens", "usd", "steps", "seconds")
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000}
_MOST = 1e15  # above any sensible amount, below where floats lose whole numbers


def tokens(value: object) -> int | None:
    """A number of tokens, such as 5000, `"200k"` or `"1.5M"`; None where it is none."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d(?:_?\d){0,15}(?:\.\d{1,9})?)\s*([kKmM]?)", value.strip(), re.ASCII)
        if found is None:
            return None
        value = round(float(found[1]) * _SCALE[found[2].lower()])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _dollars(value: object) -> float | None:
    return number(value.strip().removeprefix("$") if isinstance(value, str) else value)


def _amount(unit: str, value: object) -> float | int:
    amount: float | int | None
    match unit:
        case "tokens":
            amount = tokens(value)
        case "usd":
            amount = _dollars(value)
        case "steps":
            count = number(value)
            amount = int(count) if count is not None and count == int(count) else None
        case "seconds":
            amount = number(value)
        case _:
            raise ValueError(f"`{unit}` is no unit of a budget; {did_you_mean(unit, _UNITS)}")
    if amount is None or not 0 < amount <= _MOST:
        sample = {"tokens": "200k", "usd": "1.50", "steps": "40", "seconds": "600"}[unit]
        raise ValueError(f"{unit} above 0 are needed, such as `{sample}`, not {shown(value)}")
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
            f"a budget is `200k` (tokens), `$1.50`, or a mapping of {', '.join(_UNITS)}, not {shown(value)}"
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
    if sign:
        return unit.strip(), amount.strip()
    if not tokens(text):
        lost = "; a shell takes `$1` for a variable: quote it, as in '$1.50'" if text.startswith(".") else ""
        raise ValueError(
            f"tokens such as `200k`, dollars such as `$1.50`, `steps=40` or `seconds=600` are needed, not "
            f"{shown(text)}{lost}"
        )
    return "tokens", text


def max_usd(value: object, text: bool) -> float | None:
    if value == "none":
        return None
    dollars = _dollars(value)
    if dollars is None or not 0 <= dollars <= _MOST:
        raise ValueError(f"dollars are needed, such as `10` or `$2.50`, or `none` for no limit, not {shown(value)}")
    return dollars


def budget(value: object, text: bool) -> dict[str, float | int]:
    return budget_units(value)
