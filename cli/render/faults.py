"""Errors of steps as text: named by type and kind, and alike ones folded into one line with their number."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from vibe_workflows.engine.events import StepFinished
from vibe_workflows.engine.model import FAILED_STEP, Fault

from .sanitize import one_line

#: Columns that an error takes in a list of them; the whole of it is with its step.
LONGEST_ERROR = 300

_LONGEST_NAME = 80
_NUMBER = re.compile(r"(?<!\S)[0-9][0-9,.]*(?![^\s,;:)])")  # a word of its own: no part of a name, path or place
_WORD = re.compile("(?<!^)(?=[A-Z])")


class FaultOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The step that a run's error came from, and the kinds of errors that its attempts ended with."""

    step: str
    number: int
    label: str
    phase: str
    attempts: int = 1
    kinds: tuple[str, ...] = ()  # of the latest of them


def origin_of(fault: Fault) -> FaultOrigin | None:
    """Where a run's error came from. It went through the script's process, so its shape is checked."""
    try:
        return msgspec.convert(fault.fields.get(FAILED_STEP), FaultOrigin)
    except msgspec.ValidationError:
        return None


def fault_name(fault_type: str, kind: str) -> str:
    """RateLimited; with its kind where that says more than the type: AgentError (no_winner)."""
    said = _WORD.sub("_", fault_type).lower()
    return one_line(fault_type if kind in ("", said) else f"{fault_type} ({kind})", _LONGEST_NAME)


def fault_line(fault: Fault, label: str = "") -> str:
    """Type, kind and message on one line. What only names the step `label` again is left out."""
    return f"{fault_name(fault.type, fault.kind)}: {one_line(told(fault.message, label))}"


def told(message: str, label: str) -> str:
    """An error without the step's or the model's own name before it, so that errors of many can be alike."""
    return message.removeprefix(f"{label}: ") if label else message


def error_text(event: StepFinished) -> str:
    """The error of a step that ended: its type, kind and message, as far as there are any."""
    if not event.error:
        return ""
    name = f"{fault_name(event.error_type, event.error_kind)}: " if event.error_type else ""
    return name + one_line(told(event.error, event.label), LONGEST_ERROR)


def alike(message: str, label: str = "") -> str:
    """What errors have in common that differ in their step's label and in numbers: seconds, tokens, tries."""
    return _NUMBER.sub("0", told(message, label))


def attempts_text(attempts: int, kinds: Sequence[str]) -> str:
    """Tried 3 times: rate_limited (2 times), then timeout; empty for a single attempt."""
    if attempts < 2:
        return ""
    runs: list[tuple[str, int]] = []
    for kind in kinds:
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1] + 1)
        else:
            runs.append((kind, 1))
    came = [one_line(kind, _LONGEST_NAME) + (f" ({count} times)" if count > 1 else "") for kind, count in runs]
    return f"tried {attempts} times: {', then '.join(came)}"


def origin_line(origin: FaultOrigin) -> str:
    """In step #3 review:3 of Review, tried 3 times: ..."""
    label = f" {one_line(origin.label, _LONGEST_NAME)}" if origin.label else ""
    phase = f" of {one_line(origin.phase, _LONGEST_NAME)}" if origin.phase else ""
    tried = attempts_text(origin.attempts, origin.kinds)
    return f"in step #{origin.number}{label}{phase}" + (f", {tried}" if tried else "")
