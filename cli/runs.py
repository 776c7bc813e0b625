"""vibe runs: the runs of this project."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from vibe_workflows.engine.model import Run


@click.command()
@click.option("-n", "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@options.as_json
@options.db
def command(limit: int, as_json: bool, db: str | None) -> None:
    """The runs of this project, newest first."""
    from . import trace_json, wiring
    from .environment import screen
    from .printing import print_json, print_text
    from .settings import load

    reader = wiring.open_reader(load({"db": db}))
    try:
        runs = reader.runs(limit)
    finally:
        reader.close()
    if as_json:
        print_json([trace_json.of_summary(run) for run in runs])
        return
    surface = screen(sys.stdout)
    print_text(runs_text(runs, width=surface.width, colour=surface.colour, now=time.time()))


def runs_text(runs: list[Run], *, width: int | None, colour: bool, now: float) -> str:
    """The table of runs."""
    from .render import figures
    from .render.tables import Cell, Column, table
    from .render.words import status_style, status_word

    columns = (
        Column(title="run"),
        Column(title="workflow", shrinks=True),
        Column(title="status"),
        Column(title="started", right=True),
        Column(title="live", right=True),
        Column(title="stored", right=True),
        Column(title="tokens", right=True),
        Column(title="paid", right=True),
    )
    rows = [
        (
            run.id,
            run.workflow,
            Cell(status_word(run.status.value), status_style(run.status.value)),
            f"{figures.age(max(now - run.started_at, 0))} ago",
            str(run.live_steps),
            str(run.stored_steps),
            figures.tokens(run.usage.tokens),
            figures.money(run.paid.cost_microusd),
        )
        for run in runs
    ]
    return table(columns, rows, width=width, colour=colour)
