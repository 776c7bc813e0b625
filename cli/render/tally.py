"""How many steps of a run or of a phase are over, as every view counts them."""

from __future__ import annotations

import msgspec

from vibe_workflows.engine.model import StepStatus


class Tally(msgspec.Struct):
    """Each step counts once, by how it ended; a call that the budget turned away counts as failed."""

    stored: int = 0
    live: int = 0  # completed now
    failed: int = 0
    dropped: int = 0  # cancelled or skipped

    @property
    def done(self) -> int:
        return self.stored + self.live + self.failed + self.dropped

    def add(self, status: str, *, stored: bool) -> None:
        if status in (StepStatus.FAILED, StepStatus.TIMED_OUT):
            self.failed += 1
        elif status in (StepStatus.CANCELLED, StepStatus.SKIPPED):
            self.dropped += 1
        elif stored:
            self.stored += 1
        else:
            self.live += 1
