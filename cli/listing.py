"""vibe list: the workflows that can be run here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from .answers import ListedWorkflow, WorkflowList


@click.command()
@options.as_json
def command(as_json: bool) -> None:
    """The workflows that can be run here by name: the project's, your own, and the built-in ones."""
    from . import workflow_files
    from .environment import screen
    from .printing import print_json, print_text
    from .settings import load

    found = workflow_files.list_workflows(load({}))
    if as_json:
        print_json(_as_json(found))
        return
    surface = screen(sys.stdout)
    print_text(list_text(found, width=surface.width, colour=surface.colour, cwd=Path.cwd()))


def list_text(found: WorkflowList, *, width: int | None, colour: bool, cwd: Path) -> str:
    """The table, then what stands in the shadow of something else, then the files that cannot run and why."""
    from .render.paint import Style
    from .render.sanitize import one_line
    from .render.tables import Cell, Column, table

    if not found.workflows and not found.skipped:
        return "no workflow is here; `vibe guide` shows how to write one, in workflows/NAME.py"
    columns = (Column(title="name"), Column(title="from"), Column(title="description", shrinks=True))
    rows = [
        (
            Cell(each.file.name, Style.FAINT if _why_not(each) else Style.PLAIN),
            each.file.origin.value,
            "cannot run" if _why_not(each) else each.metadata.description,
        )
        for each in found.workflows
    ]
    parts = [table(columns, rows, width=width, colour=colour)] if rows else []
    for each in found.workflows:
        parts += [f"{each.file.name}: {one_line(why)}" for why in _notes(each, cwd)]
    parts += [f"skipped {_short(each.path, cwd)}: {one_line(each.reason)}" for each in found.skipped]
    return "\n".join(parts)


def _why_not(each: ListedWorkflow) -> str:
    """What keeps a workflow from running by its name: the first problem, and how many more there are."""
    more = len(each.metadata.problems) - 1
    return f"{each.problem} (and {more} more; `vibe validate` shows all)" if more > 0 else each.problem


def _notes(each: ListedWorkflow, cwd: Path) -> list[str]:
    from .main import COMMANDS

    notes = []
    if why := _why_not(each):
        notes.append(f"cannot run: {why}")
    if each.file.hides:
        notes.append("hides " + ", ".join(_short(hidden.path, cwd) for hidden in each.file.hides))
    if each.file.name in COMMANDS:
        notes.append(
            f"`{each.file.name}` is a command of vibe; run it by its path: vibe run {_short(each.file.path, cwd)}"
        )
    return notes


def _short(path: Path, cwd: Path) -> str:
    """Relative where that is below the current folder."""
    return os.path.relpath(path, cwd) if path.is_relative_to(cwd) else str(path)


def _as_json(found: WorkflowList) -> dict[str, object]:
    return {
        "workflows": [
            {
                "name": each.file.name,
                "origin": each.file.origin.value,
                "path": str(each.file.path),
                "description": each.metadata.description,
                "when_to_use": each.metadata.when_to_use,
                "runs": not _why_not(each),
                "problem": _why_not(each) or None,
                "hides": [str(hidden.path) for hidden in each.file.hides],
            }
            for each in found.workflows
        ],
        "skipped": [{"path": str(each.path), "reason": each.reason} for each in found.skipped],
    }
