"""vibe resume: goes on with a run that did not complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from . import options
from .completing import values

if TYPE_CHECKING:
    from vibe_workflows.engine.model import Run


@click.command()
@click.argument("run", required=False, shell_complete=values.runs)
@click.option("--accept", is_flag=True, help="Take what earlier runs edited as it lies: steps see the files of now.")
@options.running
def command(run: str | None, accept: bool, **given: Any) -> int:
    """Go on with RUN, a unique beginning of its id; without one, with the latest run that did not complete
    and that no later run went on with.

    Finished steps are answered from the store. A larger --budget, or a grant that was missing, goes on from there.
    """
    from vibe_workflows.engine.errors import ConfigError

    from . import wiring
    from .invocation import Asked, invoke
    from .selection import find_run
    from .settings import load

    settings = load(given)
    reader = wiring.open_reader(settings)
    try:
        found = find_run(reader, run, wanted=_left_open())
    finally:
        reader.close()
    if found.status.finished:
        raise ConfigError(f"run {found.id} has completed; `vibe run {found.path}` runs it again from the store")
    return invoke(Asked(target=found.path, resume=found.id, accept=accept), settings, given)


def _left_open() -> Callable[[Run], bool]:
    """Of runs, newest first: those that did not complete, and that no later one went on with."""
    taken_up: set[str | None] = set()

    def is_open(run: Run) -> bool:
        taken_up.add(run.parent)
        return not run.status.finished and run.id not in taken_up

    return is_open
