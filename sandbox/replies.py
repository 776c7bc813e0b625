"""What a worker answers, taken as hostile: it has met what a stranger wrote, so its reply is checked like any child's.

Each function raises ValueError, as the checker does, where a worker says what none that is sound would say.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from .cleaning import clean, clean_page, clean_value
from .ending import Misbehaved
from .frames import Problem
from .inbound import check_json, check_nesting, check_numbers

_PROBLEM_CHARS = 2_000
_PROBLEMS = 1_000
_SHOWN_CHARS = 20_000
PAGE_TITLE_CHARS = 300
_PLAN_CHARS = 300

T = TypeVar("T")


class Reply(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`spent`: the worker is of no more use, since its memory ran out."""

    ok: msgspec.Raw = msgspec.Raw()
    problem: str | None = None
    spent: bool = False


class Validated(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    value: msgspec.Raw
    problems: tuple[str, ...]


class Page(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A page of the web as text. `whole`: nothing of it was left out."""

    title: str
    text: str
    whole: bool

    def cleaned(self, most: int) -> Page:
        title = " ".join(clean_page(self.title, PAGE_TITLE_CHARS).split())
        return Page(title, clean_page(self.text, most), self.whole and len(self.text) <= most)


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


class PlanNode(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One thing that a script does: `kind` is one of sandbox/plan/nodes.py, the texts are as its source has them."""

    kind: str
    title: str
    line: int
    prompt: str
    notes: tuple[str, ...]
    children: tuple[PlanNode, ...]

    def cleaned(self) -> PlanNode:
        return PlanNode(
            kind=clean(self.kind, _PLAN_CHARS),
            title=clean(self.title, _PLAN_CHARS),
            line=self.line,
            prompt=clean(self.prompt, _PLAN_CHARS),
            notes=tuple(clean(note, _PLAN_CHARS) for note in self.notes),
            children=tuple(child.cleaned() for child in self.children),
        )


def lie(what: str, why: str) -> ValueError:
    return ValueError(f"{what}: its evaluation went wrong: {clean(why, _PROBLEM_CHARS)}")


def read_reply(body: bytes, what: str) -> Reply:
    try:
        check_nesting(body)
        check_numbers(body)
        reply = msgspec.json.decode(body, type=Reply)
    except (msgspec.DecodeError, Misbehaved, RecursionError, UnicodeDecodeError) as error:
        raise lie(what, str(error)) from None
    if reply.problem is None:
        return reply
    return msgspec.structs.replace(reply, problem=clean(reply.problem, _PROBLEM_CHARS))


def read_value(value: msgspec.Raw, what: str, kind: type[T]) -> T:
    try:
        return _checked(msgspec.json.decode(value, type=kind))
    except (msgspec.DecodeError, Misbehaved, RecursionError, UnicodeDecodeError) as error:
        raise lie(what, str(error)) from None


def _checked(value: T) -> T:
    if isinstance(value, Validated):
        check_json(value.value)  # it was only skipped over
        problems = tuple(clean(problem, _PROBLEM_CHARS) for problem in value.problems[:_PROBLEMS])
        return msgspec.structs.replace(value, problems=problems)
    return value


def chosen(batch: Sequence[str], numbers: Sequence[int], what: str) -> list[str]:
    """The items of `batch` at `numbers`, which grow."""
    if any(later <= number for number, later in pairwise(numbers)):
        raise lie(what, "it chose an item twice, or out of order")
    return [numbered(batch, number, what) for number in numbers]


def numbered(items: Sequence[T], number: int, what: str) -> T:
    if not 0 <= number < len(items):
        raise lie(what, f"it chose item {number} of {len(items)}")
    return items[number]


def check_hits(hits: Sequence[tuple[int, int, str]], texts: Sequence[str], most: int, what: str) -> None:
    """At most `most` (number of the text, line, text of the line), each in a text that was sent."""
    if len(hits) > most:
        raise lie(what, f"{len(hits)} lines were found, {most} were asked for")
    for number, line, _ in hits:
        if not 0 <= line <= len(numbered(texts, number, what)):
            raise lie(what, f"it found line {line} of text {number}")
