"""What `vibe list` prints: workflows by where they come from, then what cannot run and why, then what to type next."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_workflows.catalog.discovery import Origin
from vibe_workflows.cli.main import COMMANDS

from .figures import count
from .paint import Style, paint
from .sanitize import cell_width, fit, one_line, pad

if TYPE_CHECKING:
    from vibe_workflows.cli.answers import ListedWorkflow, WorkflowList

_HEADINGS = {Origin.PROJECT: "Project", Origin.USER: "Yours", Origin.BUILTIN: "Built-in"}
_MOST_NOTES = 10
_WIDEST_NAME = 28
_NARROWEST_TEXT = 12


def list_text(found: WorkflowList, *, width: int | None, colour: bool, cwd: Path) -> str:
    """The whole list. Names are never cut, since they are to be typed; descriptions are, on a terminal."""
    nearest_first = list(_HEADINGS)
    able = [each for each in found.workflows if not each.problem]
    able.sort(key=lambda each: nearest_first.index(each.file.origin))
    column = min(max((cell_width(each.file.name) for each in able), default=0), _WIDEST_NAME)
    blocks: list[list[str]] = []
    for origin, heading in _HEADINGS.items():
        rows = [_row(each, column, width) for each in able if each.file.origin is origin]
        if rows:
            blocks.append([paint(heading, Style.TITLE, colour=colour), *rows])
    for heading, notes in (
        ("Names that are taken", list(_clashes(able, cwd))),
        ("Cannot run", [*_broken(found, cwd)]),
    ):
        if notes:
            blocks.append([paint(f"{heading} ({len(notes)})", Style.WARN, colour=colour), *_first(notes)])
    if found.switched_off:
        blocks.append([_switched_off(found, cwd)])
    blocks.append([_next_move(able, found)])
    return "\n\n".join("\n".join(block) for block in blocks)


def _row(each: ListedWorkflow, column: int, width: int | None) -> str:
    name = pad(each.file.name, column) if cell_width(each.file.name) <= column else each.file.name
    description = one_line(each.metadata.description)
    left = None if width is None else max(width - cell_width(name) - 4, 0)
    if left is not None:
        description = fit(description, left) if left >= _NARROWEST_TEXT else ""
    return f"  {name}  {description}".rstrip()


def _clashes(able: Sequence[ListedWorkflow], cwd: Path) -> Iterator[str]:
    for each in able:
        if each.file.name in COMMANDS:
            yield (
                f"{each.file.name} is a command of vibe; the workflow of that name is run by its path: "
                f"vibe run {_short(each.file.path, cwd)}"
            )
        if each.file.hides:
            hidden = ", ".join(_short(hidden.path, cwd) for hidden in each.file.hides)
            yield f"{each.file.name} is {_short(each.file.path, cwd)}, and hides {hidden}"


def _broken(found: WorkflowList, cwd: Path) -> Iterator[str]:
    """Those that only wait for trust first, then those with a problem, then those that are no workflow files at all."""
    for each in sorted(found.workflows, key=lambda each: not each.file.needs_trust):
        if each.problem:
            yield _located(each, cwd)
    for skipped in found.skipped:
        yield f"{_short(skipped.path, cwd)}: {skipped.reason}"


def _located(each: ListedWorkflow, cwd: Path) -> str:
    """A problem with the path of its file before it, once."""
    path, problem = each.file.path, each.problem
    for known in (str(path), path.name):
        if problem.startswith(f"{known}:"):
            problem = problem[len(known) + 1 :]
            break
    else:
        problem = f" {problem}"
    more = len(each.metadata.problems) - 1
    rest = f" (and {more} more)" if more > 0 else ""
    return f"{_short(path, cwd)}:{problem}{rest}"


def _first(notes: Sequence[str]) -> list[str]:
    shown = [f"  {one_line(note)}" for note in notes[:_MOST_NOTES]]
    more = len(notes) - _MOST_NOTES
    return [*shown, f"  and {more:,} more; `vibe list --json` has all"] if more > 0 else shown


def _switched_off(found: WorkflowList, cwd: Path) -> str:
    number = len(found.switched_off)
    verb = "is" if number == 1 else "are"
    by = found.switched_off_by.replace(f"{cwd}{os.sep}", "")
    names = ", ".join(found.switched_off[:_MOST_NOTES]) + (", ..." if number > _MOST_NOTES else "")
    return one_line(f"{count(number, 'built-in workflow')} {verb} switched off by {by}: {names}")


def _next_move(able: Sequence[ListedWorkflow], found: WorkflowList) -> str:
    typed = next((each.file.name for each in able if each.file.name not in COMMANDS), "")
    own = any(each.file.origin is not Origin.BUILTIN for each in found.workflows)
    write = "" if own else "`vibe new NAME` writes one of your own"
    run = f"`vibe {typed}` runs it, `vibe {typed} --help` shows what it takes" if typed else ""
    return (
        "; ".join(part for part in (run, write) if part) or "`vibe new NAME` writes a workflow, `vibe guide` shows how"
    )


def _short(path: Path, cwd: Path) -> str:
    """Relative where that is below the current folder, from the home where it is below that."""
    if path.is_relative_to(cwd):
        return os.path.relpath(path, cwd)
    home = os.path.expanduser("~")
    text = str(path)
    return f"~{text.removeprefix(home)}" if home != "/" and text.startswith(f"{home}/") else text
