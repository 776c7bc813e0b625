"""What the rules say of a script, taken as hostile: the worker that says it has met what a stranger wrote."""

from __future__ import annotations

import msgspec

from .cleaning import clean
from .lint.rules import BY_CODE
from .replies import lie

_MESSAGE_CHARS = 2_000
#: Of each kind; the worker sends no more.
_MOST = 1_000


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
            msgspec.structs.replace(found, message=clean(found.message, _MESSAGE_CHARS))
            for found in self.findings[:_MOST]
        ]
        return LintReport(tuple(findings), self.facts[:_MOST], self.ignores[:_MOST])


def unreadable(message: str) -> LintReport:
    return LintReport((LintFinding(LintPlace(1, 1, 1, 1), "unreadable", message),))
