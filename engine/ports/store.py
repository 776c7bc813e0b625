"""What the engine writes down, and what it reads back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from ..events import Event
from ..model import (
    Attempt,
    Change,
    Delivery,
    Edit,
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


class FileChange(Struct, frozen=True, kw_only=True):
    """An entry of a path's chain. It is written before the disk is touched, and once more, `done`, after it."""

    epoch: int  # no two entries have the same
    change: Change
    step_id: StepId  # who made it: the step ...
    run_id: RunId  # ... and the run in which that was
    done: bool = False


class FileContents(Struct, frozen=True, kw_only=True):
    """Contents of a file before or after a change, by their digest."""

    digest: str
    data: bytes


class SeenAgain(Struct, frozen=True, kw_only=True):
    """A completed step whose edits were made again: all that it saw, with the epochs of now."""

    step_id: StepId
    observations: tuple[Observation, ...]


class Disinherited(Struct, frozen=True, kw_only=True):
    """A step that stands after an earlier attempt, itself or by one that it goes on with, and has lost its edits."""

    step_id: StepId


class StartedOver(Struct, frozen=True, kw_only=True):
    """The script of a run begins again: the deliveries of before do not count."""

    run_id: RunId


class Withdrawn(Struct, frozen=True, kw_only=True):
    """Entries of chains that go: they were taken back, or never made.

    Where nothing was built on such an edit, because it is of the last turn of a step that came to no answer and that no
    other step goes on with or stands after, its ToolCall goes as well: it is made again when the step is gone on with.
    All other steps keep what they saw and did: so a completed one can be applied anew, and one that believes in an edit
    that is no more is not gone on with.
    """

    epochs: tuple[int, ...]


#: One row to write: an insert, or the whole new state of the row with the same id.
Record: TypeAlias = (
    Run
    | Step
    | Attempt
    | Turn
    | ToolCall
    | Delivery
    | RunEvent
    | Source
    | FileChange
    | FileContents
    | SeenAgain
    | Disinherited
    | StartedOver
    | Withdrawn
)


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
    inherited: tuple[Edit, ...] = ()  # of earlier attempts at its spec: they are its own, and it looked at none of them
    patch: str | None = None  # as that of `Step`


class CutOffStep(Struct, frozen=True, kw_only=True):
    """A step that finished turns and came to no answer, as far as going on with it needs it.

    The tools of its last turn are run again. Only where one of them edited a file, also in a worktree, those that are
    over are `kept`.
    """

    id: StepId
    run_id: RunId
    status: StepStatus
    fault: Fault | None
    spec: str
    finished_at: float
    turns: int  # how many are finished
    observations: tuple[Observation, ...] = ()  # of its files, of all turns but the last one, and of `kept`
    kept: tuple[ToolCall, ...] = ()
    inherited: tuple[Edit, ...] = ()  # as of a StoredStep


class OwnStep(Struct, frozen=True, kw_only=True):
    """A step of a workflow's last invocation that edited files."""

    id: StepId
    key: StepKey
    run_id: RunId  # the invocation by which it was found: the one whose undo takes its edits back
    place: str  # of its latest delivery; "" where it came to none
    label: str  # likewise
    edits: tuple[Edit, ...]  # inherited ones among them, by epoch


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

    def attempts_with_edits(self, key: StepKey) -> list[CutOffStep]:
        """Steps of one key that came to no answer, failed ones among them, and edited files; by order of starting.

        Left out are those that another step stands `attempt_after` or goes on with, those whose edits are all
        withdrawn, and those that somebody works on.
        """
        ...

    # ------------------------------------------------------------ edits

    def has_edits(self) -> bool:
        """Whether a step has ever edited a file."""
        ...

    def latest_epoch(self) -> int:
        """The highest epoch that was ever written; 0 in a new store."""
        ...

    def own_steps(self, path: str, args_digest: str, run_id: RunId | None = None) -> list[OwnStep]:
        """The steps with edits of the last invocation of one file and arguments, whatever became of them.

        If that run completed, they are those that answered it. Else they are those that answered it, that it worked on
        and whose edits it made again, and those of the invocation before it. With `run_id` it is this run that counts
        as the last one, as if it had not completed; a run that somebody works on is passed over. Of steps that go on
        with or stand after each other it is the last one, which owns the edits of the others.
        """
        ...

    def edits_of_run(self, run_id: RunId) -> list[OwnStep]:
        """The steps with edits that answered one run or that it worked on, and those of the runs that it goes on with.

        What they edited may lie on the disk no longer, and may be withdrawn.
        """
        ...

    def chains(self, paths: Collection[str]) -> list[FileChange]:
        """All entries of these paths, by epoch."""
        ...

    def contents(self, digest: str) -> bytes | None:
        """Of a file at some time; None where they are not kept any more. Raises StoreError where they are damaged."""
        ...

    def unsettled_changes(self) -> list[tuple[FileChange, ...]]:
        """Entries that are not `done`, of runs that nobody works on any more, by epoch.

        Those stand together of which all were to be made or none: of one tool call, or of a step that made them at its
        end, or again.
        """
        ...

    def run(self, run_id: RunId) -> Run | None: ...

    def alive_runs(self) -> tuple[RunId, ...]:
        """Those that a process works on."""
        ...

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
