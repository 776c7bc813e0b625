"""One invocation that runs a workflow: settings, progress on stderr, the result on stdout, the exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click
import msgspec
from msgspec.structs import replace

from vibe_workflows.engine.config import Settings, parse_budget
from vibe_workflows.engine.errors import ExitCode, VibeError
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import JSON, Run, RunStatus
from vibe_workflows.engine.ports import EventSink

from . import wiring
from .edits import Edits
from .environment import screen
from .errors import say
from .failures import Failures
from .output import Form, RunOutput
from .render.faults import origin_of
from .render.made_up import MadeUp
from .render.plain import PlainProgress
from .render.stream import Output
from .render.tally import Tally
from .render.words import OFFLINE_REMINDER, summary


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, as far as it is no setting."""

    target: str
    source_text: str | None = None
    arguments: dict[str, JSON] = {}
    options: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    args_json: str | None = None
    new: bool = False
    fresh: bool = False
    refresh: tuple[str, ...] = ()
    accept: bool = False
    seed: str | None = None
    resume: str | None = None


def invoke(asked: Asked, settings: Settings, given: Mapping[str, object]) -> int:
    """Run it and return the exit code. Raises VibeErrors for what is found before the run exists."""
    quiet = bool(given.get("quiet"))
    failures, edits, made_up = Failures(), Edits(), MadeUp()
    with RunOutput(_form(given), _text(given.get("output"))) as output:
        try:
            quiet_view = quiet or (bool(given.get("events")) and output.to_terminal)
            with _progress(quiet=quiet_view) as progress:
                sinks = [progress, failures, edits, made_up, *output.sinks()]
                report = wiring.run_workflow(settings, _request(asked, settings, given), sinks)
        except VibeError as error:
            output.fail(error)
            raise
        output.finish(report, failures, edits)
    _conclude(report, failures, edits, quiet=quiet)
    if made_up.found:
        say(OFFLINE_REMINDER)
    return int(report.exit_code)


def preview(asked: Asked, settings: Settings, given: Mapping[str, object]) -> int:
    """Show what a run would do first, without one. Raises VibeErrors."""
    if given.get("events"):
        raise click.UsageError("a dry run has no events to print; --json prints what it finds")
    from .dry_run import show

    lines = PlainProgress(Output.of(sys.stderr), quiet=bool(given.get("quiet")), width=screen(sys.stderr).width)
    with RunOutput(_form(given), _text(given.get("output"))) as output:
        try:
            found = wiring.dry_run(settings, _request(asked, settings, given), [lines])
        except VibeError as error:
            output.fail(error)
            raise
        lines.close()
        return show(found, output)


def _form(given: Mapping[str, object]) -> Form:
    if given.get("as_json") and given.get("events"):
        raise click.UsageError("--json and --events exclude each other: the last line of --events is that document")
    return Form.EVENTS if given.get("events") else Form.DOCUMENT if given.get("as_json") else Form.RESULT


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _request(asked: Asked, settings: Settings, given: Mapping[str, object]) -> RunRequest:
    """What was given on this command line; values come from the settings, where they were checked."""
    return RunRequest(
        target=asked.target,
        source_text=asked.source_text,
        arguments=asked.arguments,
        options=asked.options,
        followed=asked.followed,
        words=asked.words,
        args_json=asked.args_json,
        new=asked.new,
        fresh=asked.fresh,
        refresh=asked.refresh,
        accept=asked.accept,
        seed=asked.seed,
        resume=asked.resume,
        budget=parse_budget(given["budget"]) if given.get("budget") else None,
        max_usd=settings.max_usd if given.get("max_usd") else None,
        allow=settings.allow,
        model=settings.model if settings.model_by_flag else None,
        concurrency=settings.concurrency if given.get("concurrency") else None,
        require_model=settings.require_model,
    )


@contextmanager
def _progress(*, quiet: bool) -> Iterator[EventSink]:
    """The view on stderr while a run lasts: a live tree where lines can be drawn over, lines elsewhere."""
    surface = screen(sys.stderr)
    if quiet or not surface.redraws:
        lines = PlainProgress(Output.of(sys.stderr), quiet=quiet, width=surface.width)
        yield lines
        lines.close()
        return
    from .render.live import LiveProgress

    live = LiveProgress(sys.stderr)
    live.start()
    try:
        yield live
    finally:
        live.close()


def _conclude(report: RunReport, failures: Failures, edits: Edits, *, quiet: bool) -> None:
    """The last lines on stderr: what went wrong, what to do next, what it came to."""
    run = report.run
    for note in report.notes:
        say(f"warning: {note}")
    if not quiet:
        for line in failures.lines(report.error):
            say(line)
    if report.error is not None:
        say(f"error: {report.error.message}")
        for line in failures.origin_lines(report.error):
            say(line)
    # A script that started over was answered by the store what had been live in the same run.
    over = replace(failures.over, stored=run.stored_steps)
    if (move := _next_move(run, report.exit_code, over)) and not quiet:
        say(move)
    if not quiet:
        for line in edits.lines():
            say(line)
    if not quiet and (run.stored_steps + run.live_steps or report.error is None):
        say(
            summary(
                over,
                paid_microusd=run.paid.cost_microusd,
                paid_tokens=run.paid.tokens,
                oldest_stored_s=report.oldest_stored_s,
            )
        )


def _next_move(run: Run, exit_code: ExitCode, over: Tally) -> str:
    again = f"`vibe resume {run.id}`, or the same command"
    match run.status:
        case RunStatus.COMPLETED:
            return ""
        case RunStatus.INTERRUPTED | RunStatus.CANCELLED | RunStatus.PAUSED:
            return f"{run.status.value}; everything finished is kept. To go on: {again}"
        case RunStatus.BUDGET_EXCEEDED:
            return f"everything finished is kept. To go on with a larger budget: `vibe resume {run.id} --budget LIMIT`"
        case RunStatus.WAITING:
            return f"waiting for an answer; to go on: {again}"
        case _:
            if exit_code is ExitCode.USAGE or run.stored_steps + run.live_steps == 0:
                return ""  # the message says what to mend, and nothing is kept that is worth a word
            origin = None if run.fault is None else origin_of(run.fault)
            step = "" if origin is None else f" --step {origin.number}"
            kept = "everything finished is kept. " if over.stored + over.live else ""
            return f"{kept}{'To' if kept else 'to'} look: `vibe trace {run.id}{step}`; to try again: {again}"
