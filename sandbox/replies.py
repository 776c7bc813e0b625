"""What a worker answers, taken as hostile: it has met what a stranger wrote, so its reply is checked like any child's.

Each function raises ValueError, as the checker does, where a worker says what none that is sound would say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from .cleaning import clean, clean_value
from .ending import Misbehaved
from .frames import Problem
from .inbound import check_json, check_nesting

_PROBLEM_CHARS = 2_000
_PROBLEMS = 1_000
_SHOWN_CHARS = 20_000
_MAX_LINE = 1 << 31

T = TypeVar("T")


class _Reply(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    ok: msgspec.Raw = msgspec.Raw()
    problem: str | None = None


class Validated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    value: msgspec.Raw
    problems: tuple[str, ...]


class Metadata(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    docstring: str | None
    meta: dict[str, Any]
    meta_line: int | None
    body: str
    phases_used: list[str]
    problems: list[Problem]

    def to_dict(self) -> dict[str, Any]:
        report: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("docstring", "phases_used", "problems"):  # what is shown; metadata is checked by its reader
            report[name] = clean_value(report[name], _SHOWN_CHARS)
        return report


def unpack(reply: bytes, what: str, kind: type[T]) -> T:
    """The value of a reply. A problem in it is raised, for the author of `what`."""
    try:
        check_nesting(reply)
        decoded = msgspec.json.decode(reply, type=_Reply)
        problem = decoded.problem
        value = None if problem is not None else _checked(msgspec.json.decode(decoded.ok, type=kind))
    except (msgspec.DecodeError, Misbehaved, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"{what}: its evaluation went wrong: {clean(str(error), _PROBLEM_CHARS)}") from None
    if problem is not None:
        raise ValueError(clean(problem, _PROBLEM_CHARS))
    assert value is not None
    return value


def _checked(value: T) -> T:
    if isinstance(value, Validated):
        check_json(value.value)  # it was only skipped over
        problems = tuple(clean(problem, _PROBLEM_CHARS) for problem in value.problems[:_PROBLEMS])
        return msgspec.structs.replace(value, problems=problems)
    return value


def chosen(batch: Sequence[str], numbers: Sequence[int], what: str) -> list[str]:
    """The items of `batch` at `numbers`, which grow."""
    last = -1
    for number in numbers:
        if not last < number < len(batch):
            raise ValueError(f"{what}: its evaluation went wrong: it chose item {number} of {len(batch)}")
        last = number
    return [batch[number] for number in numbers]


def check_hits(hits: Sequence[tuple[int, int, str]], pieces: int, most: int) -> None:
    """At most `most` (piece, line, text), each in a piece that was sent."""
    if len(hits) > most:
        raise ValueError(f"the pattern: its evaluation went wrong: {len(hits)} lines were found, {most} were asked for")
    for number, line, _ in hits:
        if not (0 <= number < pieces and 0 <= line < _MAX_LINE):
            raise ValueError(f"the pattern: its evaluation went wrong: it found line {line} of text {number}")
