"""The steps of a past run by phase: what each used, when it was at work, and which of many are worth a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from vibe_workflows.engine.events import Event, Logged, PhaseStarted, RunStarted, StepRetried
from vibe_workflows.engine.model import (
    NO_USAGE,
    DeliveryMode,
    PromptMakeup,
    Run,
    Step,
    StepId,
    StepStatus,
    Usage,
)
from vibe_workflows.engine.ports import DeliveredStep

from .tally import Tally

#: A phase of more steps is folded: so many of them have a line, the others are counted.
FOLDED_FROM = 30
SHOWN = 20

_FAILED = (StepStatus.FAILED, StepStatus.TIMED_OUT)
_OPEN = (StepStatus.RUNNING, StepStatus.PENDING)


class OpenStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that a run worked on and never answered: failed before, cut off, or under way."""

    number: int
    label: str
    phase: str
    step: Step


class RunTrace(msgspec.Struct, frozen=True, kw_only=True):
    run: Run
    answered: Sequence[DeliveredStep]
    unanswered: Sequence[OpenStep]
    events: Sequence[Event]
    makeups: Mapping[StepId, PromptMakeup]

    @property
    def log(self) -> list[Logged]:
        return [event for event in self.events if isinstance(event, Logged)]

    @property
    def phases(self) -> list[str]:
        """In order, those without steps too."""
        return list(dict.fromkeys(event.title for event in self.events if isinstance(event, PhaseStarted)))

    @property
    def steps(self) -> list[Step]:
        return [*(each.step for each in self.answered), *(each.step for each in self.unanswered)]

    @property
    def begun(self) -> RunStarted | None:
        return next((event for event in self.events if isinstance(event, RunStarted)), None)

    @property
    def ended_at(self) -> float:
        """Of a run that is under way, or was killed: when something was last heard of it."""
        if self.run.finished_at is not None:
            return self.run.finished_at
        return max([self.run.started_at, *(event.at for event in self.events)])


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run, answered or not. `ended_at` is None while it is at work, or where it was cut off."""

    number: int
    label: str
    phase: str
    status: str
    stored: bool
    step: Step
    asked_at: float
    began_at: float
    ended_at: float | None

    @property
    def failed(self) -> bool:
        return self.step.status in _FAILED

    @property
    def seconds(self) -> float:
        return 0.0 if self.stored or self.ended_at is None else self.ended_at - self.began_at


def rows_of(trace: RunTrace) -> Iterator[StepRow]:
    for answered in trace.answered:
        delivery, step = answered.delivery, answered.step
        stored = delivery.mode is not DeliveryMode.LIVE
        yield StepRow(
            number=delivery.number,
            label=delivery.label,
            phase=delivery.phase,
            status=delivery.status.value,
            stored=stored,
            step=step,
            asked_at=delivery.requested_at,
            began_at=delivery.delivered_at if stored else step.started_at,
            ended_at=delivery.delivered_at if stored else step.finished_at,
        )
    for opened in trace.unanswered:
        step = opened.step
        yield StepRow(
            number=opened.number,
            label=opened.label,
            phase=opened.phase,
            status=step.status.value,
            stored=False,
            step=step,
            asked_at=step.started_at,
            began_at=step.started_at,
            ended_at=None if step.status in _OPEN else step.finished_at,
        )


def as_of_now(trace: RunTrace) -> RunTrace:
    """Of a run that is under way, or was killed: with sums of what it has answered, as a run that ended has them."""
    run = trace.run
    if run.finished_at is not None:
        return trace
    live = [each.step for each in trace.answered if each.delivery.mode is DeliveryMode.LIVE]
    usage = sum((each.step.usage for each in trace.answered), NO_USAGE)
    paid = sum((step.usage for step in live), NO_USAGE)
    stored = len(trace.answered) - len(live)
    run = replace(run, usage=usage, paid=paid, live_steps=len(live), stored_steps=stored)
    return replace(trace, run=run)


def tally(rows: Iterable[StepRow]) -> Tally:
    over = Tally()
    for row in rows:
        if row.ended_at is not None:
            over.add(row.step.status, stored=row.stored)
    return over


class PhaseRows(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a phase; a phase may have none."""

    title: str
    rows: Sequence[StepRow]

    @property
    def over(self) -> Tally:
        return tally(self.rows)

    @property
    def running(self) -> int:
        return sum(row.ended_at is None for row in self.rows)

    @property
    def used(self) -> Usage:
        """By its live steps: what others used was paid before."""
        return sum((row.step.usage for row in self.rows if not row.stored), NO_USAGE)

    @property
    def began_at(self) -> float:
        return min(row.began_at for row in self.rows)

    def ended_at(self, end: float) -> float:
        """`end` is that of the run, for steps that have none."""
        return max(end if row.ended_at is None else row.ended_at for row in self.rows)


def phases_of(trace: RunTrace) -> list[PhaseRows]:
    """In the order in which they began, each with its steps in the order of their numbers."""
    by_phase: dict[str, list[StepRow]] = {title: [] for title in trace.phases}
    for row in sorted(rows_of(trace), key=lambda row: row.number):
        by_phase.setdefault(row.phase, []).append(row)
    return [PhaseRows(title=title, rows=rows) for title, rows in by_phase.items()]


def phases_ahead_of(trace: RunTrace) -> list[str]:
    """Phases that were announced, and that nothing has come of."""
    begun, reached = trace.begun, {*trace.phases, *(row.phase for row in rows_of(trace))}
    return [] if begun is None else [title for title in begun.phases if title not in reached]


def worth_a_line(rows: Sequence[StepRow], first: Sequence[int], *, whole: bool) -> list[int]:
    """Which rows are shown: of many those of `first`, then those without an end, and the ones that took longest."""
    if whole or len(rows) <= FOLDED_FROM:
        return list(range(len(rows)))
    chosen = dict.fromkeys(first[: SHOWN // 2])
    without_end = [at for at, row in enumerate(rows) if row.ended_at is None]
    slowest = sorted(range(len(rows)), key=lambda at: -rows[at].seconds)
    for at in (*without_end, *slowest[:SHOWN]):
        if len(chosen) < SHOWN:
            chosen[at] = None
    return sorted(chosen)


def waits_of(trace: RunTrace) -> dict[str, list[StepRetried]]:
    """By the id of a step: the waits before it was tried again, or let through by a rate limit."""
    waits: dict[str, list[StepRetried]] = {}
    for event in trace.events:
        if isinstance(event, StepRetried):
            waits.setdefault(event.step, []).append(event)
    return waits
