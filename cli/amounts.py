"""Ages and sizes as a person gives them in options: 30d, 500MB."""

from __future__ import annotations

import re

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_AMOUNT = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]+)\s*", re.IGNORECASE)


class _Amount(click.ParamType[float]):
    def __init__(self, name: str, units: dict[str, int], example: str) -> None:
        self.name = name
        self._units = units
        self._example = example

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = _AMOUNT.fullmatch(str(value))
        unit = self._units.get(found[2].lower()) if found else None
        if found is None or unit is None:
            units = ", ".join(self._units)
            self.fail(
                f"{str(value)!r} is no {self.name}; write a number and its unit ({units}): {self._example}", param, ctx
            )
        return float(found[1]) * unit


AGE = _Amount("age", _SECONDS, "30d")
SIZE = _Amount("size", _BYTES, "500MB")
