"""What a run is made of: frozen data, no I/O.

Times are seconds since the epoch (float), durations end in `_s`, money is integer micro-dollars and `None` where
the price is unknown. Text that a column or a trace holds is plain ``str``; the store decides what becomes a blob.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NewType, TypeAlias, Union

from msgspec import Struct, field

RunId = NewType("RunId", str)
LineageId = NewType("LineageId", str)
StepId = NewType("StepId", str)
StepKey = NewType("StepKey", str)
ScopeId = NewType("ScopeId", int)

#: What stands in the place of a run's id in a step that a person imported begins so.
IMPORT_PREFIX = "import-"

#: A JSON value. `object` at the leaves would lose the checks at the edges.
JSON: TypeAlias = Union[None, bool, int, float, str, "list[JSON]", "dict[str, JSON]"]


class RunStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    BUDGET_EXCEEDED = "budget_exceeded"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def finished(self) -> bool:
        """Whether the lineage ends here: a later run of the same file and arguments begins a new one."""
        return self in (RunStatus.COMPLETED,)


class StepStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    CACHED = "cached"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class DeliveryMode(StrEnum):
    """How a step came by its answer in one run."""

    LIVE = "live"
    STORED = "stored"  # answered from the store: what it saw holds, and its edits, if any, are in place
    APPLIED = "applied"  # likewise, and its edits were made again


class Cause(StrEnum):
    """What decided whether a call was answered from the store."""

    SAME_PLACE = "same_place"  # answered by the latest result of its own place
    OLDEST = "oldest"  # answered by the oldest result of its spec that was left
    GOES_ON = "goes_on"  # live, from the last turn of a step that was cut off
    NOTHING_STORED = "nothing_stored"
    CHANGED = "changed"  # what a stored result saw would come out otherwise now
    TOO_OLD = "too_old"  # for its horizon
    REFRESHED = "refreshed"  # a person asked to run it again
    IN_USE = "in_use"  # every result of its spec answers another call
    EDITED_SINCE = "edited_since"  # a file that a stored result edited is no longer as it left it
    OUT_OF_ORDER = "out_of_order"  # the script's order and that of the edits contradict each other
    STORE_OF_UNKNOWN_ORIGIN = "store_of_unknown_origin"
    OTHER = "other"  # see the reason


class StepKind(StrEnum):
    AGENT = "agent"
    TOOL = "tool"
    MERGE = "merge"  # of what an agent did in a worktree


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens and cost of one call, or a sum of several. `cached` and `reasoning` are parts of input and output."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_microusd: int | None = 0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        known = self.cost_microusd is not None and other.cost_microusd is not None
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cost_microusd=(self.cost_microusd or 0) + (other.cost_microusd or 0) if known else None,
            estimated=self.estimated or other.estimated,
        )


NO_USAGE = Usage()


class Fault(Struct, frozen=True, kw_only=True):
    """An error as data: what crosses the wire to a script, and what the store keeps. `type` is a class of errors.py."""

    type: str
    message: str
    kind: str = ""
    fields: dict[str, JSON] = field(default_factory=dict)


#: The field of a Fault that went through a script and says which step failed: its id, number, label and phase, how many
#: attempts it had, and the kinds of errors that they ended with.
FAILED_STEP = "failed_step"


# ---------------------------------------------------------------- what a step is


class ToolVersion(Struct, frozen=True, kw_only=True):
    name: str
    version: int


class StepSpec(Struct, frozen=True, kw_only=True):
    """All that shapes the answer of a step, and nothing else; `keys.canonical_spec` turns it into the key's input."""

    kind: StepKind
    prompt: str = ""
    prompts_version: int = 0  # of every sentence that the engine itself says to a model
    system: str = ""
    context: str = ""
    profile: str = ""  # its name: what it says is in the other fields
    model: str = ""
    effort: str | None = None
    fallbacks: tuple[str, ...] = ()  # models that may answer where `model` fails, in order
    temperature: float | None = None
    max_tokens: int | None = None  # as requested, never as clamped by a budget
    max_turns: int | None = None
    schema: JSON = None
    tools: tuple[ToolVersion, ...] = ()
    agents: tuple[str, ...] = ()  # digests of how the agent CLIs among `model` and `fallbacks` are run
    files: tuple[str, ...] = ()  # paths of those that go along; what is in them, a step observes when it begins
    grants: tuple[str, ...] = ()
    salt: str = ""
    isolation: str = ""  # "worktree": it works on a snapshot of the project
    merge: str = ""  # how what it did there comes into the project: auto or manual
    gate: tuple[str, ...] = ()  # the command that has to succeed before its answer counts
    gate_retries: int = 0
    tool: str = ""  # kind TOOL: the tool's name ...
    arguments: JSON = None  # ... and its arguments
    merged: StepId | None = None  # kind MERGE: the step whose patch it is, which was answered already


class Change(Struct, frozen=True, kw_only=True):
    """What one edit made of one file: digests (`keys.content_digest`) of its contents; None: there is no such file."""

    path: str  # where it really lies, from the root
    before: str | None
    after: str | None


class Edit(Struct, frozen=True, kw_only=True):
    """A change and when it was made: an entry of its path's chain."""

    epoch: int
    change: Change


class Observation(Struct, frozen=True, kw_only=True):
    """One look at the workspace: a read-only tool, its arguments, and the digest of what it gave (of an error too).

    An edit looks at the file that it is about to change: `FILE_STATE`, and `change` says what came of it.

    What is `aside` was seen, and changed, in a worktree: in a snapshot of the project as it was at `epoch`, over what
    the step itself had changed there before. All that a step saw in one worktree has the epoch of its snapshot, and the
    order of the observations counts. Such a change is no edit of the project.
    """

    tool: str
    arguments: str  # canonical JSON
    digest: str
    epoch: int = 0  # when: see engine/timeline; 0 for one of an older version
    change: Change | None = None
    aside: bool = False

    @property
    def edit(self) -> Edit | None:
        """The change of the project that this is."""
        if self.change is None or self.aside:
            return None
        return Edit(epoch=self.epoch, change=self.change)


#: The look at one whole file: {"path": ...} gives {"digest": ...}. No model and no script can ask for it.
FILE_STATE = "file_state"
#: The look at all files of the project: {} gives {"digest": ...}. No model and no script can ask for it, either.
FILE_TREE = "file_tree"


#: The id of the call by which a turn of an agent CLI did its work: no model asked for it.
AGENT_CALL = "agent"


class ToolCall(Struct, frozen=True, kw_only=True):
    step_id: StepId
    turn: int
    number: int  # within its turn, from 1; 0 for the work of an agent CLI
    call_id: str
    name: str
    arguments: str
    output: str
    outcome: str  # ok | error | denied
    started_at: float
    finished_at: float
    observations: tuple[Observation, ...] = ()  # of a command: the whole tree, then each file that it changed
    whole: str = ""  # all that the tool gave, where `output` is a part of it


class PromptMakeup(Struct, frozen=True, kw_only=True):
    """What a prompt was made of, in estimated tokens: their shares count, not their sum."""

    system: int = 0
    tools: int = 0  # and the schema of the answer
    context: int = 0  # shared by a fan-out, with attached files
    conversation: int = 0


class Shortened(Struct, frozen=True, kw_only=True):
    """An old tool output that was replaced by `text`, from this turn on, because the context was full."""

    message: int  # its position in the conversation, from 0
    text: str


class Turn(Struct, frozen=True, kw_only=True):
    """One finished model call with the messages that it added to the conversation."""

    step_id: StepId
    number: int  # within its step, from 1
    attempt: int
    model: str  # that was asked
    input: str  # JSON array of the messages added since the turn before
    output: str  # JSON of the assistant message
    outcome: str  # FinishReason, or the kind of the error
    started_at: float
    finished_at: float
    usage: Usage = NO_USAGE
    error: str = ""
    makeup: PromptMakeup = PromptMakeup()
    shortened: tuple[Shortened, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether its answer stays in the conversation: neither cut off, nor filtered, nor empty."""
        return self.outcome in (FinishReason.STOP, FinishReason.TOOL_CALLS)


class Attempt(Struct, frozen=True, kw_only=True):
    step_id: StepId
    number: int  # within its step, from 1
    status: StepStatus
    started_at: float
    finished_at: float
    usage: Usage = NO_USAGE
    fault: Fault | None = None
    model: str = ""  # that was asked


class Step(Struct, frozen=True, kw_only=True):
    """A piece of work and its outcome, independent of where a script asked for it."""

    id: StepId
    run_id: RunId  # the run that did the work
    key: StepKey
    spec: str  # canonical JSON, compared byte for byte on a hit
    kind: StepKind
    status: StepStatus
    result: str | None  # JSON
    usage: Usage
    started_at: float
    finished_at: float
    turns: int = 0
    model: str = ""
    fault: Fault | None = None
    observations: tuple[Observation, ...] = ()
    patch: str | None = None  # what it did in a worktree, as `git apply` takes it; None: it had none
    predecessor: StepId | None = None  # cut off; its turns are the first ones of this step
    attempt_after: StepId | None = None  # an earlier attempt at the same spec, whose edits this step owns


class Grounds(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a decision about reuse stood on, as data; `Delivery.reason` is the same as a sentence."""

    cause: Cause = Cause.OTHER
    step: StepId | None = None  # the stored step that it is about
    observation: Observation | None = None  # of that step: the first that does not hold
    horizon: float | None = None  # results finished before it did not count
    path: str | None = None  # of the file whose edit was in the way


class Delivery(Struct, frozen=True, kw_only=True):
    """One answer given to one call of one run: where the call stood, and which step answered it."""

    run_id: RunId
    number: int  # the call's id on the wire
    step_id: StepId
    mode: DeliveryMode
    status: StepStatus
    place: str
    label: str
    phase: str
    scope: int
    line: int
    requested_at: float
    delivered_at: float
    reason: str = ""  # why it was reused, or why not
    grounds: Grounds | None = None  # of that; None in rows of older versions
    model_reason: str = ""  # which rule chose its model


class RefreshWord(Struct, frozen=True, kw_only=True):
    """Steps that a person wants to run again: of a label or a phase that `word` matches, or of one spec."""

    word: str  # as it was given
    key: StepKey | None = None  # of the step that it names; None where it names none


class Run(Struct, frozen=True, kw_only=True):
    id: RunId
    lineage: LineageId
    parent: RunId | None
    workflow: str  # name
    path: str  # of the file, as given
    source_digest: str
    args: str  # canonical JSON, after defaults
    args_digest: str
    status: RunStatus
    started_at: float
    finished_at: float | None
    now: float  # what now() gives: the lineage's start
    horizon: float | None  # results finished before it do not count; None: all do
    seed: str
    model: str
    offline: bool
    sandbox_level: str
    version: str
    refresh: tuple[RefreshWord, ...] = ()  # results from before the lineage began do not count for these steps
    result: str | None = None
    fault: Fault | None = None
    usage: Usage = NO_USAGE  # of all delivered steps
    paid: Usage = NO_USAGE  # of this invocation
    live_steps: int = 0
    stored_steps: int = 0


# ---------------------------------------------------------------- what crosses to a model and back


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class FinishReason(StrEnum):
    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"


class ToolRequest(Struct, frozen=True, kw_only=True):
    """A model asks for a tool. `arguments` is the text as it came: it may not even be JSON."""

    id: str
    name: str
    arguments: str


class FilePart(Struct, frozen=True, kw_only=True):
    """A file of the project that goes along with a message; the request holds its contents, by digest."""

    path: str
    media_type: str  # image/png, application/pdf, text/plain, ...
    digest: str  # content_digest of the bytes
    size: int


class Message(Struct, frozen=True, kw_only=True):
    role: Role
    text: str
    context_chars: int = 0  # so much of the beginning of `text` is the prefix that a fan-out shares
    files: tuple[FilePart, ...] = ()  # between that prefix and the rest
    tool_requests: tuple[ToolRequest, ...] = ()
    tool_call_id: str | None = None
    thinking: tuple[dict[str, object], ...] = ()  # a provider's own blocks, which it wants back as they came


class ToolSpec(Struct, frozen=True, kw_only=True):
    name: str
    description: str
    parameters: dict[str, JSON]
    version: int = 1


class ModelRequest(Struct, frozen=True, kw_only=True):
    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    timeout_s: float
    tools: tuple[ToolSpec, ...] = ()
    schema: dict[str, JSON] | None = None  # an object schema, wrapped already where it was none
    temperature: float | None = None
    effort: str | None = None
    contents: dict[str, bytes] = {}  # of the files in `messages`, by digest


class ModelReply(Struct, frozen=True, kw_only=True):
    text: str
    finish: FinishReason
    usage: Usage | None  # None: the provider said nothing, or only zeros
    tool_requests: tuple[ToolRequest, ...] = ()
    model: str = ""
    thinking: tuple[dict[str, object], ...] = ()


class Reserve(Struct, frozen=True, kw_only=True):
    """What one turn of an agent CLI may use, as the person says, since nobody can bound it; None: nobody said."""

    tokens: int | None = None
    microusd: int | None = None


class ModelInfo(Struct, frozen=True, kw_only=True):
    """What a backend knows of a model; prices in micro-dollars per token, None where unknown."""

    input_price: float | None
    output_price: float | None
    max_input_tokens: int | None = None  # the whole context window where the provider counts so
    max_output_tokens: int | None = None
    native_schema: bool = False
    schema_beside_tools: bool = True  # whether the native mode goes together with tools
    media_types: frozenset[str] | None = None  # of files beside text that it takes; None: nobody knows
    reserve: Reserve | None = None  # of an agent CLI
