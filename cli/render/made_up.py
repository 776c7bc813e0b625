"""Whether agents of a run were answered without a model, which a person has to know."""

from __future__ import annotations

from vibe_workflows.engine.events import Event, StepFinished
from vibe_workflows.engine.model import StepStatus
from vibe_workflows.engine.routing import OFFLINE


def is_made_up(model: str) -> bool:
    """Whether this is the model that answers where there is none."""
    return model.partition("/")[0] == OFFLINE


class MadeUp:
    """An EventSink. A run that asks no agent has nothing made up, and neither has one that failed before an answer."""

    def __init__(self) -> None:
        self.found = False

    def handle(self, event: Event) -> None:
        self.begins(event)

    def begins(self, event: Event) -> bool:
        """Whether this is the first answer, live or stored, that is made up."""
        if self.found or not isinstance(event, StepFinished) or not is_made_up(event.model):
            return False
        self.found = event.stored or event.status == StepStatus.COMPLETED
        return self.found
