"""vibe why: the decision about one step of a past run, explained."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import options
from .completing import values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vibe_workflows.engine.model import Run
    from vibe_workflows.engine.past import RunStep
    from vibe_workflows.engine.ports import StoreReader


@click.command()
@click.argument("step", shell_complete=values.steps)
@options.as_json
@options.db
def command(step: str, as_json: bool, db: str | None) -> None:
    """Why STEP was answered from the store, or why it was not, and what differs.

    STEP is the number of a step of the latest run, as `vibe trace` shows it (3), that of another run (RUN:3, where RUN
    is a unique beginning of its id), or the id of a stored step (7f4c8e115e-3).
    """
    from vibe_workflows.engine.why import explain

    from . import why_json, wiring
    from .environment import screen
    from .printing import print_json, print_text
    from .render.why import why_text
    from .settings import load

    reader = wiring.open_reader(load({"db": db}))
    try:
        run, steps, asked = _find_step(reader, step)
        explanation = explain(reader, run, steps, asked)
    finally:
        reader.close()
    if as_json:
        print_json(why_json.of_explanation(explanation))
    else:
        print_text(why_text(explanation, colour=screen(sys.stdout).colour))


def _find_step(reader: StoreReader, named: str) -> tuple[Run, Sequence[RunStep], RunStep]:
    """The run, all its steps, and the one that is meant. Raises ConfigError."""
    from vibe_workflows.engine.errors import ConfigError
    from vibe_workflows.engine.past import steps_of

    from .render.figures import count
    from .selection import find_run

    prefix, _, number = named.rpartition(":")
    if not (number.isascii() and number.isdigit()):
        return _find_by_id(reader, named)
    run = find_run(reader, prefix)
    steps = steps_of(reader, run.id)
    asked = next((each for each in steps if each.number == int(number)), None)
    if asked is None:
        raise ConfigError(
            f"run {run.id} has no step #{number}; it has {count(len(steps), 'step')}, whose numbers "
            f"`vibe trace {run.id}` shows"
        )
    return run, steps, asked


def _find_by_id(reader: StoreReader, named: str) -> tuple[Run, Sequence[RunStep], RunStep]:
    """By the id of a step: as the run saw it that did the work."""
    from vibe_workflows.engine.errors import ConfigError
    from vibe_workflows.engine.model import StepId
    from vibe_workflows.engine.past import steps_of

    step = reader.step(StepId(named))
    run = None if step is None else reader.run(step.run_id)
    if step is None or run is None:
        raise ConfigError(
            f"no step is called {named!r}; give its number in the latest run (3), RUN:3 for that of another run, or "
            "the id of a stored step; `vibe trace` shows the numbers"
        )
    steps = steps_of(reader, run.id)
    return run, steps, next(each for each in steps if each.step.id == step.id)
