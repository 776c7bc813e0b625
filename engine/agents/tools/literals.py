"""Which plain text must stand in what a regular expression matches: a file without it needs no look at its lines.

The pattern is a stranger's, so it is read here by one pass over its characters, and never compiled. What this does not
understand gives no literal, and then every file is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Escapes that stand for one character of a kind, or for a place. Others may take more characters than one.
_KINDS = frozenset("dDwWsSbBAZ")
_REPEAT = re.compile(r"\{[0-9]*(?:,[0-9]*)?\}")
#: In Unicode they have relatives of another case that are not ASCII: the dotless i, the Kelvin sign, the long s.
_WITH_RELATIVES = frozenset("iksIKS")


def required_literals(pattern: str, *, ignore_case: bool) -> tuple[str, ...]:
    """Texts of which every match holds at least one, or none where that cannot be told.

    They are printable ASCII; with `ignore_case` in lower case, and to be looked for without regard to it.
    """
    branch = _Branch(ignore_case)
    found: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern[at] == "|":
            found.append(branch.longest())
            branch = _Branch(ignore_case)
            at += 1
        else:
            at = _take(pattern, at, branch)
        if at < 0:
            return ()
    found.append(branch.longest())
    return tuple(dict.fromkeys(found)) if all(found) else ()


def holds_one(data: bytes, literals: Sequence[bytes], *, ignore_case: bool) -> bool:
    """Whether one of the literals stands in `data`."""
    if ignore_case:
        data = data.lower()
    return any(literal in data for literal in literals)


class _Branch:
    """One alternative: the runs of characters that stand in it as they are."""

    def __init__(self, ignore_case: bool) -> None:
        self._ignore_case = ignore_case
        self._run: list[str] = []
        self._best = ""

    def add(self, char: str) -> None:
        if not (char.isascii() and char.isprintable()) or (self._ignore_case and char in _WITH_RELATIVES):
            self.end_run()
        else:
            self._run.append(char.lower() if self._ignore_case else char)

    def end_run(self) -> None:
        self._best = max(self._best, "".join(self._run), key=len)
        self._run.clear()

    def make_last_optional(self) -> None:
        del self._run[-1:]
        self.end_run()

    def longest(self) -> str:
        self.end_run()
        return self._best


def _take(pattern: str, at: int, branch: _Branch) -> int:
    """Take one element of the pattern. Returns where the next begins, -1 for what is not understood."""
    char = pattern[at]
    match char:
        case "(":
            branch.end_run()
            return _group_end(pattern, at)
        case "[":
            branch.end_run()
            return _class_end(pattern, at)
        case ")":
            return -1
        case "^" | "$" | "." | "+":  # what comes before a plus stands at least once
            branch.end_run()
        case "*" | "?":
            branch.make_last_optional()
        case "{" if repeat := _REPEAT.match(pattern, at):
            branch.make_last_optional()
            return repeat.end()
        case "\\":
            return _take_escape(pattern, at, branch)
        case _:
            branch.add(char)
    return at + 1


def _take_escape(pattern: str, at: int, branch: _Branch) -> int:
    escaped = pattern[at + 1 : at + 2]
    if escaped in _KINDS and escaped:
        branch.end_run()
    elif escaped.isascii() and escaped.isprintable() and escaped and not escaped.isalnum():
        branch.add(escaped)
    else:
        return -1
    return at + 2


def _group_end(pattern: str, at: int) -> int:
    """Behind the group that begins at `at`. One with a mark other than `(?:` is not understood: it may set flags."""
    depth = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "[":
            at = _class_end(pattern, at)
            if at < 0:
                return -1
            continue
        if char == "(":
            if pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
                return -1
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 2 if char == "\\" else 1
    return -1


def _class_end(pattern: str, at: int) -> int:
    """Behind the `]` of the set that begins at `at`; one at its first place stands for itself."""
    at += 2 if pattern.startswith("[^", at) else 1
    first = at
    while at < len(pattern):
        if pattern[at] == "]" and at > first:
            return at + 1
        at += 2 if pattern[at] == "\\" else 1
    return -1
