"""The steps of one past run, answered or not, as what looks at past runs needs them."""

from __future__ import annotations

from msgspec import Struct

from .events import StepStarted
from .model import Delivery, DeliveryMode, Run, RunId, Step, StepId
from .ports import StoreReader


class RunStep(Struct, frozen=True, kw_only=True):
    """One call of a run with the step that answered it, or that was at work for it and came to no answer."""

    number: int
    label: str
    phase: str
    step: Step
    delivery: Delivery | None

    @property
    def stored(self) -> bool:
        return self.delivery is not None and self.delivery.mode is not DeliveryMode.LIVE

    @property
    def applied(self) -> bool:
        """Whether the edits of the stored step were made again."""
        return self.delivery is not None and self.delivery.mode is DeliveryMode.APPLIED

    @property
    def line(self) -> int:
        return 0 if self.delivery is None else self.delivery.line

    @property
    def place(self) -> str:
        return "" if self.delivery is None else self.delivery.place


def steps_of(reader: StoreReader, run: RunId) -> list[RunStep]:
    """In the order of the calls; a step whose call nobody knows comes first, with number 0."""
    answered = [
        RunStep(
            number=each.delivery.number,
            label=each.delivery.label,
            phase=each.delivery.phase,
            step=each.step,
            delivery=each.delivery,
        )
        for each in reader.deliveries(run)
    ]
    return sorted([*answered, *_unanswered(reader, run, {each.step.id for each in answered})], key=lambda s: s.number)


def _unanswered(reader: StoreReader, run: RunId, answered: set[StepId]) -> list[RunStep]:
    """A process that died told only that they had begun."""
    left = [step for step in reader.steps_of_run(run) if step.id not in answered]
    if not left:
        return []
    begun = {event.step: event for _, event in reader.events(run) if isinstance(event, StepStarted)}
    return [_never_answered(step, begun.get(step.id)) for step in left]


def _never_answered(step: Step, begun: StepStarted | None) -> RunStep:
    if begun is None:
        return RunStep(number=0, label="", phase="", step=step, delivery=None)
    return RunStep(number=begun.number, label=begun.label, phase=begun.phase, step=step, delivery=None)


def run_before(reader: StoreReader, run: Run) -> Run | None:
    """The latest earlier run of the same file, whatever its arguments."""
    return next(iter(reader.runs_before(run, 1)), None)
