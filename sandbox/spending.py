"""The scopes of a script: fan-outs, branches, phases and budgets, what each may use and what it has used.

The host keeps its own books and decides; these answer `budget.remaining()` without a question to the host, from the
answers that the script has seen, so that a loop on it takes the same turns in a rerun.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from .channel import Channel
from .script_errors import misuse

MAX_DEPTH = 64

Limits: TypeAlias = Mapping[str, int | float]
_NO_LIMITS: Limits = {}
_PER_USD = 1_000_000


class Scope:
    __slots__ = ("closed", "depth", "id", "limits", "microusd", "opened_s", "parent", "plain_phase", "steps", "tokens")

    def __init__(self, number: int, parent: Scope | None, limits: Limits, opened_s: float, plain_phase: bool = False):
        self.id = number
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.limits = limits
        self.opened_s = opened_s
        self.plain_phase = plain_phase
        self.closed = False
        self.tokens = 0
        self.microusd = 0
        self.steps = 0


class ScriptScopes:
    """Opens and closes scopes on the wire, and keeps what each has used."""

    def __init__(self, channel: Channel, limits: Limits) -> None:
        self._channel = channel
        self._last_id = 0
        self._clock_s = 0.0  # age of the run, as the latest answer told it
        self.run = Scope(0, None, limits, 0.0)

    def open(
        self,
        kind: str,
        parent: Scope,
        line: int,
        *,
        branches: int = 0,
        limits: Limits | None = None,
        title: str | None = None,
        model: str | None = None,
        plain_phase: bool = False,
    ) -> Scope:
        """Open a scope below `parent`, its branches' ids behind its own. Raises SetupError beyond the largest depth."""
        if parent.depth + 2 > MAX_DEPTH:
            raise misuse(f"{kind}: fan-outs, phases and budgets nest at most {MAX_DEPTH} deep")
        scope = Scope(self._last_id + 1, parent, limits or _NO_LIMITS, self._clock_s, plain_phase)
        self._last_id += 1 + branches
        frame: dict[str, Any] = {"t": "open", "id": scope.id, "parent": parent.id, "kind": kind, "line": line}
        if branches:
            frame["branches"] = branches
        if limits:
            frame["limits"] = limits
        if title is not None:
            frame["title"] = title
        if model is not None:
            frame["model"] = model
        self._channel.send(frame)
        return scope

    def branch(self, fan_out: Scope, index: int) -> Scope:
        """The scope of one branch; the fan-out's frame opened it on the wire."""
        return Scope(fan_out.id + 1 + index, fan_out, _NO_LIMITS, self._clock_s)

    def close(self, scope: Scope) -> None:
        """End `scope` with all below it."""
        scope.closed = True
        self._channel.send({"t": "close", "id": scope.id})

    def close_branch(self, fan_out: Scope, index: int) -> None:
        """End one branch with all below it, before its fan-out ends."""
        self._channel.send({"t": "close", "id": fan_out.id + 1 + index})

    def charge(self, scope: Scope | None, *, tokens: int, microusd: int, steps: int, clock_s: float) -> None:
        """Book an answer in `scope` and all above it."""
        if clock_s > self._clock_s:
            self._clock_s = clock_s
        while scope is not None:
            scope.tokens += tokens
            scope.microusd += microusd
            scope.steps += steps
            scope = scope.parent

    # ------------------------------------------------------------ what `budget` tells

    def total(self, scope: Scope, unit: str) -> float | None:
        """The limit of the nearest scope that limits `unit`."""
        key = _key(unit)
        limiting = _limiting(scope, key)
        return None if limiting is None else _in_unit(limiting.limits[key], unit)

    def spent(self, scope: Scope, unit: str) -> float:
        """What was used in the nearest scope that limits `unit`, or in the run where none does."""
        key = _key(unit)
        return _in_unit(self._used(_limiting(scope, key) or self.run, key), unit)

    def remaining(self, scope: Scope, unit: str) -> float:
        """What every enclosing limit leaves, at least 0; infinite where there is no limit."""
        key = _key(unit)
        left: float = math.inf
        limiting = _limiting(scope, key)
        while limiting is not None:
            left = min(left, limiting.limits[key] - self._used(limiting, key))
            limiting = _limiting(limiting.parent, key)
        return left if left == math.inf else _in_unit(max(left, 0), unit)

    def _used(self, scope: Scope, key: str) -> float:
        if key == "seconds":
            return self._clock_s - scope.opened_s
        used: int = getattr(scope, key)
        return used


def _limiting(scope: Scope | None, key: str) -> Scope | None:
    while scope is not None and key not in scope.limits:
        scope = scope.parent
    return scope


def _key(unit: str) -> str:
    if unit not in ("tokens", "usd", "steps", "seconds"):
        raise misuse(f'budget: the units are "tokens", "usd", "steps" and "seconds", not {unit!r}')
    return "microusd" if unit == "usd" else unit


def _in_unit(amount: float, unit: str) -> float:
    return amount / _PER_USD if unit == "usd" else amount
