"""vibe trace: what a run did."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from . import options
from .completing import values

if TYPE_CHECKING:
    from vibe_workflows.engine.model import Run
    from vibe_workflows.engine.ports import StoreReader

    from .render.trace_rows import RunTrace
    from .render.trace_step import StepTrace


@click.command()
@click.argument("run", required=False, shell_complete=values.runs)
@click.option("--step", "number", type=int, metavar="N", help="One step: its prompt, turns and tool calls.")
@click.option("--waterfall", is_flag=True, help="Draw when each step was at work, and when it waited.")
@click.option("--all", "whole", is_flag=True, help="Each step of a phase of many, not only those that stand out.")
@options.as_json
@options.db
def command(run: str | None, number: int | None, waterfall: bool, whole: bool, as_json: bool, db: str | None) -> None:
    """What RUN did, by a unique beginning of its id; without one, the latest.

    A step marked = came from the store, and cost nothing in this run.
    """
    if number is not None and (waterfall or whole):
        raise click.UsageError("--step shows one step; --waterfall and --all are about all steps of a run")
    from . import trace_json, wiring
    from .environment import screen
    from .printing import print_json, print_text
    from .render.trace import Look, run_text
    from .render.trace_step import step_text
    from .selection import find_run
    from .settings import load

    reader = wiring.open_reader(load({"db": db}))
    try:
        found = find_run(reader, run)
        surface = screen(sys.stdout)
        if number is not None:
            step = _step_trace(reader, found, number)
            if as_json:
                print_json(trace_json.of_step(step))
            else:
                print_text(step_text(step, width=surface.width, colour=surface.colour))
            return
        trace = _run_trace(reader, found)
        if as_json:
            print_json(trace_json.of_run(trace))
        else:
            look = Look(width=surface.width, colour=surface.colour, now=time.time(), whole=whole, waterfall=waterfall)
            print_text(run_text(trace, look))
    finally:
        reader.close()


def _run_trace(reader: StoreReader, run: Run) -> RunTrace:
    from vibe_workflows.engine.events import StepStarted

    from .render.trace_rows import OpenStep, RunTrace

    answered = reader.deliveries(run.id)
    events = [event for _, event in reader.events(run.id)]
    begun = {event.step: event for event in events if isinstance(event, StepStarted)}
    known = {each.step.id for each in answered}
    unanswered = [
        OpenStep(
            number=begun[step.id].number if step.id in begun else 0,
            label=begun[step.id].label if step.id in begun else "",
            phase=begun[step.id].phase if step.id in begun else "",
            step=step,
        )
        for step in reader.steps_of_run(run.id)
        if step.id not in known
    ]
    makeups = reader.makeups(run.id)
    return RunTrace(run=run, answered=answered, unanswered=unanswered, events=events, makeups=makeups)


def _step_trace(reader: StoreReader, run: Run, number: int) -> StepTrace:
    from vibe_workflows.engine.edited import edited_files, worktree_files
    from vibe_workflows.engine.errors import ConfigError

    from .render.figures import count
    from .render.trace_rows import rows_of
    from .render.trace_step import STEP_EVENTS, StepTrace

    trace = _run_trace(reader, run)
    row = next((row for row in rows_of(trace) if row.number == number), None)
    if row is None:
        raise ConfigError(
            f"run {run.id} has no step #{number}; it has {count(len(trace.steps), 'step')}, whose numbers "
            f"`vibe trace {run.id}` shows"
        )
    step = row.step
    delivery = next((each.delivery for each in trace.answered if each.delivery.number == number), None)
    events = trace.events if step.run_id == run.id else [event for _, event in reader.events(step.run_id)]
    return StepTrace(
        run=run,
        number=number,
        label=row.label,
        phase=row.phase,
        line=0 if delivery is None else delivery.line,
        stored=row.stored,
        reason="" if delivery is None else delivery.reason,
        model_reason="" if delivery is None else delivery.model_reason,
        step=step,
        attempts=reader.attempts(step.id),
        turns=reader.turns(step.id),
        tool_calls=reader.tool_calls(step.id),
        edited=edited_files(reader, step),
        worktree=worktree_files(reader, step),
        events=[event for event in events if isinstance(event, STEP_EVENTS) and event.step == step.id],
    )
