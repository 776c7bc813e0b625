"""The wire between a locked child and its host: JSON objects, each behind its length (4 bytes, little-endian).

The host treats every byte from a child as hostile: frames are decoded into the types below and nothing else.

Scopes. The run is scope 0. `open` makes scope `id` below `parent` with `branches` branch scopes `id + 1 ..
id + branches` below it, so that a fan-out of ten thousand is one frame. Scope ids and call ids only grow; a call names
the innermost scope it stands in; depth is at most 64. `close` ends a scope with all below it, and cancels what is still
open there.

Order. A child runs until it is quiet, sends `idle`, and then reads. Answers with an `order` come from the store: the
child holds them, and `go` says up to which call everything was looked up. While it made no later call, it hands over
the lowest, runs until it is quiet again, and goes on with the next one. A new call stops that: its answer may have come
earlier than what is held, so another `idle` and `go` come first. So a rerun sees answers in the order in which they
first came. Live answers have none, and are handed over in the order in which they arrive.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

# ---------------------------------------------------------------- child to host


class ScopeLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tokens: int | None = None
    microusd: int | None = None
    steps: int | None = None
    seconds: float | None = None


class StartedFrame(msgspec.Struct, frozen=True, tag_field="t", tag="started", forbid_unknown_fields=True):
    """The script compiled; its body runs next."""


class CallFrame(msgspec.Struct, frozen=True, tag_field="t", tag="call", forbid_unknown_fields=True):
    """A step begins. `m` is agent, tool or merge, `p` its parameters, decoded by the engine."""

    id: int
    scope: int
    line: int
    col: int
    m: str
    p: msgspec.Raw


class OpenFrame(msgspec.Struct, frozen=True, tag_field="t", tag="open", forbid_unknown_fields=True):
    """`kind` is parallel, pipeline, race, spawn, budget or phase."""

    id: int
    parent: int
    kind: str
    branches: int = 0
    limits: ScopeLimits | None = None
    title: str | None = None
    model: str | None = None
    line: int = 0


class CloseFrame(msgspec.Struct, frozen=True, tag_field="t", tag="close", forbid_unknown_fields=True):
    id: int


class CancelFrame(msgspec.Struct, frozen=True, tag_field="t", tag="cancel", forbid_unknown_fields=True):
    call: int


class LogFrame(msgspec.Struct, frozen=True, tag_field="t", tag="log", forbid_unknown_fields=True):
    scope: int
    line: int
    message: str
    fields: msgspec.Raw = msgspec.Raw(b"{}")  # an object; decoded once its size is known to be bearable


class IdleFrame(msgspec.Struct, frozen=True, tag_field="t", tag="idle", forbid_unknown_fields=True):
    """The script is quiet, and was handed `taken` stored answers so far; the others wait for `go`."""

    taken: int = 0


class DoneFrame(msgspec.Struct, frozen=True, tag_field="t", tag="done", forbid_unknown_fields=True):
    value: msgspec.Raw


class TracePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    line: int
    col: int
    name: str


class ErrorFrame(msgspec.Struct, frozen=True, tag_field="t", tag="error", forbid_unknown_fields=True):
    """The script raised. `fault` is set where the error is one that the engine sent."""

    type: str
    message: str
    trace: tuple[TracePoint, ...] = ()
    fault: FaultBody | None = None


class FaultBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    message: str
    kind: str = ""
    fields: dict[str, Any] = {}


class Problem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    line: int
    column: int
    message: str


class RefusedFrame(msgspec.Struct, frozen=True, tag_field="t", tag="refused", forbid_unknown_fields=True):
    """The source does not compile under the policy."""

    problems: tuple[Problem, ...]


class ViolationFrame(msgspec.Struct, frozen=True, tag_field="t", tag="violation", forbid_unknown_fields=True):
    """The audit hook saw what no honest script does."""

    event: str


ChildFrame: TypeAlias = (
    StartedFrame
    | CallFrame
    | OpenFrame
    | CloseFrame
    | CancelFrame
    | LogFrame
    | IdleFrame
    | DoneFrame
    | ErrorFrame
    | RefusedFrame
    | ViolationFrame
)

# ---------------------------------------------------------------- host to child


class StartFrame(msgspec.Struct, frozen=True, tag_field="t", tag="start"):
    source: str
    filename: str
    args: msgspec.Raw
    now: float
    seed: str
    has_model: bool
    limits: ScopeLimits


class AnswerFrame(msgspec.Struct, frozen=True, tag_field="t", tag="answer", omit_defaults=True):
    """Exactly one of `ok` and `fault` is set. The rest is for `budget`: what the step used, and the run's age."""

    id: int
    ok: msgspec.Raw | None = None
    fault: FaultBody | None = None
    order: int | None = None
    tokens: int = 0
    microusd: int = 0
    steps: int = 1  # 0 for a call that became no step
    seconds: float = 0.0


class GoFrame(msgspec.Struct, frozen=True, tag_field="t", tag="go"):
    """All calls up to this id were looked up: stored answers may be handed over while there is no later one."""

    calls: int
