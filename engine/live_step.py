"""What a live step is to do, what it shares with all others of its run, and what it comes to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

from .agents.schema_cache import SchemaCache
from .attachments import Attachments
from .budget import Budget, Scope
from .errors import StepFault
from .events import Event
from .journal import Journal
from .metering import MeteredBackend
from .model import (
    NO_USAGE,
    Attempt,
    FilePart,
    Observation,
    RunId,
    Step,
    StepId,
    StepKey,
    StepSpec,
    Turn,
    Usage,
)
from .ports import Checker, CommandTool, CutOffStep, Record, Tool
from .timeline.project import Project
from .timeline.timeline import Witness

if TYPE_CHECKING:
    from .clis.turns import AgentPrograms

#: Lets a step be given files, which the last argument looks at.
LookAtFiles: TypeAlias = Callable[[Sequence[str]], Awaitable[tuple[FilePart, ...]]]


class Give(Protocol):
    def __call__(
        self,
        witness: Witness,
        paths: Sequence[str],
        look: LookAtFiles,
        *,
        earlier: Callable[[], tuple[FilePart, ...]] | None = None,
    ) -> Awaitable[tuple[tuple[FilePart, ...], tuple[Observation, ...]]]:
        """As `Project.give`."""
        ...


class LiveStep(Struct, frozen=True, kw_only=True):
    """The work item: what to do, and within which limits."""

    number: int  # the call's id on the wire
    id: StepId
    key: StepKey
    spec: StepSpec
    canonical: str
    label: str
    phase: str
    tools: tuple[Tool, ...]
    budget: Scope
    max_tokens: int
    max_turns: int
    timeout_s: float
    retries: int
    witness: Witness
    gate_tool: CommandTool | None = None
    cut_off: CutOffStep | None = None  # whose turns are the first ones of this step
    attempt_after: StepId | None = None  # whose edits this step inherits
    reason: str = ""  # why no stored answer was taken
    refused: StepFault | None = None  # why its files cannot be had, where they were looked at already


class StepOutcome(Struct, frozen=True, kw_only=True):
    """What a live step came to. `records` and `events` belong into the transaction of its end."""

    step: Step
    records: tuple[Record, ...]
    paid: Usage = NO_USAGE  # by this run: a step that went on with another one used more
    events: tuple[Event, ...] = ()
    counted: bool = True  # False: the budget turned it away before it became a step

    @property
    def attempts(self) -> int:
        return max(sum(isinstance(record, Attempt) for record in self.records), 1)


class StepServices(Struct, frozen=True, kw_only=True):
    """What all steps of a run share."""

    run_id: RunId
    journal: Journal
    backend: MeteredBackend
    budget: Budget
    checker: Checker
    schemas: SchemaCache
    attachments: Attachments
    project: Project
    finished_turns: Callable[[StepId], Sequence[Turn]]  # of a step that was cut off
    agents: AgentPrograms | None = None
    wall_clock: Callable[[], float]
    jitter: Callable[[], float]  # uniform in [0, 1)
