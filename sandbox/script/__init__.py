"""The primitives of workflow scripts, typed and documented for editors and type checkers.

A workflow has all of these names in scope, imported or not, and runs with `vibe run FILE`. In an ordinary Python
program the import works, and calling a primitive raises `OutsideWorkflow`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal, TypeVar, Unpack, cast, overload

from .errors import (
    AgentError,
    BudgetExceeded,
    Conflict,
    ContextTooLong,
    GateFailed,
    ModelMissing,
    ProviderError,
    RateLimited,
    Refused,
    SchemaMismatch,
    SetupError,
    Timeout,
    ToolDenied,
    ToolFailed,
    Truncated,
    TurnLimit,
    WorkflowFailed,
)
from .types import (
    JSON,
    AgentOptions,
    Args,
    Awaited,
    Budget,
    BudgetSpec,
    FanOutOptions,
    OutsideWorkflow,
    Phase,
    Random,
    Step,
    StepResult,
    outside,
)

T = TypeVar("T")


@overload
def agent(
    prompt: str, *, schema: dict[str, Any] | None = ..., detail: Literal[True], **options: Unpack[AgentOptions]
) -> Step[StepResult]: ...
@overload
def agent(
    prompt: str, *, schema: dict[str, Any], detail: Literal[False] = ..., **options: Unpack[AgentOptions]
) -> Step[Any]: ...
@overload
def agent(
    prompt: str, *, schema: None = ..., detail: Literal[False] = ..., **options: Unpack[AgentOptions]
) -> Step[str]: ...
def agent(
    prompt: str, *, schema: dict[str, Any] | None = None, detail: bool = False, **options: Unpack[AgentOptions]
) -> Step[Any]:
    """A step done by a model: gives text, a value that fits `schema`, or with `detail=True` a `StepResult`.

    Raises an `AgentError` when it failed for good, `BudgetExceeded` when a budget is used up.
    """
    outside()


def tool(name: str, /, **arguments: Any) -> Step[Any]:
    """A step without a model: one call of a tool, such as `tool("grep", pattern="TODO")`; gives JSON.

    Raises `ToolFailed` or `ToolDenied`.
    """
    outside()


def merge(result: StepResult, /) -> Step[list[str]]:
    """A step that puts into the project what an agent did in its worktree; gives the paths of the files.

    `result` is that of `agent(..., isolation="worktree", merge="manual", detail=True)`. Raises `Conflict` where others
    have changed the same lines meanwhile, `GateFailed` where the gate is red after the merge; then nothing is changed.
    """
    outside()


def parallel(steps: Iterable[Awaited[T] | Callable[[], Any]], **options: Unpack[FanOutOptions]) -> Step[list[Any]]:
    """Run steps at the same time; gives their results, in the order of the input.

    A failed branch is None by default. If every branch failed, the first error is raised, with `.results`.
    """
    outside()


def pipeline(items: Iterable[Any], *stages: Callable[..., Any], **options: Unpack[FanOutOptions]) -> Step[list[Any]]:
    """Take every item through all stages, without a barrier between them; gives the last values, in order.

    A stage gets `(value)`, `(value, item)` or `(value, item, index)`, by its number of parameters without a default.
    None from a stage ends that item as None.
    """
    outside()


def race(steps: Iterable[Awaited[T] | Callable[[], Any]], *, until: Callable[[T], Any] | None = None) -> Step[T]:
    """Run steps at the same time; gives the first result for which `until` holds, and cancels the others.

    Without `until`, a result wins that is not None. A step that failed has not won. If none wins, an `AgentError` of
    kind "no_winner" is raised, whose `.results` holds what each gave, or its error.
    """
    outside()


def phase(title: str, *, budget: BudgetSpec | None = None, model: str | None = None) -> Phase:
    """Start a phase in this branch, until its next one; as `with phase(...)` it ends with the block."""
    outside()


def log(*message: Any, **fields: Any) -> None:
    """Write a line, with fields, into the trace of the run."""
    outside()


def now() -> datetime:
    """When this work began, in UTC: a rerun that continues an unfinished run sees the same time."""
    outside()


def has_model() -> bool:
    """Whether a real model is configured; without one, agents give deterministic `[offline]` answers."""
    outside()


class _Outside:
    """An object that works in a workflow only."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        outside()

    def __call__(self, *_: Any, **__: Any) -> Any:
        outside()

    def __repr__(self) -> str:
        return f"<{self._name} of a workflow>"


#: What may still be used, and scopes with limits of their own.
budget: Budget = Budget()

#: The arguments of the workflow, as `main` gets them.
args: Args = cast(Args, _Outside("args"))

#: Random numbers that a rerun sees again.
random: Random = cast(Random, _Outside("random"))

__all__ = [
    "JSON",
    "AgentError",
    "Args",
    "Budget",
    "BudgetExceeded",
    "Conflict",
    "ContextTooLong",
    "GateFailed",
    "ModelMissing",
    "OutsideWorkflow",
    "Phase",
    "ProviderError",
    "RateLimited",
    "Refused",
    "SchemaMismatch",
    "SetupError",
    "Step",
    "StepResult",
    "Timeout",
    "ToolDenied",
    "ToolFailed",
    "Truncated",
    "TurnLimit",
    "WorkflowFailed",
    "agent",
    "args",
    "budget",
    "has_model",
    "log",
    "merge",
    "now",
    "parallel",
    "phase",
    "pipeline",
    "race",
    "random",
    "tool",
]
