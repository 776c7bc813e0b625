"""A line of an export, field by field: what each may hold, and how it becomes a record and back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ..keys import canonical_json
from ..model import (
    JSON,
    Message,
    Observation,
    PromptMakeup,
    Shortened,
    StepId,
    StepKind,
    ToolCall,
    Turn,
    Usage,
)

#: Of JSON within JSON texts.
MAX_DEPTH = 100

_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Time = Annotated[float, Meta(ge=0, le=1e11)]
_Name = Annotated[str, Meta(max_length=1000)]
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{1,128}\Z")]


class _Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class PortableUsage(_Strict, frozen=True, kw_only=True):
    input_tokens: _Count
    output_tokens: _Count
    cached_tokens: _Count
    cache_write_tokens: _Count
    reasoning_tokens: _Count
    cost_microusd: _Count | None
    estimated: bool


class PortableObservation(_Strict, frozen=True, kw_only=True):
    tool: _Name
    arguments: str
    digest: _Digest


class PortableTurn(_Strict, frozen=True, kw_only=True):
    number: Annotated[int, Meta(ge=1, le=1_000_000)]
    attempt: _Count
    model: _Name
    input: str
    output: str
    outcome: _Name
    error: str
    started_at: _Time
    finished_at: _Time
    usage: PortableUsage
    makeup: tuple[_Count, _Count, _Count, _Count]
    shortened: tuple[tuple[_Count, str], ...]


class PortableCall(_Strict, frozen=True, kw_only=True):
    turn: _Count
    number: _Count
    call_id: _Name
    name: _Name
    arguments: str
    output: str
    outcome: Literal["ok", "error", "denied"]
    started_at: _Time
    finished_at: _Time
    observation: PortableObservation | None


class PortableStep(_Strict, frozen=True, kw_only=True):
    """A line of the file. `id` is the step's in the store that it was exported from."""

    id: _Name
    key: _Name
    spec: str
    result: str
    model: _Name
    place: _Name
    turn_count: _Count
    started_at: _Time
    finished_at: _Time
    usage: PortableUsage
    observations: tuple[PortableObservation, ...]
    turns: tuple[PortableTurn, ...]
    tool_calls: tuple[PortableCall, ...]


class PortableSpec(_Strict, frozen=True, kw_only=True):
    """The fields of `keys.canonical_spec`; a test holds the two together."""

    kind: StepKind
    tool: _Name = ""
    arguments: Any = None
    prompt: str = ""
    prompts_version: _Count = 0
    system: str = ""
    context: _Digest | None = None
    profile: _Name = ""
    model: _Name = ""
    fallbacks: tuple[_Name, ...] = ()
    effort: _Name | None = None
    temperature: float | None = None
    max_tokens: _Count | None = None
    max_turns: _Count | None = None
    schema: Any = None
    tools: tuple[tuple[_Name, _Count], ...] = ()
    agents: tuple[_Name, ...] = ()
    files: tuple[str, ...] = ()
    grants: tuple[_Name, ...] = ()
    isolation: _Name = ""
    merge: _Name = ""
    gate: tuple[tuple[str, ...], _Count] = ((), 0)
    merged: _Name | None = None
    salt: str = ""


def json_value(what: str, text: str, *, canonical: bool = False) -> JSON:
    """A text that must be JSON, decoded."""
    try:
        value: JSON = msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise ValueError(f"its {what} is no JSON: {error}") from error
    _require_shallow(value, MAX_DEPTH)
    if canonical and canonical_json(value) != text.encode():
        raise ValueError(f"its {what} is not in canonical form")
    return value


def _require_shallow(value: JSON, depth: int) -> None:
    if isinstance(value, list | dict):
        if depth == 0:
            raise RecursionError
        for each in value.values() if isinstance(value, dict) else value:
            _require_shallow(each, depth - 1)


# ---------------------------------------------------------------- part by part, out and in


def usage_out(usage: Usage) -> PortableUsage:
    return PortableUsage(**{name: getattr(usage, name) for name in PortableUsage.__struct_fields__})


def usage_in(usage: PortableUsage) -> Usage:
    return Usage(**{name: getattr(usage, name) for name in PortableUsage.__struct_fields__})


def observation_out(seen: Observation) -> PortableObservation:
    return PortableObservation(tool=seen.tool, arguments=seen.arguments, digest=seen.digest)


def observation_in(seen: PortableObservation) -> Observation:
    arguments = json_value("observations", seen.arguments, canonical=True)
    if not isinstance(arguments, dict):
        raise ValueError("the arguments of an observation are no object")
    return Observation(tool=seen.tool, arguments=seen.arguments, digest=seen.digest)


def turn_out(turn: Turn) -> PortableTurn:
    makeup = turn.makeup
    return PortableTurn(
        number=turn.number,
        attempt=turn.attempt,
        model=turn.model,
        input=turn.input,
        output=turn.output,
        outcome=turn.outcome,
        error=turn.error,
        started_at=turn.started_at,
        finished_at=turn.finished_at,
        usage=usage_out(turn.usage),
        makeup=(makeup.system, makeup.tools, makeup.context, makeup.conversation),
        shortened=tuple((each.message, each.text) for each in turn.shortened),
    )


def turn_in(turn: PortableTurn, step: StepId) -> Turn:
    msgspec.convert(json_value("turns", turn.input), list[Message])
    msgspec.convert(json_value("turns", turn.output), Message)
    system, tools, context, conversation = turn.makeup
    return Turn(
        step_id=step,
        number=turn.number,
        attempt=turn.attempt,
        model=turn.model,
        input=turn.input,
        output=turn.output,
        outcome=turn.outcome,
        error=turn.error,
        started_at=turn.started_at,
        finished_at=turn.finished_at,
        usage=usage_in(turn.usage),
        makeup=PromptMakeup(system=system, tools=tools, context=context, conversation=conversation),
        shortened=tuple(Shortened(message=message, text=text) for message, text in turn.shortened),
    )


def call_out(call: ToolCall) -> PortableCall:
    """The whole of an output that was cut stays behind. Raises ValueError for a call that saw more than one thing."""
    if len(call.observations) > 1:
        raise ValueError("a command, which does not travel")
    return PortableCall(
        turn=call.turn,
        number=call.number,
        call_id=call.call_id,
        name=call.name,
        arguments=call.arguments,
        output=call.output,
        outcome=call.outcome,  # type: ignore[arg-type]  # a store may hold anything: encoded as it is, refused later
        started_at=call.started_at,
        finished_at=call.finished_at,
        observation=observation_out(call.observations[0]) if call.observations else None,
    )


def call_in(call: PortableCall, step: StepId) -> ToolCall:
    return ToolCall(
        step_id=step,
        turn=call.turn,
        number=call.number,
        call_id=call.call_id,
        name=call.name,
        arguments=call.arguments,
        output=call.output,
        outcome=call.outcome,
        started_at=call.started_at,
        finished_at=call.finished_at,
        observations=() if call.observation is None else (observation_in(call.observation),),
    )
