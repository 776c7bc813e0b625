"""vibe undo: takes the edits of a run back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import options
from .completing import values

if TYPE_CHECKING:
    from vibe_workflows.engine.model import Run
    from vibe_workflows.engine.ports import StoreReader


@click.command()
@click.argument("run", required=False, shell_complete=values.runs)
@click.option("--dry-run", is_flag=True, help="Say what would be taken back, and change nothing.")
@options.as_json
@options.db
def command(run: str | None, dry_run: bool, as_json: bool, db: str | None) -> int:
    """Take back what the steps of RUN edited, by a unique beginning of its id; without one, of the latest run.

    A file that was edited since, by hand or by another run, stays as it is and is named. Run again, the workflow makes
    the edits of its completed steps from the store. Exit code 1 where something stays.
    """
    from vibe_workflows.engine.errors import ExitCode

    from . import wiring
    from .environment import screen
    from .printing import print_json, print_text
    from .render.undo import undo_json, undo_text
    from .settings import load

    settings = load({"db": db})
    undo = wiring.undo(settings, lambda reader: _find(reader, run), dry_run=dry_run)
    if as_json:
        print_json(undo_json(undo, dry_run=dry_run))
    else:
        print_text(undo_text(undo, dry_run=dry_run, colour=screen(sys.stdout).colour))
    return int(ExitCode.FAILED if undo.kept else ExitCode.DONE)


def _find(reader: StoreReader, run: str | None) -> Run:
    from .selection import find_run

    return find_run(reader, run)
