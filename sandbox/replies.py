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
from .lint.rules import BY_CODE

_PROBLEM_CHARS = 2_000
_PROBLEMS = 1_000
_SHOWN_CHARS = 20_000
PAGE_TITLE_CHARS = 300

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


class LintPlace(msgspec.Struct, forbid_unknown_fields=True, frozen=True, array_like=True):
    """Lines and columns count from 1, columns in characters; the end does not belong to it."""

    line: int
    column: int
    end_line: int
    end_column: int


class LintFinding(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    place: LintPlace
    code: str
    message: str


class ToolUse(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A call of the primitive `tool`. `whole`: nothing is given beside the names in `given`."""

    name: str
    given: tuple[str, ...]
    whole: bool


class LintFact(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a script names that lies outside of it."""

    place: LintPlace
    kind: str  # model, profile, tool, file, program, or `call` of a tool
    value: str | ToolUse


class LintIgnore(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    line: int
    column: int
    code: str


class LintReport(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    findings: tuple[LintFinding, ...]
    facts: tuple[LintFact, ...] = ()
    ignores: tuple[LintIgnore, ...] = ()

    def cleaned(self) -> LintReport:
        """Raises ValueError for a finding of no rule. What is said is safe to show."""
        if unknown := {found.code for found in self.findings} - BY_CODE.keys():
            raise lie("the workflow", f"there is no rule {min(unknown)!r}")
        findings = [
            msgspec.structs.replace(found, message=clean(found.message, _PROBLEM_CHARS))
            for found in self.findings[:_PROBLEMS]
        ]
        return LintReport(tuple(findings), self.facts[:_PROBLEMS], self.ignores[:_PROBLEMS])


def unreadable(message: str) -> LintReport:
    return LintReport((LintFinding(LintPlace(1, 1, 1, 1), "unreadable", message),))


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
