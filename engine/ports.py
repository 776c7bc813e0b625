"""Every Protocol of the engine. Parts are put together in cli/wiring.py and nowhere else.

`sandbox` does not import this module: it satisfies `ScriptHost` and `Checker` by shape, which the wiring type-checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from msgspec import Struct, field

from .events import Event
from .model import (
    JSON,
    Attempt,
    Delivery,
    Fault,
    ModelInfo,
    ModelReply,
    ModelRequest,
    Observation,
    PromptMakeup,
    Run,
    RunId,
    Step,
    StepId,
    StepKey,
    StepKind,
    StepStatus,
    ToolCall,
    ToolSpec,
    Turn,
    Usage,
)

# ---------------------------------------------------------------- models


class ModelBackend(Protocol):
    """Talks to one family of models. Errors of a call are AgentErrors or SetupErrors with their type set here."""

    @property
    def name(self) -> str: ...

    async def info(self, model: str) -> ModelInfo:
        """What is known of `model`, without a network call. Raises SetupError where the name cannot be served."""
        ...

    async def count_tokens(self, request: ModelRequest) -> int:
        """A local estimate of the prompt with its tools; no upper bound."""
        ...

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        """One model call, one HTTP request. Cancelled, its connection is closed before this returns.

        A reply with finish LENGTH or CONTENT_FILTER is returned, not raised: the turn loop names it.
        """
        ...

    async def aclose(self) -> None: ...


# ---------------------------------------------------------------- tools


class Look(Struct, frozen=True, kw_only=True):
    """A call of a tool, and the data that it gives."""

    arguments: Mapping[str, JSON]
    data: JSON


class ToolResult(Struct, frozen=True, kw_only=True):
    text: str  # what the model reads
    data: JSON  # what a script gets from tool(...), and what is digested as the observation
    shown: Look | None = None  # a narrower call that gives all that `text` shows, where that is less than `data`


class Tool(Protocol):
    """A function of the workspace. Raises ToolFailed (the model may mend it) or ToolDenied (a rule forbids it)."""

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def group(self) -> str:
        """The grant that it needs: read, write, command or web."""
        ...

    @property
    def observes(self) -> bool:
        """Whether it is a deterministic function of the workspace, so that its output can be verified by replay."""
        ...

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult: ...


# ---------------------------------------------------------------- the store


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

    def recent_specs(self, kind: StepKind, before: float, limit: int) -> list[tuple[StepId, str]]:
        """The canonical specs that steps which started before a time had, each once with its latest step, newest first.

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


# ---------------------------------------------------------------- the script's process


class Limits(Struct, frozen=True, kw_only=True):
    """Budget limits of one scope; None: no limit of its own."""

    tokens: int | None = None
    microusd: int | None = None
    steps: int | None = None
    seconds: float | None = None


class ScriptStart(Struct, frozen=True, kw_only=True):
    """What a child gets to run one script. It holds no secret."""

    source: str
    filename: str  # shown in errors
    args: str  # JSON
    now: float
    seed: str
    has_model: bool
    limits: Limits = field(default_factory=Limits)


class LimitsShape(Protocol):
    """Limits as they come out of a frame."""

    @property
    def tokens(self) -> int | None: ...
    @property
    def microusd(self) -> int | None: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def seconds(self) -> float | None: ...


class AnswerSink(Protocol):
    """The engine's way back into the child. Never blocks; a child that does not read is killed."""

    def answer(self, call: int, value: bytes, *, order: int | None, tokens: int, microusd: int, seconds: float) -> None:
        """`value` is JSON. `order` ranks stored answers; None delivers as soon as the script is quiet."""
        ...

    def fault(
        self,
        call: int,
        fault_type: str,
        message: str,
        kind: str,
        fields: Mapping[str, JSON],
        *,
        tokens: int,
        microusd: int,
        steps: int,
        seconds: float,
        order: int | None = None,
    ) -> None:
        """`steps` is 0 for a call that became no step; `order` as for an answer."""
        ...

    def go(self, calls: int) -> None:
        """All calls up to this id were looked up; the child may hand over stored answers until it makes another."""
        ...


class ScriptCalls(Protocol):
    """What a running script may do to the engine: called in the order of its frames, never re-entered.

    The host has checked types, sizes, that ids increase and that scopes are open. `params` is JSON.
    Raises only VibeErrors, which end the run.
    """

    def started(self, sink: AnswerSink) -> None: ...

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None: ...

    def open(
        self,
        scope: int,
        parent: int,
        kind: str,
        branches: int,
        limits: LimitsShape | None,
        title: str | None,
        model: str | None,
        line: int,
    ) -> None:
        """Open scope `scope` below `parent`, with `branches` branches whose ids follow its own."""
        ...

    def close(self, scope: int) -> None:
        """Close a scope and all below it; calls still open there are cancelled."""
        ...

    def cancel_call(self, call: int) -> None: ...

    def log(self, scope: int, line: int, message: str, fields: Mapping[str, JSON]) -> None: ...

    def idle(self, taken: int) -> None:
        """The script is quiet: all calls it can make now were sent. It was handed `taken` stored answers so far."""
        ...


class ScriptProblem(Protocol):
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def message(self) -> str: ...


class ScriptEnd(Protocol):
    """How a script ended.

    `outcome` is "returned" (value), "raised" (error_type, message, line, and fault_type/kind/fields where the error is
    one of the engine's), "refused" (problems: it did not compile), or "killed" (reason, message: the sandbox ended it).
    """

    @property
    def outcome(self) -> str: ...
    @property
    def value(self) -> bytes: ...
    @property
    def error_type(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def fault_type(self) -> str: ...
    @property
    def fault_kind(self) -> str: ...
    @property
    def fault_fields(self) -> Mapping[str, JSON]: ...
    @property
    def reason(self) -> str: ...
    @property
    def problems(self) -> Sequence[ScriptProblem]: ...


class ScriptHost(Protocol):
    """Runs one script in a locked process of its own."""

    @property
    def level(self) -> str:
        """strong, good or weak: what the walls of this machine hold."""
        ...

    async def run(self, start: ScriptStart, calls: ScriptCalls) -> ScriptEnd:
        """Returns when the child is gone. Never raises on behalf of the child; cancelled, it kills the child first."""
        ...


# ---------------------------------------------------------------- the locked worker


class Verdict(Protocol):
    """`value` is the value with defaults filled in, as JSON; `problems` is empty where it fits the schema."""

    @property
    def value(self) -> bytes: ...
    @property
    def problems(self) -> Sequence[str]: ...


class Checker(Protocol):
    """Evaluates what a stranger may have written (schemas, patterns, globs) in a locked process, 2 s at most a call.

    Time or memory exhausted, or a malformed pattern, raises ValueError with a message for its author.
    """

    async def check_schema(self, schema: JSON) -> Sequence[str]:
        """Problems of the schema itself, none if it is usable. Only local references are."""
        ...

    async def validate(self, schema: JSON, value: JSON, *, fill_defaults: bool = False) -> Verdict: ...

    async def match_paths(self, pattern: str, paths: Sequence[str]) -> Sequence[str]:
        """The paths that a glob matches (`**` crosses folders), in their order."""
        ...

    async def ignored(self, rules: Mapping[str, str], paths: Sequence[str]) -> Sequence[str]:
        """The paths that .gitignore files exclude; `rules` maps a folder ("" is the root) to its file's text.

        A folder's path ends with a slash.
        """
        ...

    async def search(
        self, pattern: str, files: Sequence[tuple[str, str]], *, ignore_case: bool, limit: int
    ) -> Sequence[tuple[str, int, str]]:
        """(path, line from 1, text) of the first `limit` matching lines of (path, text) files."""
        ...


# ---------------------------------------------------------------- programs of this machine


class Command(Struct, frozen=True, kw_only=True):
    """One program to run in the project, of which it may write nothing; it reaches no network and starts no shell."""

    argv: tuple[str, ...]
    readable: tuple[str, ...] = ()  # absolute paths that it may read beside the project and the system
    environment: Mapping[str, str] = {}  # added to the few variables that every command gets
    timeout_s: float
    output_bytes: int  # kept of each stream; the rest is counted


class CommandEnd(Protocol):
    """How a command ended. `exit_code` is None where it was killed: by a signal, at its time limit, for its memory."""

    @property
    def exit_code(self) -> int | None: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...
    @property
    def stdout_dropped(self) -> int:
        """Bytes beyond what is kept."""
        ...

    @property
    def stderr_dropped(self) -> int: ...
    @property
    def timed_out(self) -> bool: ...
    @property
    def over_limit(self) -> str:
        """The limit that it was killed for, in words; empty for none."""
        ...

    @property
    def level(self) -> str:
        """strong, good or weak: what held it."""
        ...


class CommandRunner(Protocol):
    """Runs programs behind the walls of the operating system."""

    def find(self, program: str) -> str | None:
        """Where this machine has `program`: an absolute path, and never one of the project's files."""
        ...

    async def run(self, command: Command) -> CommandEnd:
        """Returns when nothing of it is left; its working directory is the project. Cancelled, it is killed first.

        Raises CommandUnavailable where it cannot be run here, or not held well enough.
        """
        ...


# ---------------------------------------------------------------- executors

Item = TypeVar("Item", contravariant=True)


class Executor(Protocol[Item]):
    """Runs work items, so many at a time, the others in the order of submission."""

    def submit(self, number: int, item: Item) -> None:
        """Start `item` now or when its turn comes. `number` is unique among the open ones."""
        ...

    def cancel(self, number: int) -> None:
        """Cancel an item. One that has not begun never does; a running one ends by itself, cancelled."""
        ...


# ---------------------------------------------------------------- observers


class EventSink(Protocol):
    """Sees events after their commit. One that raises is disabled and logged; the run goes on."""

    def handle(self, event: Event) -> None: ...
