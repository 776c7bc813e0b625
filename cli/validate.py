"""vibe validate: checks workflow files without running them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import options
from .completing import values

if TYPE_CHECKING:
    from .answers import CheckedFile


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...", shell_complete=values.workflows)
@options.as_json
def command(files: tuple[str, ...], as_json: bool) -> int:
    """Check workflow files without running them: each is compiled in the sandbox. Exit code 2 if any has a problem."""
    if not files:
        raise click.UsageError("name the files to check: vibe validate workflows/*.py")
    from vibe_workflows.engine.errors import ExitCode

    from . import workflow_files
    from .errors import say
    from .printing import print_json, print_text
    from .render.figures import count
    from .render.sanitize import clean
    from .settings import load

    checked = workflow_files.validate(load({}), files)
    bad = [each for each in checked if each.problems]
    if as_json:
        print_json([_as_json(each) for each in checked])
        return int(ExitCode.USAGE if bad else ExitCode.DONE)
    for each in bad:
        for line in _lines(each):
            print_text(clean(line))
    ending = f"{len(bad):,} with problems" if bad else "no problem found"
    say(f"{count(len(checked), 'file')} checked, {ending}")
    return int(ExitCode.USAGE if bad else ExitCode.DONE)


def _lines(checked: CheckedFile) -> list[str]:
    """What is wrong as `file:line:column: message`, for editors and for CI."""
    return [f"{checked.path}:{found.line}:{found.column}: {found.message}" for found in checked.problems]


def _as_json(checked: CheckedFile) -> dict[str, object]:
    problems = [{"line": found.line, "column": found.column, "message": found.message} for found in checked.problems]
    return {"file": checked.path, "valid": not problems, "problems": problems}
