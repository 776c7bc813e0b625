"""vibe init: makes a folder a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from .starting import Started


@click.command()
@click.argument("folder", metavar="[DIR]", required=False)
@click.option(
    "--user", "own", is_flag=True, help="Write your own config file, for all projects, in place of a project."
)
@options.as_json
def command(folder: str | None, own: bool, as_json: bool) -> None:
    """Make DIR, or the folder you stand in, a project: vibe.yaml with every setting, a folder of workflows, .gitignore.

    All settings are commented out. What is there already stays as it is, so that a second time changes nothing.
    """
    if own and folder is not None:
        raise click.UsageError(f"--user is about your own settings, for all projects; leave `{folder}` out")
    from . import starting
    from .printing import print_json, print_text

    started = starting.start_own() if own else starting.start_project(folder)
    if as_json:
        print_json({"folder": str(started.folder), "changes": [change._asdict() for change in started.changes]})
    else:
        print_text(_text(started, own=own))


def _text(started: Started, *, own: bool) -> str:
    from .environment import near
    from .render.sanitize import clean

    shown = near()
    where = shown.path(started.folder)
    if not started.changes:
        what = "your settings are in" if own else "it is a project already, with"
        return clean(f"nothing to do in {where}: {what} {', '.join(started.kept)}")
    lines = [
        f"{change.done:<9} {shown.path(Path(change.path)):<24} {change.what}".rstrip() for change in started.changes
    ]
    lines += [f"{'kept':<9} {name}" for name in started.kept]
    lines.append("next: `vibe config` shows what holds" if own else "next: `vibe new NAME` writes a workflow")
    return clean("\n".join([*lines, *started.notes]))
