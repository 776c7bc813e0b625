"""Progress as plain lines on stderr: no terminal, NO_COLOR, or --quiet (warnings and errors only).

Live steps get a line each when they end; steps from the store are counted, since a rerun may have thousands, and so are
steps that fail, or are tried again, for a reason that was told already.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from vibe_workflows.engine.events import (
    ContextShortened,
    EditsAdopted,
    EditsCollided,
    Event,
    FileEdited,
    Logged,
    ModelDown,
    ModelSlowed,
    ModelUp,
    Nearness,
    PhaseStarted,
    RunFinished,
    RunStarted,
    ScriptRestarted,
    StepFellBack,
    StepFinished,
    StepRetried,
    StepStarted,
    TurnFinished,
    Warned,
)
from vibe_workflows.engine.model import StepStatus

from . import figures
from .faults import LONGEST_ERROR, alike, error_text
from .happenings import edits_adopted, edits_collided, fell_back, file_edited, model_line, script_restarted, shortened
from .made_up import MadeUp
from .sanitize import folded, one_line
from .stream import Output
from .words import OFFLINE_NOTICE, log_line, status_word

_LONGEST_LABEL = 100


#: Different errors that are folded; more of them get a line each.
_MOST_FOLDED = 64

#: Errors that end the run, and that all steps at work may meet at once: told when nothing more of them can come.
_ENDING = frozenset({"SetupError", "ModelMissing"})


class _Alike(msgspec.Struct):
    """Steps that failed, or were tried again, because of alike errors."""

    first: StepFinished | StepRetried
    more: int = 0


class PlainProgress:
    """An EventSink. `quiet` keeps warnings and failures; lines wider than `width` are broken between words."""

    def __init__(self, output: Output, *, quiet: bool, width: int | None = None) -> None:
        self._output = output
        self._made_up = MadeUp()
        self._width = width
        self._quiet = quiet
        self._phase = ""
        self._stored = 0
        self._cancelled = 0
        self._failed: dict[tuple[str, str], _Alike] = {}
        self._retried: dict[str, _Alike] = {}
        self._held: list[_Alike] = []  # those of _failed that are not told yet
        self._latest: _Alike | None = (
            None  # told with the next event: the one that ends the run gives its reason itself
        )

    def handle(self, event: Event) -> None:
        if not isinstance(event, RunFinished):
            self._tell_latest()
        if self._made_up.begins(event):
            self._flush()
            self._say(OFFLINE_NOTICE)
        match event:
            case RunStarted():
                self._say(f"run {event.run} of {event.workflow}" + _continues(event))
            case PhaseStarted():
                self._enter(event.title)
            case StepFinished():
                self._finished(event)
            case StepRetried():
                self._again(event)
            case StepFellBack():
                self._say("  " + fell_back(event))
            case ContextShortened():
                self._say("  " + shortened(event))
            case ModelSlowed() | ModelUp():
                self._say("  " + model_line(event))
            case ModelDown():
                self._loud("warning: " + model_line(event))
            case Logged():
                self._flush()
                self._say("  " + log_line(event))
            case Warned():
                self._flush()
                self._loud(f"warning: {event.message}")
            case FileEdited():
                self._flush()
                self._say("  " + file_edited(event))
            case EditsCollided():
                if event.where is not Nearness.ELSEWHERE:
                    self._flush()
                    self._loud(f"warning: {edits_collided(event)}")
            case EditsAdopted():
                self._flush()
                self._say("  " + edits_adopted(event))
            case ScriptRestarted():
                self._flush()
                self._stored = self._cancelled = 0
                self._say("  " + script_restarted(event))
            case RunFinished():
                self._close(event.error)
            case StepStarted() | TurnFinished():
                pass
            case _:
                assert_never(event)

    def close(self) -> None:
        """Tell of what was only counted so far."""
        self._close("")

    def _close(self, ending: str) -> None:
        """`ending` is the error of the run: it is told after this, and so is the reason of a step that it came from."""
        self._tell_latest(ending)
        self._flush(ending)
        for each in self._failed.values():
            if each.more and self._quiet:  # otherwise the last lines of the run tell how many they were
                self._loud(f"  {figures.count(each.more, 'more step')} failed: {_error(each.first)}")
        for each in self._retried.values():
            if each.more:
                self._say(f"  {each.more:,} more {'retry' if each.more == 1 else 'retries'}: {_error(each.first)}")
        self._failed.clear()
        self._retried.clear()

    def _enter(self, phase: str) -> None:
        if phase != self._phase:
            self._flush()
            self._phase = phase
            if phase:
                self._say(f"{phase}")

    def _finished(self, event: StepFinished) -> None:
        self._enter(event.phase)
        if event.stored:
            self._stored += 1
        elif event.status == StepStatus.CANCELLED:
            self._cancelled += 1
        elif event.status in (StepStatus.FAILED, StepStatus.TIMED_OUT):
            self._fail(event)
        else:
            self._flush()
            self._say(_step(event))

    def _fail(self, event: StepFinished) -> None:
        key = (event.error_type, alike(event.error, event.label))
        known = self._failed.get(key)
        if known is not None:
            known.more += 1
            return
        if len(self._failed) < _MOST_FOLDED:
            self._failed[key] = new = _Alike(event)
            if event.error_type in _ENDING:
                self._held.append(new)
                return
        self._flush()
        self._latest = _Alike(event)

    def _again(self, event: StepRetried) -> None:
        key = alike(event.error)
        known = self._retried.get(key)
        if known is not None:
            known.more += 1
            return
        if len(self._retried) < _MOST_FOLDED:
            self._retried[key] = _Alike(event)
        self._say(f"  #{event.number} tried again in {figures.duration(event.wait_s)}: {_error(event)}")

    def _flush(self, ending: str = "") -> None:
        """Tell of what came before, and was kept back to be counted."""
        if self._stored:
            count, self._stored = self._stored, 0
            self._say(f"  {figures.count(count, 'step')} from the store")
        if self._held:
            held, self._held = self._held, []
            for each in held:
                self._tell(each, ending)
        if self._cancelled:
            count, self._cancelled = self._cancelled, 0
            self._say(f"  {figures.count(count, 'step')} cancelled")

    def _tell_latest(self, ending: str = "") -> None:
        if self._latest is not None:
            latest, self._latest = self._latest, None
            self._tell(latest, ending)

    def _tell(self, held: _Alike, ending: str) -> None:
        assert isinstance(held.first, StepFinished)
        step = held.first
        reason = "" if ending and ending.endswith(step.error) else f": {_error(step)}"
        if held.more:
            self._loud(f"  {figures.count(held.more + 1, 'step')} failed{reason}")
        else:
            self._loud(f"{_step(step)}{reason}")
        held.more = 0

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._loud(text)

    def _loud(self, text: str) -> None:
        indent = text[: len(text) - len(text.lstrip(" "))]
        line = indent + one_line(text)
        self._output.line(line if self._width is None else "\n".join(folded(line, self._width, indent=2)))


def _step(event: StepFinished) -> str:
    parts = [f"  #{event.number}", one_line(event.label, _LONGEST_LABEL), status_word(event.status)]
    if event.tokens:
        parts.append(f"{figures.tokens(event.tokens)} tokens {figures.money(event.cost_microusd)}")
    parts.append(figures.duration(event.duration_s))
    return " ".join(part for part in parts if part)


def _error(event: StepFinished | StepRetried) -> str:
    """Type, kind and message, as far as the event has them."""
    return error_text(event) if isinstance(event, StepFinished) else one_line(event.error, LONGEST_ERROR)


def _continues(event: RunStarted) -> str:
    return f", going on with run {event.parent}" if event.parent else ""
