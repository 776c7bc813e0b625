"""What the engine writes down, and what it reads back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from ..events import Event
from ..model import (
    Attempt,
    Delivery,
    Fault,
    Observation,
    PromptMakeup,
    Run,
    RunId,
    Step,
    StepId,
    StepKey,
    StepStatus,
    ToolCall,
    Turn,
    Usage,
)


class RunEvent(Struct, frozen=True, kw_only=True):
    run_id: RunId
    event: Event


class Source(Struct, frozen=True, kw_only=True):
    """The text of a workflow that ran, by its digest."""

    digest: str
    text: str


#: One row to write: an insert, or the whole new state of the row with the same id.
Record: TypeAlias = Run | Step | Attempt | Turn | ToolCall | Delivery | RunEvent | Source


class StoredStep(Struct, frozen=True, kw_only=True):
    """A completed step of the store, as far as reuse needs it."""

    id: StepId
    finished_seq: int  # store-wide order of finishing
    finished_at: float
    spec: str
    result: str
    usage: Usage
    place: str  # of its latest delivery
    model: str
    turns: int
    observations: tuple[Observation, ...] = ()


class CutOffStep(Struct, frozen=True, kw_only=True):
    """A step that finished turns and came to no answer, as far as going on with it needs it."""

    id: StepId
    run_id: RunId
    status: StepStatus
    fault: Fault | None
    spec: str
    finished_at: float
    turns: int  # how many are finished
    observations: tuple[Observation, ...] = ()  # of all its turns but the last one, whose tools are run again


class DeliveredStep(Struct, frozen=True, kw_only=True):
    """A delivery with the step that answered it: a line of a trace."""

    delivery: Delivery
    step: Step


class LabelUsage(NamedTuple):
    """What so many steps of one label used together, with one model."""

    model: str
    steps: int
    input_tokens: int
    output_tokens: int
    cost_microusd: int | None  # None: not of all of them is it known


class StoreReader(Protocol):
    """Blocking reads of committed state, a few microseconds each. Text that became a blob comes back as text."""

    def pool(self, key: StepKey) -> list[StoredStep]:
        """Completed steps of one key, by order of finishing."""
        ...

    def cut_off(self, key: StepKey) -> list[CutOffStep]:
        """Steps of one key that nobody works on any more and nothing goes on with yet, by order of starting."""
        ...

    def run(self, run_id: RunId) -> Run | None: ...

    def find_runs(self, prefix: str) -> list[Run]:
        """Runs whose id begins with `prefix`, newest first."""
        ...

    def runs(self, limit: int) -> list[Run]:
        """Newest first."""
        ...

    def latest_run(self, path: str, args_digest: str) -> Run | None:
        """The newest run of one file and arguments."""
        ...

    def runs_before(self, run: Run, limit: int) -> list[Run]:
        """Earlier runs of the same file, whatever their arguments, newest first."""
        ...

    def step(self, step_id: StepId) -> Step | None: ...

    def unanswered(self, key: StepKey) -> list[Step]:
        """Steps of one key that came to no answer (yet), by order of starting."""
        ...

    def earlier_specs(self, step: Step, limit: int) -> list[tuple[StepId, str]]:
        """Specs of steps of the same kind that other runs started before it, each with its latest step, newest first.

        It looks at no more than `limit` of the latest steps.
        """
        ...

    def latest_delivery(self, step_id: StepId, run_id: RunId) -> Delivery | None:
        """The last answer that a step gave in one run."""
        ...

    def deliveries(self, run_id: RunId) -> list[DeliveredStep]:
        """In order of delivery."""
        ...

    def steps_of_run(self, run_id: RunId) -> list[Step]:
        """All steps that this run worked on, finished or not, in order of starting."""
        ...

    def turns(self, step_id: StepId) -> list[Turn]:
        """In order; those of the steps that it goes on with come first."""
        ...

    def makeups(self, run_id: RunId) -> dict[StepId, PromptMakeup]:
        """What the prompts of a run's steps were made of, the turns of each added up; of stored answers too."""
        ...

    def tool_calls(self, step_id: StepId) -> list[ToolCall]:
        """In order, as `turns`; of calls that were made again when the step was gone on with, the later ones."""
        ...

    def attempts(self, step_id: StepId) -> list[Attempt]: ...

    def events(self, run_id: RunId, after: int = 0) -> list[tuple[int, Event]]:
        """(number, event) in order, from the first number above `after`."""
        ...

    def usage_by_label(self, path: str, runs: int) -> dict[str, list[LabelUsage]]:
        """What the completed agent steps of the latest runs of one file used, each counted once."""
        ...

    def source(self, digest: str) -> str | None: ...

    def close(self) -> None: ...


class Store(Protocol):
    """The writer. Records of one call share a transaction; transactions commit in the order of the calls."""

    @property
    def reader(self) -> StoreReader: ...

    @property
    def reusable(self) -> bool:
        """False for a store of unknown origin: it may be read for traces, and never answers a step."""
        ...

    def post(self, records: Sequence[Record], then: Callable[[], None] | None = None, *, lazy: bool = False) -> None:
        """Queue records. `then` runs after their commit, in the order of posting, in the trio thread.

        Lazy records wait for the next transaction, or at most about 50 ms, so that they cost no commit of their own.
        """
        ...

    async def commit(self, records: Sequence[Record]) -> None:
        """Return when the records are durable. Safe to repeat; cancelled, it leaves them queued."""
        ...
