"""How a run ended: the judgement of a script's end, of an error, or of a stop from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from msgspec import Struct
from msgspec.structs import replace

from .errors import ExitCode, InternalError, StepFault, VibeError
from .model import FAILED_STEP, JSON, Attempt, Fault, RunStatus
from .ports import ScriptEnd

if TYPE_CHECKING:
    from .live_step import StepOutcome

#: What goes along with an error: so much of a label and a phase, and so many of the latest attempts.
_NAME_CHARS = 200
_KINDS = 20


class Ending(Struct, frozen=True, kw_only=True):
    status: RunStatus
    exit_code: ExitCode
    result: bytes | None = None
    fault: Fault | None = None


def known_error(group: BaseExceptionGroup[BaseException]) -> VibeError | None:
    """The error that a group stands for; None where there is a bug among its members.

    A store that fails cancels the run around it, and what was cancelled by that is no error of its own.
    """
    known, others = group.split(VibeError)
    if others is not None and others.split(trio.Cancelled)[1] is not None:
        return None
    if known is None:
        return None
    error: BaseException = known
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, VibeError)
    return error


def fault_of(error: VibeError) -> Fault:
    if isinstance(error, StepFault):
        return error.to_fault()
    return Fault(type=type(error).__name__, message=error.message)


def traced_fault(fault: Fault, number: int, label: str, phase: str, outcome: StepOutcome) -> Fault:
    """The error of a step with where it came from, so that a run that ends with it can say so."""
    faults = [each.fault for each in outcome.records if isinstance(each, Attempt)]
    kinds: list[JSON] = [each.kind for each in faults if each is not None]
    origin: dict[str, JSON] = {
        "step": outcome.step.id,
        "number": number,
        "label": label[:_NAME_CHARS],
        "phase": phase[:_NAME_CHARS],
        "attempts": outcome.attempts,
        "kinds": kinds[-_KINDS:],
    }
    return replace(fault, fields={**fault.fields, FAILED_STEP: origin})


def ending_of_script(end: ScriptEnd, path: str) -> Ending:
    """Judge how a script ended."""
    match end.outcome:
        case "returned":
            return Ending(status=RunStatus.COMPLETED, exit_code=ExitCode.DONE, result=end.value)
        case "refused":
            lines = [f"{path}:{each.line}:{each.column}: {each.message}" for each in end.problems]
            return _failed("WorkflowError", "\n".join(lines), ExitCode.USAGE)
        case "killed":
            return _failed("SandboxError", f"{path}: {end.message}", ExitCode.SANDBOX, kind=end.reason)
        case "raised":
            return _raised(end, path)
        case outcome:
            raise InternalError(f"the sandbox ended a script as {outcome!r}, which is unknown; please report this")


def _raised(end: ScriptEnd, path: str) -> Ending:
    where = f"{path}:{end.line}" if end.line else path
    if not end.fault_type:
        return _failed(end.error_type, f"{where}: {end.error_type}: {end.message}", ExitCode.FAILED)
    message = f"{where}: {end.fault_type}: {end.message}"
    fault = Fault(type=end.fault_type, message=message, kind=end.fault_kind, fields=dict(end.fault_fields))
    if end.fault_type == "BudgetExceeded":
        return Ending(status=RunStatus.BUDGET_EXCEEDED, exit_code=ExitCode.BUDGET, fault=fault)
    setup = end.fault_type in ("SetupError", "ModelMissing")
    return Ending(status=RunStatus.FAILED, exit_code=ExitCode.USAGE if setup else ExitCode.FAILED, fault=fault)


def _failed(fault_type: str, message: str, exit_code: ExitCode, *, kind: str = "") -> Ending:
    fault = Fault(type=fault_type, message=message, kind=kind)
    return Ending(status=RunStatus.FAILED, exit_code=exit_code, fault=fault)
