"""Progress as plain lines on stderr: no terminal, NO_COLOR, or --quiet (warnings and errors only).

Live steps get a line each when they end; steps from the store are counted, since a rerun may have thousands.
"""

from __future__ import annotations

from typing import assert_never

from vibe_workflows.engine.events import (
    ContextShortened,
    Event,
    Logged,
    ModelDown,
    ModelSlowed,
    ModelUp,
    PhaseStarted,
    RunFinished,
    RunStarted,
    StepFellBack,
    StepFinished,
    StepRetried,
    StepStarted,
    TurnFinished,
    Warned,
)
from vibe_workflows.engine.model import StepStatus

from . import figures
from .sanitize import one_line
from .stream import Output
from .words import OFFLINE_NOTICE, log_line, status_word


class PlainProgress:
    """An EventSink. `quiet` keeps warnings and failures."""

    def __init__(self, output: Output, *, quiet: bool) -> None:
        self._output = output
        self._quiet = quiet
        self._phase = ""
        self._stored = 0

    def handle(self, event: Event) -> None:
        match event:
            case RunStarted():
                if event.offline:
                    self._say(OFFLINE_NOTICE)
                self._say(f"run {event.run} of {event.workflow}" + _continues(event))
            case PhaseStarted():
                self._enter(event.title)
            case StepFinished():
                self._finished(event)
            case StepRetried():
                self._say(f"  #{event.number} tried again in {figures.duration(event.wait_s)}: {event.error}")
            case StepFellBack():
                self._say(f"  #{event.number} goes on with {event.model}: {event.error}")
            case ContextShortened():
                self._say(
                    f"  #{event.number} shortened {figures.count(event.outputs, 'old tool output')}, to fit the model"
                )
            case ModelSlowed():
                self._say(f"  {event.model} is rate limited: {figures.count(event.at_once, 'call')} at a time")
            case ModelDown():
                self._loud(
                    f"warning: {event.model} is down ({figures.count(event.failures, 'failure')} in a row: "
                    f"{event.error}); asked again in {figures.duration(event.wait_s)}"
                )
            case ModelUp():
                self._say(f"  {event.model} answers again")
            case Logged():
                self._flush_stored()
                self._say("  " + log_line(event))
            case Warned():
                self._loud(f"warning: {event.message}")
            case RunFinished():
                self.close()
            case StepStarted() | TurnFinished():
                pass
            case _:
                assert_never(event)

    def close(self) -> None:
        """Tell of the stored steps that were not told of yet."""
        self._flush_stored()

    def _enter(self, phase: str) -> None:
        if phase != self._phase:
            self._flush_stored()
            self._phase = phase
            if phase:
                self._say(f"{phase}")

    def _finished(self, event: StepFinished) -> None:
        self._enter(event.phase)
        if event.stored:
            self._stored += 1
            return
        self._flush_stored()
        parts = [f"  #{event.number}", event.label, status_word(event.status)]
        if event.tokens:
            parts.append(f"{figures.tokens(event.tokens)} tokens {figures.money(event.cost_microusd)}")
        parts.append(figures.duration(event.duration_s))
        line = " ".join(part for part in parts if part)
        if event.status in (StepStatus.FAILED, StepStatus.TIMED_OUT):
            self._loud(f"{line}: {event.error}")
        else:
            self._say(line)

    def _flush_stored(self) -> None:
        if self._stored:
            count, self._stored = self._stored, 0
            self._say(f"  {figures.count(count, 'step')} from the store")

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._loud(text)

    def _loud(self, text: str) -> None:
        indent = text[: len(text) - len(text.lstrip(" "))]
        self._output.line(indent + one_line(text))


def _continues(event: RunStarted) -> str:
    return f", going on with run {event.parent}" if event.parent else ""
