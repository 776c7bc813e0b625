"""vibe diff: what one run did otherwise than another."""

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
@click.argument("before", metavar="[RUN]", required=False, shell_complete=values.runs)
@click.argument("after", metavar="[RUN]", required=False, shell_complete=values.runs)
@options.as_json
@options.db
def command(before: str | None, after: str | None, as_json: bool, db: str | None) -> None:
    """What the second RUN did otherwise than the first: steps that are new, gone or changed, cost, and the result.

    One RUN is compared with the run before it of the same file; without any, the latest is.
    """
    from vibe_workflows.engine.past import steps_of
    from vibe_workflows.engine.run_diff import run_diff

    from . import diff_json, wiring
    from .environment import screen
    from .printing import print_json, print_text
    from .render.run_diff import run_diff_text
    from .settings import load

    reader = wiring.open_reader(load({"db": db}))
    try:
        old, new = _find_runs(reader, before, after)
        found = run_diff(old, new, steps_of(reader, old.id), steps_of(reader, new.id))
    finally:
        reader.close()
    if as_json:
        print_json(diff_json.of_run_diff(found))
        return
    surface = screen(sys.stdout)
    print_text(run_diff_text(found, width=surface.width, colour=surface.colour))


def _find_runs(reader: StoreReader, first: str | None, second: str | None) -> tuple[Run, Run]:
    """The two runs, the earlier one first where only one is named. Raises ConfigError."""
    from vibe_workflows.engine.errors import ConfigError
    from vibe_workflows.engine.past import run_before

    from .selection import find_run

    if second is not None:
        return find_run(reader, first), find_run(reader, second)
    run = find_run(reader, first)
    before = run_before(reader, run)
    if before is None:
        raise ConfigError(
            f"run {run.id} is the first one of {run.path} that is stored; name two runs: `vibe runs` lists them"
        )
    return before, run
