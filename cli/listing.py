"""vibe list: the workflows that can be run here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from .answers import WorkflowList


@click.command()
@options.as_json
def command(as_json: bool) -> None:
    """The workflows that can be run here by name: the project's, your own, and the built-in ones."""
    from . import workflow_files
    from .environment import screen
    from .printing import print_json, print_text
    from .render.listing import list_text
    from .settings import load

    found = workflow_files.list_workflows(load({}))
    if as_json:
        print_json(_as_json(found))
        return
    surface = screen(sys.stdout)
    print_text(list_text(found, width=surface.width, colour=surface.colour, cwd=Path.cwd()))


def _as_json(found: WorkflowList) -> dict[str, object]:
    return {
        "workflows": [
            {
                "name": each.file.name,
                "origin": each.file.origin.value,
                "path": str(each.file.path),
                "description": each.metadata.description,
                "when_to_use": each.metadata.when_to_use,
                "runs": not each.problem,
                "problem": each.problem or None,
                "hides": [str(hidden.path) for hidden in each.file.hides],
            }
            for each in found.workflows
        ],
        "skipped": [{"path": str(each.path), "reason": each.reason} for each in found.skipped],
        "switched_off": list(found.switched_off),
    }
