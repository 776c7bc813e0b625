"""The closed union of events. An event is stored in the transaction of the change that it tells of, and shown after it.

A new event is one class here and in `Event`; every `match` that forgot it fails the type check (`assert_never`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

import msgspec


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    at: float


class RunLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What limits a run; None: nothing does. All but the last count steps from the store with what they used once."""

    tokens: int | None = None
    microusd: int | None = None
    steps: int | None = None
    seconds: float | None = None
    paid_microusd: int | None = None  # what this invocation may pay


class RunStarted(_Event, frozen=True, tag="run_started"):
    run: str
    workflow: str
    lineage: str
    parent: str | None = None
    model: str = ""
    offline: bool = False
    phases: tuple[str, ...] = ()  # that the workflow announces
    limits: RunLimits = RunLimits()


class PhaseStarted(_Event, frozen=True, tag="phase_started"):
    title: str
    scope: int


class StepStarted(_Event, frozen=True, tag="step_started"):
    """A live step got its slot and begins."""

    number: int
    step: str
    label: str
    phase: str
    kind: str
    model: str = ""
    waiting: int = 0  # calls of the script that wait for their turn, behind this one


class StepRetried(_Event, frozen=True, tag="step_retried"):
    number: int
    step: str
    attempt: int
    wait_s: float
    error: str


class StepFellBack(_Event, frozen=True, tag="step_fell_back"):
    """A model failed a step for good, and the next one of its fallbacks goes on."""

    number: int
    step: str
    failed: str
    model: str
    error: str


class ContextShortened(_Event, frozen=True, tag="context_shortened"):
    """Old tool outputs of a step were shortened, so that its conversation fits the model's context."""

    number: int
    step: str
    turn: int  # the one that is sent so
    outputs: int
    characters: int  # that were left out


class ModelSlowed(_Event, frozen=True, tag="model_slowed"):
    """A provider limits the rate of calls: at most `at_once` calls of this model run at a time from now on."""

    model: str
    at_once: int


class ModelDown(_Event, frozen=True, tag="model_down"):
    """Calls failed one after another; none is made for a while, and then one to see."""

    model: str
    failures: int
    wait_s: float
    error: str


class ModelUp(_Event, frozen=True, tag="model_up"):
    """A model that was down answered again."""

    model: str


class TurnFinished(_Event, frozen=True, tag="turn_finished"):
    number: int
    step: str
    turn: int
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_microusd: int | None = None
    tools: tuple[str, ...] = ()


class StepFinished(_Event, frozen=True, tag="step_finished"):
    """A step is over, live or from the store; `status` is a StepStatus."""

    number: int
    step: str
    label: str
    phase: str
    status: str
    stored: bool = False
    model: str = ""
    tokens: int = 0
    cost_microusd: int | None = None
    duration_s: float = 0.0
    error: str = ""
    error_type: str = ""
    error_kind: str = ""
    attempts: int = 1


class FileEdited(_Event, frozen=True, tag="file_edited"):
    """A step changed a file of the project, or a stored step's change was made again."""

    number: int
    step: str
    path: str
    created: bool = False
    again: bool = False


class Nearness(StrEnum):
    """Where two edits of one file met; adjacent lines touch, or have one line in between."""

    SAME = "same lines"
    ADJACENT = "adjacent lines"
    ELSEWHERE = "elsewhere"


class EditsCollided(_Event, frozen=True, tag="edits_collided"):
    """A step edited a file that another step had edited, of which the script had told it nothing."""

    number: int
    step: str
    other_number: int
    other_step: str
    path: str
    where: Nearness
    lines: tuple[int, int] = (0, 0)  # the first and the last of this edit, after it; of ELSEWHERE none


class AdoptionCause(StrEnum):
    """Why edits of an earlier run became plain contents; `number` and `label` are of the step that it is about."""

    LIVE = "live"  # the step runs live, and looks at the files or edits them
    REPLACED = "replaced"  # the step stands where the one stood that edited them
    TRUE_NOW = "true_now"  # the step's stored answer is true with them
    LEFT = "left"  # no step of this run stands for them: it has ended


class EditsAdopted(_Event, frozen=True, tag="edits_adopted"):
    """Edits of earlier steps of this workflow count as plain contents of the project from now on."""

    paths: tuple[str, ...]
    why: AdoptionCause
    editors: tuple[str, ...] = ()  # labels of the steps that made the edits, their ids where they have none
    run: str = ""  # whose undo takes these edits back
    number: int = 0
    label: str = ""


class ScriptRestarted(_Event, frozen=True, tag="script_restarted"):
    """An answer that was given stood on an edit that was adopted since: the script starts over. Nothing is lost."""

    number: int  # of the call whose answer does not hold any more
    step: str
    label: str = ""
    paths: tuple[str, ...] = ()  # that were adopted


class Logged(_Event, frozen=True, tag="log"):
    """A line of the script: `log(message, **fields)`, or `print`."""

    message: str
    phase: str = ""
    fields: dict[str, Any] = {}


class Warned(_Event, frozen=True, tag="warning"):
    """Something that a person should know and that stops nothing."""

    message: str


class RunFinished(_Event, frozen=True, tag="run_finished"):
    run: str
    status: str
    live_steps: int
    stored_steps: int
    tokens: int
    cost_microusd: int | None
    paid_tokens: int
    paid_microusd: int | None
    error: str = ""
    again_steps: int = 0  # that ran again because of edits that were adopted ...
    again_paths: tuple[str, ...] = ()  # ... of these files


Event: TypeAlias = (
    RunStarted
    | PhaseStarted
    | StepStarted
    | StepRetried
    | StepFellBack
    | ContextShortened
    | ModelSlowed
    | ModelDown
    | ModelUp
    | TurnFinished
    | StepFinished
    | FileEdited
    | EditsCollided
    | EditsAdopted
    | ScriptRestarted
    | Logged
    | Warned
    | RunFinished
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """The stored and printed form: one JSON object with an `event` tag."""
    return _encoder.encode(event)


def decode_event(data: bytes | str) -> Event:
    """Inverse of `encode_event`; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(data)
