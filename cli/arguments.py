"""Splits a command line between Vibe's own options and the arguments of the workflow that it names.

Which arguments a workflow takes is not known yet, so nothing is converted here: `--name value`, `--name=value` and
`name=value` are texts, a lone `--name` is true, and `name:=JSON` is a JSON value. Repeating a name makes a list. Any
other word is one without a name. Vibe's own options win; after `--`, every option is the workflow's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from vibe_workflows.engine.model import JSON

#: Names of Vibe's options that are for parts yet to come: a workflow's argument of that name would break later.
RESERVED = frozenset({"use-defaults", "detach", "strict"})

#: Where the context of a command line holds the workflow that it names.
TARGET = "vibe.target"

_PAIR = re.compile(r"([^\s=:-][^\s=:]*)(:?=)(.*)", re.DOTALL)
_HELP = ("-h", "--help")


class Split(NamedTuple):
    own: list[str]  # Vibe's options, for click
    target: str | None
    arguments: dict[str, JSON]
    options: tuple[str, ...]  # those of the arguments that were given as --name
    followed: tuple[str, ...]  # those whose text was the word after --name
    words: tuple[str, ...]  # without a name


def split(args: Iterable[str], options: Iterable[click.Parameter]) -> Split:
    """Raises click.UsageError with what to write instead."""
    return _Splitter(list(args), options).split()


class _Splitter:
    def __init__(self, args: list[str], options: Iterable[click.Parameter]) -> None:
        self._rest = args
        self._kept: list[str] = []
        self._target: str | None = None
        self._arguments: dict[str, JSON] = {}
        self._options: list[str] = []
        self._followed: list[str] = []
        self._words: list[str] = []
        self._takes_value = {
            name: not (option.is_flag or option.count)
            for option in options
            if isinstance(option, click.Option)
            for name in (*option.opts, *option.secondary_opts)
        }

    def split(self) -> Split:
        only_arguments = False
        while self._rest:
            word = self._rest.pop(0)
            if word == "--" and not only_arguments:
                only_arguments = True
            elif word.startswith("--") and (only_arguments or not self._is_own(word)):
                self._argument(word)
            elif word.startswith("-") and word != "-":
                self._own(word)
            else:
                self._positional(word)
        return Split(
            self._kept,
            self._target,
            self._arguments,
            tuple(self._options),
            followed=tuple(self._followed),
            words=tuple(self._words),
        )

    def _is_own(self, word: str) -> bool:
        return word.partition("=")[0] in self._takes_value or word in _HELP

    def _own(self, word: str) -> None:
        name, _, value = word.partition("=")
        short = word[:2]
        if word.startswith("--"):
            lacks_value = self._takes_value.get(name, False) and not value and "=" not in word
        elif short in self._takes_value:
            lacks_value = self._takes_value[short] and word == short
        elif word in _HELP:
            lacks_value = False
        else:
            raise click.UsageError(
                f"there is no option {word}; a workflow's argument is --name value, and a value that begins with a "
                f"dash is --name={word}"
            )
        self._kept.append(word)
        if lacks_value and self._rest:
            self._kept.append(self._rest.pop(0))

    def _argument(self, word: str) -> None:
        name, sign, value = word[2:].partition("=")
        if self._target is None:
            raise click.UsageError(f"there is no option --{name}; if it is the workflow's, name the workflow before it")
        if name in RESERVED:
            raise click.UsageError(
                f"--{name} is kept for vibe itself, and not available in this version; to a workflow's argument of "
                f"that name, give {name}=value"
            )
        self._options.append(name)
        if sign:
            self._add(name, value)
        elif self._rest and not self._is_option(self._rest[0]):
            self._followed.append(name)
            self._add(name, self._rest.pop(0))
        else:
            self._add(name, True)

    def _is_option(self, word: str) -> bool:
        return word.startswith("--") or word in self._takes_value

    def _positional(self, word: str) -> None:
        if self._target is None:
            self._target = word
            return
        pair = pair_of(word)
        if pair is None:
            self._words.append(word)
            return
        self._add(*pair)

    def _add(self, name: str, value: JSON) -> None:
        if name not in self._arguments:
            self._arguments[name] = value
            return
        before = self._arguments[name]
        self._arguments[name] = [*(before if isinstance(before, list) else [before]), value]


def pair_of(word: str) -> tuple[str, JSON] | None:
    """The name and value of `name=value` or `name:=JSON`; None for any other word. Raises click.UsageError."""
    pair = _PAIR.fullmatch(word)
    if pair is None:
        return None
    name, sign, value = pair.groups()
    return name, _json_value(name, value) if sign == ":=" else value


def _json_value(name: str, text: str) -> JSON:
    try:
        value: JSON = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(
            f"{name}:={text} is no JSON ({_reason(error)}); for a text write {name}={text}"
        ) from error
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]}"
    return str(error)


def _no_constant(name: str) -> JSON:
    raise ValueError(f"{name} is no JSON number")
