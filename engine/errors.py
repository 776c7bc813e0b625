"""One tree of errors. Whether to retry, and the exit code, are attributes set where the cause is known.

Scripts see the classes below `StepFault` by the same names (sandbox/script/errors.py mirrors them; a test compares).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # the command line imports this module at every start
    from .model import JSON, Fault, Usage


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    BUDGET = 3
    SANDBOX = 4
    WAITING = 5
    GRANT = 6
    CANCELLED = 7
    SANDBOX_WEAK = 8
    INTERNAL = 70
    STORE = 74
    INTERRUPTED = 130
    TERMINATED = 143


class VibeError(Exception):
    """Base of all errors that are not bugs. The message says what, where, and the next move."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# ---------------------------------------------------------------- what a step can end with, and a script can catch


class StepFault(VibeError):
    """An error that becomes a `Fault`: stored with its step, and raised in the script by the same name."""

    kind: ClassVar[str] = "error"
    used: Usage | None = None  # for nothing, where somebody knows it

    @property
    def fields(self) -> dict[str, JSON]:
        return {}

    def to_fault(self) -> Fault:
        from .model import Fault

        return Fault(type=type(self).__name__, message=self.message, kind=self.kind, fields=self.fields)


class AgentError(StepFault):
    """The work of one step failed. `retryable` says whether another attempt may help."""

    kind = "agent_error"

    def __init__(self, message: str, *, retryable: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class RateLimited(AgentError):
    kind = "rate_limited"

    def __init__(self, message: str, *, retryable: bool = True, retry_after_s: float | None = None) -> None:
        super().__init__(message, retryable=retryable, retry_after_s=retry_after_s)


class Timeout(AgentError):
    kind = "timeout"


class Refused(AgentError):
    kind = "refused"


class Truncated(AgentError):
    kind = "truncated"


class ContextTooLong(AgentError):
    kind = "context_too_long"


class TurnLimit(AgentError):
    kind = "turn_limit"


class SchemaMismatch(AgentError):
    """`answer` is what came last, as text (it may not even be JSON); `problems` says why it does not fit."""

    kind = "schema_mismatch"

    def __init__(self, message: str, *, problems: Sequence[str] = (), answer: str = "", corrections: int = 0) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        self.answer = answer
        self.corrections = corrections

    @property
    def fields(self) -> dict[str, JSON]:
        return {"problems": list(self.problems), "answer": self.answer, "corrections": self.corrections}


class GateFailed(AgentError):
    """`output` is the end of what the gate said, `code` how it exited (None: killed), `tries` how often it ran.

    `answer` is the one that did not count: an agent may have said in it why it cannot get the gate green.
    """

    kind = "gate_failed"

    def __init__(
        self,
        message: str,
        *,
        argv: Sequence[str] = (),
        code: int | None = None,
        output: str = "",
        tries: int = 0,
        answer: JSON = None,
    ) -> None:
        super().__init__(message)
        self.argv = tuple(argv)
        self.code = code
        self.output = output
        self.tries = tries
        self.answer = answer

    @property
    def fields(self) -> dict[str, JSON]:
        return {
            "argv": list(self.argv),
            "exit_code": self.code,
            "output": self.output,
            "tries": self.tries,
            "answer": self.answer,
        }


class Conflict(AgentError):
    """`files` are those that could not be merged, each with its path, why, and both sides of the places."""

    kind = "conflict"

    def __init__(self, message: str, *, files: Sequence[JSON] = ()) -> None:
        super().__init__(message)
        self.files = tuple(files)

    @property
    def fields(self) -> dict[str, JSON]:
        return {"files": list(self.files)} if self.files else {}


class ProviderError(AgentError):
    """The provider, or the way to it, failed: 5xx, dropped connection, garbage instead of an answer."""

    kind = "provider_error"


class ToolFailed(AgentError):
    kind = "tool_failed"


class ToolDenied(AgentError):
    kind = "tool_denied"


class BudgetExceeded(StepFault):
    """Not below AgentError, so that `except AgentError: continue` cannot loop on it."""

    kind = "budget_exceeded"
    exit_code = ExitCode.BUDGET

    def __init__(self, message: str, *, scope: str, unit: str, needed: float, left: float) -> None:
        super().__init__(message)
        self.scope = scope
        self.unit = unit
        self.needed = needed
        self.left = left

    @property
    def fields(self) -> dict[str, JSON]:
        return {"scope": self.scope, "unit": self.unit, "needed": self.needed, "left": self.left}


class WorkflowFailed(StepFault):
    kind = "workflow_failed"


class SetupError(StepFault):
    """What no retry can mend: no key, an unknown model, a wrong schema. No fan-out turns it into a value."""

    kind = "setup_error"
    exit_code = ExitCode.USAGE


class ModelMissing(SetupError):
    """No model is configured and one was required."""

    kind = "model_missing"


# ---------------------------------------------------------------- inside


class WorkflowError(VibeError):
    """The script or its arguments are wrong: no valid syntax, metadata or arguments that fit."""

    exit_code = ExitCode.USAGE


class ConfigError(VibeError):
    exit_code = ExitCode.USAGE


class GrantNeeded(VibeError):
    exit_code = ExitCode.GRANT


class TrustNeeded(VibeError):
    exit_code = ExitCode.GRANT


class SandboxError(VibeError):
    """The child did what no honest script does, or the sandbox could not be had."""

    exit_code = ExitCode.SANDBOX


class CommandUnavailable(SandboxError):
    """A program cannot be run here: it is not there, or the walls of this machine do not hold it well enough."""


class OverlayUnavailable(CommandUnavailable):
    """A command cannot be run here on a view of a folder that is not written to; on a copy of it, it can."""


class CommandsRefused(CommandUnavailable):
    """The walls of this machine hold no program well enough: none can be run, whichever it is."""


class SandboxWeak(SandboxError):
    exit_code = ExitCode.SANDBOX_WEAK


class StoreError(VibeError):
    exit_code = ExitCode.STORE


class InternalError(VibeError):
    """Our bug. The message asks for a report."""

    exit_code = ExitCode.INTERNAL
