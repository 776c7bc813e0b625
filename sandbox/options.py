"""What the primitives take: one table of checks, and the budgets in all their spellings."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from .script_errors import misuse

#: Returns the value as it goes onto the wire, or raises ValueError with what is wanted: "a number of seconds above 0".
Check: TypeAlias = Callable[[Any], Any]

_MAX_BUDGET = 1 << 53
#: Of one step; the engine checks the same.
MAX_FILES = 100
MAX_PATH_CHARS = 4_096
#: Of a gate; the engine checks the same.
MAX_GATE_WORDS = 100
MAX_WORD_CHARS = 4_096
MAX_GATE_RETRIES = 20
#: The engine checks the same.
_PROFILE = r"[A-Za-z0-9_-]{1,64}"
_UNITS = ("tokens", "usd", "steps", "seconds")
_AMOUNT = r"\s*(\$?)\s*(\d[\d_,]*(?:\.\d+)?|\.\d+)\s*([kKmM]?)\s*"
_AGE = r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*"
_AGE_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MAX_AGE_S = 100 * 366 * 86_400
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000}


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a string that is not empty")
    return value


def _profile(value: Any) -> Any:
    if not isinstance(value, str) or re.fullmatch(_PROFILE, value) is None:
        raise ValueError('the name of a profile, such as "reviewer": letters, digits, `_` and `-`, at most 64')
    return value


def _flag(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _number(low: float, high: float, unit: str) -> Check:
    def check(value: Any) -> Any:
        if not _is_number(value) or not low <= value <= high:
            raise ValueError(f"{unit} from {low:,g} to {high:,g}")
        return value

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a whole number from {low:,} to {high:,}")
        return value

    return check


def _tools(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise ValueError('a list of names of tools or groups, such as ["read"]')
    return list(value)


def _files(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError('a list of paths, such as ["docs/plan.pdf"]')
    if not isinstance(value, list | tuple) or not all(isinstance(path, str) and path for path in value):
        raise ValueError('a list of paths in the project, such as ["docs/plan.pdf"]')
    if len(value) > MAX_FILES:
        raise ValueError(f"at most {MAX_FILES} paths")
    if any(len(path) > MAX_PATH_CHARS for path in value):
        raise ValueError(f"paths of at most {MAX_PATH_CHARS:,} characters")
    return list(value)


def _gate(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError('a list of words, since no shell reads it: ["pytest", "-q"]')
    if not isinstance(value, list | tuple) or not value or not all(isinstance(word, str) for word in value):
        raise ValueError('a command as a list of words, such as ["pytest", "-q"]')
    if not value[0].strip() or any("\0" in word for word in value):
        raise ValueError("words without NUL characters, the first of which is the name of a program")
    if len(value) > MAX_GATE_WORDS or any(len(word) > MAX_WORD_CHARS for word in value):
        raise ValueError(f"at most {MAX_GATE_WORDS} words of at most {MAX_WORD_CHARS:,} characters")
    return list(value)


def _schema(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError('a JSON Schema as a dict, such as {"type": "object", ...}')
    return value


def _function(value: Any) -> Any:
    if not callable(value):
        raise ValueError("a function of a result that gives True or False, such as `lambda found: found is not None`")
    return value


def _cache(value: Any) -> Any:
    if not isinstance(value, bool | str):
        raise ValueError("True, False, or a string that sets its answers apart")
    return value


def _ttl(value: Any) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(_AGE, value)):
        value = float(match[1]) * _AGE_SECONDS[match[2]]
    if not _is_number(value) or not 0 < value <= _MAX_AGE_S:
        raise ValueError('a number of seconds above 0, or a string such as "30m", "24h" or "7d"')
    return value


def budget_limits(value: Any) -> dict[str, int | float]:
    """A budget in any spelling as limits on the wire. Raises ValueError with what is wanted."""
    if isinstance(value, str):
        value = _spelled(value)
    if not isinstance(value, dict):
        raise ValueError('a dict such as {"tokens": 200_000}, or a string such as "200k" or "$1.50"')
    limits: dict[str, int | float] = {}
    for unit, amount in value.items():
        if unit not in _UNITS:
            raise ValueError(f"a dict with {', '.join(_UNITS)} as keys; {unit!r} is none{_nearest(unit, _UNITS)}")
        if amount is None or amount == math.inf:
            continue  # what `budget.remaining()` gives where nothing is limited
        if not _is_number(amount) or not 0 <= amount <= _MAX_BUDGET:
            raise ValueError(f"a budget whose {unit} are a number, at least 0")
        if unit == "usd":
            limits["microusd"] = round(amount * 1_000_000)
        else:
            limits[unit] = float(amount) if unit == "seconds" else int(amount)
    return limits


def _spelled(text: str) -> dict[str, float]:
    match = re.fullmatch(_AMOUNT, text)
    if match is None:
        raise ValueError('a string such as "200k" or "1.5M" for tokens, or "$1.50"')
    amount = float(match[2].replace(",", "").replace("_", "")) * _FACTORS[match[3].lower()]
    return {"usd" if match[1] else "tokens": amount}


#: The options of `agent` beside its prompt.
AGENT_OPTIONS: dict[str, Check] = {
    "label": _name,
    "phase": _name,
    "profile": _profile,
    "model": _name,
    "system": _text,
    "tools": _tools,
    "schema": _schema,
    "files": _files,
    "context": _text,
    "effort": _name,
    "temperature": _number(0, 2, "a number"),
    "max_tokens": _whole(1, 10_000_000),
    "max_turns": _whole(1, 10_000),
    "timeout": _number(0.001, 86_400 * 7, "a number of seconds"),
    "retries": _whole(0, 100),
    "budget": budget_limits,
    "cache": _cache,
    "ttl": _ttl,
    "isolation": lambda value: _one_of(value, ("worktree",)),
    "merge": lambda value: _one_of(value, ("auto", "manual")),
    "gate": _gate,
    "gate_retries": _whole(0, MAX_GATE_RETRIES),
    "detail": _flag,
}

FAN_OUT_OPTIONS: dict[str, Check] = {
    "limit": _whole(1, 1_000_000),
    "on_error": lambda value: _one_of(value, ("none", "return", "raise")),
    "budget": budget_limits,
}

RACE_OPTIONS: dict[str, Check] = {"until": _function}

PHASE_OPTIONS: dict[str, Check] = {"budget": budget_limits, "model": _name}


def _one_of(value: Any, names: tuple[str, ...]) -> Any:
    if not isinstance(value, str) or value not in names:
        raise ValueError(" or ".join(f'"{name}"' for name in names))
    return value


def checked(primitive: str, checks: dict[str, Check], given: dict[str, Any]) -> dict[str, Any]:
    """The given options as they go onto the wire; None counts as not given. Raises SetupError."""
    options: dict[str, Any] = {}
    for name, value in given.items():
        check = checks.get(name)
        if check is None:
            raise misuse(_unknown(primitive, name, checks))
        if value is None:
            continue
        try:
            options[name] = check(value)
        except ValueError as error:
            raise misuse(f"{primitive}: {name} takes {error}, not {shown(value)}") from None
    return options


def checked_agent(given: dict[str, Any]) -> dict[str, Any]:
    """The options of `agent`, also as they go together. Raises SetupError."""
    options = checked("agent", AGENT_OPTIONS, given)
    if "merge" in options and "isolation" not in options and "profile" not in options:  # a profile may isolate it
        raise misuse('agent: merge= says how a worktree is merged; write isolation="worktree" beside it')
    if "gate_retries" in options and "gate" not in options:
        raise misuse('agent: gate_retries= counts for a gate; write gate=["pytest", "-q"] beside it')
    return options


def _unknown(primitive: str, name: str, known: Iterable[str]) -> str:
    hint = _nearest(name, known) or f"; it takes {', '.join(known)}"
    return f"{primitive} has no option {name!r}{hint}"


def _nearest(name: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def shown(value: object) -> str:
    if not isinstance(value, str | int | float | bool) and value is not None:
        return f"a value of type {type(value).__name__}"
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "such a number"
    return text if len(text) <= 60 else f"{text[:59]}…"
