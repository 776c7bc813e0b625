"""The errors that a workflow script sees, by the names of the language.

They mirror the engine's tree below its `StepFault`: an error travels as {type, message, kind, fields} and is made anew
here. Raised by a script itself they are ordinary exceptions; only one that came from the engine, or from the misuse of
a primitive, carries a `fault` and ends the run by its own type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ScriptFault(Exception):
    """Base of what ends a step. `kind` names the cause; `results` is what a fan-out has so far, in input order."""

    default_kind: ClassVar[str] = "error"

    def __init__(self, message: str = "", *, kind: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or self.default_kind
        self.results: list[Any] = []
        self.fault: dict[str, Any] | None = None


class AgentError(ScriptFault):
    """The work of one step failed; `step` says which. A fan-out turns it into None, or into a value."""

    default_kind = "agent_error"

    def __init__(self, message: str = "", *, kind: str = "", step: str = "") -> None:
        super().__init__(message, kind=kind)
        self.step = step


class RateLimited(AgentError):
    """The provider refuses more calls for now, and went on doing so through all retries."""

    default_kind = "rate_limited"


class Timeout(AgentError):
    """The step took longer than its `timeout`."""

    default_kind = "timeout"


class Refused(AgentError):
    """The model, or a content filter, declined to answer."""

    default_kind = "refused"


class Truncated(AgentError):
    """The answer was cut off at `max_tokens`."""

    default_kind = "truncated"


class ContextTooLong(AgentError):
    """The conversation does not fit into the model's context."""

    default_kind = "context_too_long"


class TurnLimit(AgentError):
    """The agent found no answer within `max_turns`."""

    default_kind = "turn_limit"


class SchemaMismatch(AgentError):
    """The answer did not fit `schema`, and corrections did not help. `answer` is what came last, as text."""

    default_kind = "schema_mismatch"

    def __init__(
        self,
        message: str = "",
        *,
        kind: str = "",
        step: str = "",
        problems: Sequence[str] = (),
        answer: str = "",
        corrections: int = 0,
    ) -> None:
        super().__init__(message, kind=kind, step=step)
        self.problems = list(problems)
        self.answer = answer
        self.corrections = corrections


class GateFailed(AgentError):
    """The gate stayed red. `argv` is the command, `output` the end of what it said, `tries` how often it ran.

    `answer` is what the agent answered last, a text, or a value that fits its schema: it did not count.
    """

    default_kind = "gate_failed"

    def __init__(
        self,
        message: str = "",
        *,
        kind: str = "",
        step: str = "",
        argv: Sequence[str] = (),
        exit_code: int | None = None,
        output: str = "",
        tries: int = 0,
        answer: Any = None,
    ) -> None:
        super().__init__(message, kind=kind, step=step)
        self.argv = list(argv)
        self.exit_code = exit_code
        self.output = output
        self.tries = tries
        self.answer = answer


class Conflict(AgentError):
    """A change collides with another one. `files` are those that could not be merged, with both sides of each place."""

    default_kind = "conflict"

    def __init__(
        self, message: str = "", *, kind: str = "", step: str = "", files: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message, kind=kind, step=step)
        self.files = list(files)


class ProviderError(AgentError):
    """The provider, or the way to it, failed."""

    default_kind = "provider_error"


class ToolFailed(AgentError):
    """The tool could not do what it was asked for."""

    default_kind = "tool_failed"


class ToolDenied(AgentError):
    """A rule or a missing grant forbids the call."""

    default_kind = "tool_denied"


class BudgetExceeded(ScriptFault):
    """A budget is used up: `scope` says which, `needed` and `left` how much. Not an AgentError: fan-outs raise it."""

    default_kind = "budget_exceeded"

    def __init__(
        self, message: str = "", *, kind: str = "", scope: str = "", unit: str = "", needed: float = 0, left: float = 0
    ) -> None:
        super().__init__(message, kind=kind)
        self.scope = scope
        self.unit = unit
        self.needed = needed
        self.left = left


class WorkflowFailed(ScriptFault):
    """Another workflow, run inside this one, failed. Not an AgentError: fan-outs raise it."""

    default_kind = "workflow_failed"


class SetupError(ScriptFault):
    """What no retry can mend: no key, an unknown model, a wrong schema, a misused primitive. No fan-out hides it."""

    default_kind = "setup_error"


class ModelMissing(SetupError):
    """No model is configured, and one is required."""

    default_kind = "model_missing"


#: All errors of the language, by name.
ERRORS: dict[str, type[ScriptFault]] = {
    cls.__name__: cls
    for cls in (
        AgentError,
        RateLimited,
        Timeout,
        Refused,
        Truncated,
        ContextTooLong,
        TurnLimit,
        SchemaMismatch,
        GateFailed,
        Conflict,
        ProviderError,
        ToolFailed,
        ToolDenied,
        BudgetExceeded,
        WorkflowFailed,
        SetupError,
        ModelMissing,
    )
}

#: What a script may read of each.
READABLE = (
    *("args", "kind", "message", "results", "step", "scope", "unit", "needed", "left"),
    *("problems", "answer", "corrections", "argv", "exit_code", "output", "tries", "files"),
)

#: What the errors of some types hold beside that, by type.
_DETAILS: dict[type[ScriptFault], tuple[str, ...]] = {
    BudgetExceeded: ("scope", "unit", "needed", "left"),
    SchemaMismatch: ("problems", "answer", "corrections"),
    GateFailed: ("argv", "exit_code", "output", "tries", "answer"),
    Conflict: ("files",),
}


def from_fault(body: dict[str, Any], step: str) -> ScriptFault:
    """The error that a fault of the engine stands for; an unknown type is an AgentError of its kind."""
    cls = ERRORS.get(body["type"], AgentError)
    fields = body.get("fields") or {}
    details = {name: fields[name] for name in _DETAILS.get(cls, ()) if name in fields}
    if issubclass(cls, AgentError):
        details["step"] = fields.get("step", step)
    error = cls(body["message"], kind=body.get("kind", ""), **details)
    error.fault = body
    return error


def misuse(message: str) -> SetupError:
    """The error for a primitive that was used wrongly."""
    error = SetupError(message)
    error.fault = {"type": "SetupError", "message": message, "kind": error.kind, "fields": {}}
    return error


def describe(error: BaseException) -> str:
    """The kind of an error and its message. Never raises, whatever the error holds."""
    return f"{kind_of(error)}: {error_text(error, 300)}"


def kind_of(error: BaseException) -> str:
    """The kind of an error of a step, the class of any other."""
    kind = error.kind if isinstance(error, ScriptFault) else None
    # A script that makes an error itself may give anything as its kind.
    return kind[:100] if isinstance(kind, str) else type(error).__name__


def error_text(error: BaseException, limit: int) -> str:
    """The message of any exception, never longer than `limit`."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the argument may be a value too deep or too large to print
        text = "(its message cannot be shown)"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
