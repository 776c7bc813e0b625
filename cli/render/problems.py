"""Problems of workflow files: for a person, and as annotations of GitHub's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from .paint import Style, paint
from .sanitize import cell_width, clean, fit, folded, one_line

_STYLES: Final = {"error": Style.BAD, "warning": Style.WARN}
_TAB: Final = "    "


class Problem(Protocol):
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def end_line(self) -> int: ...
    @property
    def end_column(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def severity(self) -> str: ...


class Drawing(NamedTuple):
    """`width`: columns for a line of the source; None where no source is shown."""

    colour: bool = False
    width: int | None = None


def problem_lines(path: str, problem: Problem, source: Sequence[str], drawing: Drawing) -> Iterator[str]:
    """`file:line:column: error[code]: message`, for editors, and what it is about."""
    place = f"{one_line(path)}:{problem.line}:{problem.column}:"
    kind = paint(f"{problem.severity}[{problem.code}]", _STYLES[problem.severity], colour=drawing.colour)
    head, *more = [one_line(problem.message)]
    if drawing.width is not None:
        plain = f"{place} {problem.severity}[{problem.code}]: "
        head, *more = folded(plain + head, drawing.width, indent=2)
        head = head.removeprefix(plain)
    yield f"{paint(place, Style.TITLE, colour=drawing.colour)} {kind}: {head}"
    yield from more
    if drawing.width is not None and 0 < problem.line <= len(source):
        yield from _excerpt(problem, source[problem.line - 1], drawing)


def _excerpt(problem: Problem, text: str, drawing: Drawing) -> Iterator[str]:
    number = f"{problem.line:>5} | "
    room = max((drawing.width or 80) - len(number), 20)
    start = problem.column - 1
    end = problem.end_column - 1 if problem.end_line == problem.line else len(text)
    before, marked = _shown(text[:start]), _shown(text[start : max(end, start + 1)])
    after = _shown(text[max(end, start + 1) :])
    stripped = before.lstrip()
    indent = before[: min(len(before) - len(stripped), 8)]
    before = indent + stripped
    if cell_width(before) > room // 2:  # the end of what comes before is what tells most
        before = f"…{_last(before, room // 2)}"
    line = fit(f"{before}{marked}{after}", room)
    carets = "^" * max(1, min(cell_width(marked), room - cell_width(before)))
    margin = f"{'':>5} | "
    faint = paint(number, Style.FAINT, colour=drawing.colour)
    yield f"{faint}{line}".rstrip()
    style = _STYLES[problem.severity]
    yield (
        paint(margin, Style.FAINT, colour=drawing.colour)
        + " " * cell_width(before)
        + paint(carets, style, colour=drawing.colour)
    )


def _shown(text: str) -> str:
    """With the width that the caret below counts on: nothing steers a terminal, and no tab jumps."""
    return clean(text).replace("\n", " ").expandtabs(len(_TAB))


def _last(text: str, cells: int) -> str:
    while text and cell_width(text) >= cells:
        text = text[1:]
    return text


# ---------------------------------------------------------------- GitHub


def annotation(path: str, problem: Problem) -> str:
    """A workflow command of GitHub's. Nothing in a path or a message ends it or begins another one."""
    values: dict[str, object] = {"file": path, "line": problem.line, "col": problem.column}
    if problem.end_line == problem.line:  # GitHub takes columns within one line only
        values |= {"endLine": problem.end_line, "endColumn": problem.end_column}
    values["title"] = f"vibe: {problem.code}"
    given = ",".join(f"{name}={_property(str(value))}" for name, value in values.items())
    return f"::{problem.severity} {given}::{_data(problem.message)}"


def _data(text: str) -> str:
    """As @actions/core escapes what stands behind the second `::`."""
    # Invariant: cleaned first, since cleaning makes newlines of other line breaks.
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# ---------------------------------------------------------------- the rules


def rule_lines(rules: Iterable[tuple[str, str, str, str]], *, colour: bool) -> Iterator[str]:
    """(code, severity, meaning, example) each, on two lines."""
    listed = list(rules)
    width = max(len(code) for code, *_ in listed)
    for code, severity, meaning, example in listed:
        name = paint(f"{code:<{width}}", Style.TITLE, colour=colour)
        kind = paint(f"{severity:<7}", _STYLES[severity], colour=colour)
        yield f"{name}  {kind}  {meaning}"
        yield f"{'':<{width}}           {paint(example, Style.FAINT, colour=colour)}"
