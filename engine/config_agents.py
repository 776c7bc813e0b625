"""Parses the config key `agents`: agent CLIs by name. Those that Vibe describes need no more than `true`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from .clis.description import AGENT_NAMES, FLAGS, MODES, PLACES, PROMPT, AgentCli, AgentMode, Word
from .config_amounts import tokens
from .config_values import mapping, names, number, seconds, shown
from .nearest import did_you_mean
from .routing import OFFLINE

_SAMPLE: Final = {"claude-code": True}
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_MAX_NAME: Final = 40
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COUNTS: Final = ("input", "output", "cached", "cache_write", "reasoning", "cost_usd")


def agents(value: object, text: bool) -> dict[str, AgentCli]:
    found: dict[str, AgentCli] = {}
    for name, entry in mapping(value, text, _SAMPLE).items():
        if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name) or name == OFFLINE:
            raise ValueError(
                f"{shown(name)} is no name of an agent, such as {', '.join(AGENT_NAMES)}, or one of your own: small "
                f"letters, digits and single `-`, a letter first, at most {_MAX_NAME}"
            )
        try:
            found[name] = _agent(name, entry)
        except ValueError as error:
            raise ValueError(f"agent `{name}`: {error}") from error
    return found


def _agent(name: str, value: object) -> AgentCli:
    from .clis.shipped import SHIPPED  # only where somebody has such programs

    known = SHIPPED.get(name)
    if isinstance(value, bool):
        value = {"enabled": value}
    if not isinstance(value, Mapping):
        raise ValueError(f"`true`, or what is otherwise than usual, is needed, not {shown(value)}")
    given: dict[str, Any] = {}
    for key, held in value.items():
        if key not in _FIELDS:
            raise ValueError(f"unknown key `{key}`; {did_you_mean(str(key), _FIELDS)}")
        if held is not None:
            try:
                given |= _FIELDS[key](held)
            except ValueError as error:
                raise ValueError(f"`{key}`: {error}") from error
    if known is not None:
        if "modes" in given:
            given["modes"] = {**known.modes, **given["modes"]}
        return known._replace(**given)
    for needed in ("argv", "answer"):
        if needed not in given:
            raise ValueError(
                f"`{needed}` is missing, and Vibe describes no agent of that name ({', '.join(AGENT_NAMES)})"
            )
    return AgentCli(name=name, **given)


def _argv(value: object) -> dict[str, Any]:
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise ValueError(
            "a list of program and arguments is needed, such as "
            f"`[claude, -p, [--model, '{{model}}'], '{FLAGS}']`, not {shown(value)}"
        )
    words: list[Word] = []
    for word in value:
        several = word if isinstance(word, list) else [word]
        for each in several:
            if not isinstance(each, str) or not each or "\0" in each:
                raise ValueError(f"{shown(each)} is no argument")
            rest = each
            for place in (*PLACES, *([FLAGS] if not isinstance(word, list) and each == FLAGS else [])):
                rest = rest.replace(place, "")
            if re.search(r"\{[a-z]+\}", rest):
                raise ValueError(f"{shown(each)}: placeholders are {', '.join(PLACES)}, and `{FLAGS}` alone")
        words.append(tuple(several) if isinstance(word, list) else str(word))
    program = value[0]
    if any(place in program for place in (*PLACES, FLAGS)):
        raise ValueError("the program itself is no placeholder")
    if "/" in program and not program.startswith(("/", "~/")):
        raise ValueError(
            f"{shown(program)} is relative, so that it would be another program in each project; name it by an "
            "absolute path, or one that is found in PATH by its name alone"
        )
    if sum(each.count(PROMPT) for word in words for each in ((word,) if isinstance(word, str) else word)) > 1:
        raise ValueError(f"`{PROMPT}` is there twice")
    return {"argv": tuple(words)}


def _modes(value: object) -> dict[str, Any]:
    held = mapping(value, False, {"read": ["--sandbox", "read-only"]})
    found: dict[str, AgentMode] = {}
    for mode, flags in held.items():
        if mode not in MODES:
            raise ValueError(f"unknown mode `{mode}`; {did_you_mean(str(mode), MODES)}")
        found[str(mode)] = AgentMode(tuple(names(flags, False)) if flags else ())
    return {"modes": found}


def _answer(value: object) -> dict[str, Any]:
    return {"answer": _reading(value)}


def _output(value: object) -> dict[str, Any]:
    if value not in ("json", "lines"):
        raise ValueError(f"`json` (one document) or `lines` (a document a line) is needed, not {shown(value)}")
    return {"lines": value == "lines"}


def _usage(value: object) -> dict[str, Any]:
    held = mapping(value, False, {"input": ["usage.input_tokens"], "output": ["usage.output_tokens"]})
    found: dict[str, tuple[str, ...]] = {}
    for name, places in held.items():
        if name not in _COUNTS:
            raise ValueError(f"unknown count `{name}`; {did_you_mean(str(name), _COUNTS)}")
        found[str(name)] = _readings(places)
    return {"usage": found}


def _exits(value: object) -> dict[str, Any]:
    from .clis.failures import KINDS

    found: dict[int, str] = {}
    for code, kind in mapping(value, False, {"41": "login"}).items():  # the keys of a file are texts
        text = str(code)
        number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else 0
        if not 0 < number < 256 or kind not in KINDS:
            raise ValueError(f"an exit code and one of {', '.join(KINDS)} are needed, not {shown(f'{code}: {kind}')}")
        found[number] = kind
    return {"exits": found}


def _env(value: object) -> dict[str, Any]:
    for name in names(value, False):
        if not _VARIABLE.fullmatch(name):
            raise ValueError(
                f"{shown(name)} is no name of a variable; its value is taken from vibe's own environment, and does not "
                "stand here"
            )
    return {"env": tuple(names(value, False))}


def _reserve(value: object) -> dict[str, Any]:
    held = mapping(value, False, {"tokens": "200k", "usd": 2.0})
    found: dict[str, Any] = {}
    for unit, amount in held.items():
        if unit == "tokens":
            found["reserve_tokens"] = tokens(amount)
        elif unit == "usd":
            found["reserve_usd"] = None if isinstance(amount, str) else number(amount)
        else:
            raise ValueError(f"unknown unit `{unit}`; {did_you_mean(str(unit), ('tokens', 'usd'))}")
        if not 0 < (next(reversed(found.values())) or 0) <= 1e12:
            raise ValueError(
                f"`{unit}` is an amount above 0, such as `tokens: 200k` or `usd: 2.0`, not {shown(amount)}"
            )
    return found


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"true or false is needed, not {shown(value)}")
    return value


def _left_out(value: object) -> tuple[str, ...]:
    found = names(value, False)
    for name in found:
        if "/" in name or name in (".", "..") or not name.rstrip("*") or "*" in name[:-1] or not name.isprintable():
            raise ValueError(
                f"{shown(name)} is no name of a file or folder, such as `.my-agent`, or `.env*` for all that begin so; "
                "it counts in any folder"
            )
    return tuple(found)


def _timeout(value: object) -> dict[str, Any]:
    return {"timeout_s": seconds(value, False)}


def _login(value: object) -> dict[str, Any]:
    if not isinstance(value, str) or len(value) > 300 or not value.isprintable():
        raise ValueError(f"a line of text is needed, not {shown(value)}")
    return {"login": value}


def _reading(value: object) -> str:
    from .clis.readings import parse_reading

    parse_reading(value)
    return str(value)


def _readings(value: object) -> tuple[str, ...]:
    return tuple(_reading(each) for each in (value if isinstance(value, list) else [value]))


_FIELDS: Final[Mapping[str, Callable[[object], dict[str, Any]]]] = {
    "enabled": lambda value: {"enabled": _truth(value)},
    "argv": _argv,
    "modes": _modes,
    "output": _output,
    "answer": _answer,
    "usage": _usage,
    "failed": lambda value: {"failed": _readings(value)},
    "errors": lambda value: {"errors": _readings(value)},
    "exits": _exits,
    "login": _login,
    "leaves_out": lambda value: {"leaves_out": _left_out(value)},
    "project_settings": lambda value: {"project_settings": _truth(value)},
    "env": _env,
    "timeout_s": _timeout,
    "reserve": _reserve,
}
