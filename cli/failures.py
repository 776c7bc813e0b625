"""How the steps of a run ended and why some failed, by its events: for its last lines and its document."""

from __future__ import annotations

import msgspec

from vibe_workflows.engine.events import Event, StepFinished, Warned
from vibe_workflows.engine.model import Fault, StepStatus

from .render import figures
from .render.faults import LONGEST_ERROR, alike, fault_name, origin_line, origin_of, told
from .render.sanitize import one_line
from .render.tally import Tally

#: Steps and errors that are kept; of more there is only the number.
KEPT = 20

#: Different errors that the last lines of a run tell of.
_SHOWN = 5
_LABEL = 80  # columns of a label in them


class FailedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step that failed. Its field names are those of `failures` under --json."""

    step: str | None  # None: turned away before it became one
    number: int
    label: str
    phase: str
    type: str
    kind: str
    message: str
    attempts: int = 1


class FoldedError(msgspec.Struct, kw_only=True):
    """The same error of one step, or of many."""

    first: FailedStep
    steps: int = 1

    @property
    def text(self) -> str:
        """One line: 16 steps failed: SetupError: ... ."""
        first = self.first
        who = (
            figures.count(self.steps, "step") if self.steps > 1 else f"#{first.number} {one_line(first.label, _LABEL)}"
        )
        name = f"{fault_name(first.type, first.kind)}: " if first.type else ""
        return f"{who} failed: {name}{one_line(self._reason, LONGEST_ERROR)}"

    @property
    def _reason(self) -> str:
        return told(self.first.message, self.first.label)

    def is_in(self, error: Fault | None) -> bool:
        """Whether it is the error that ended the run, which says where in the script, too."""
        if error is None or error.type != self.first.type:
            return False
        origin = origin_of(error)
        _, _, message = error.message.partition(f"{error.type}: ")
        return alike(message, "" if origin is None else origin.label) == alike(self._reason)


class Failures:
    """An EventSink. Bounded: the first steps and the first different errors are kept, all are counted."""

    def __init__(self) -> None:
        self.over = Tally()
        self.steps: list[FailedStep] = []
        self._folded: dict[tuple[str, str, str], FoldedError] = {}
        self._unfolded = 0  # steps with errors of which none is kept
        self._warned: list[str] = []  # by fan-outs, which tell of their branches that failed

    def lines(self, error: Fault | None) -> list[str]:
        """A line for each different error, but for the one that ended the run."""
        others = [each for each in self._folded.values() if not each.is_in(error) and not self._is_told(each)]
        lines = [f"warning: {each.text}" for each in others[:_SHOWN]]
        left = sum(each.steps for each in others[_SHOWN:]) + self._unfolded
        return [*lines, f"warning: {figures.count(left, 'more step')} failed in other ways"] if left else lines

    def origin_lines(self, error: Fault) -> list[str]:
        """Where the error of the run came from, how often that was tried, and how many steps ended the same way."""
        origin = origin_of(error)
        alike = next((each.steps - 1 for each in self._folded.values() if each.is_in(error)), 0)
        more = f"{figures.count(alike, 'more step')} failed so" if alike else ""
        told_here = "; ".join(part for part in (origin_line(origin) if origin else "", more) if part)
        return [f"  {told_here}"] if told_here else []

    def handle(self, event: Event) -> None:
        if isinstance(event, Warned) and len(self._warned) < KEPT:
            self._warned.append(event.message)
        if isinstance(event, StepFinished):
            self.over.add(event.status, stored=event.stored)
            if event.status in (StepStatus.FAILED, StepStatus.TIMED_OUT):
                self._failed(event)

    @property
    def count(self) -> int:
        return self.over.failed

    def _is_told(self, error: FoldedError) -> bool:
        message = error.first.message
        return error.steps == 1 and any(warning.endswith(message) for warning in self._warned)

    def _failed(self, event: StepFinished) -> None:
        key = (event.error_type, event.error_kind, alike(event.error, event.label))
        known = self._folded.get(key)
        if known is not None:
            known.steps += 1
        elif len(self._folded) >= KEPT:
            self._unfolded += 1
        if len(self.steps) >= KEPT and (known is not None or len(self._folded) >= KEPT):
            return
        step = FailedStep(
            step=event.step or None,
            number=event.number,
            label=event.label,
            phase=event.phase,
            type=event.error_type,
            kind=event.error_kind,
            message=event.error,
            attempts=event.attempts,
        )
        if len(self.steps) < KEPT:
            self.steps.append(step)
        if known is None and len(self._folded) < KEPT:
            self._folded[key] = FoldedError(first=step)
