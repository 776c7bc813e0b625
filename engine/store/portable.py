"""The file in which steps travel from one store to another: JSON lines, compressed with gzip, a header first.

A file is a stranger's until it is proven: every line is bounded before it is decoded, its types and amounts are
checked, and a step's key is computed from its spec. What a step was called, and by which run, does not travel into an
id: it gets one of its own, by its content.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ..keys import canonical_json, step_key
from ..model import (
    JSON,
    Message,
    Observation,
    PromptMakeup,
    RunId,
    Shortened,
    Step,
    StepId,
    StepKind,
    StepStatus,
    ToolCall,
    Turn,
    Usage,
)

FORMAT = "vibe-steps"
VERSION = 1

#: What an export may hold, and an import is ready for.
MAX_LINE_BYTES = 32 << 20
MAX_FILE_BYTES = 2 << 30  # uncompressed
MAX_DEPTH = 100  # of JSON within JSON texts

#: The grants of steps that may travel: those that change nothing.
PORTABLE_GRANTS = frozenset({"read"})

_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Time = Annotated[float, Meta(ge=0, le=1e11)]
_Name = Annotated[str, Meta(max_length=1000)]
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{1,128}\Z")]


class Header(Struct, frozen=True, kw_only=True):
    """Later versions may say more; `version` says whether this vibe understands the rest."""

    format: str
    version: int


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


class _Spec(_Strict, frozen=True, kw_only=True):
    """The fields of `keys.canonical_spec`; a test holds the two together."""

    kind: StepKind
    tool: _Name = ""
    arguments: Any = None
    prompt: str = ""
    prompts_version: _Count = 0
    system: str = ""
    context: _Digest | None = None
    model: _Name = ""
    fallbacks: tuple[_Name, ...] = ()
    effort: _Name | None = None
    temperature: float | None = None
    max_tokens: _Count | None = None
    max_turns: _Count | None = None
    schema: Any = None
    tools: tuple[tuple[_Name, _Count], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    grants: tuple[_Name, ...] = ()
    salt: str = ""


class ReadStep(Struct, frozen=True, kw_only=True):
    """A line that was found in order: records as the store takes them, in the name of the import."""

    exported_id: str
    step: Step
    turns: tuple[Turn, ...]
    tool_calls: tuple[ToolCall, ...]
    place: str
    grants: tuple[str, ...]


_header = msgspec.json.Decoder(Header)
_line = msgspec.json.Decoder(PortableStep)


def header_line() -> bytes:
    return msgspec.json.encode(Header(format=FORMAT, version=VERSION)) + b"\n"


def check_header(line: bytes) -> None:
    """Raises ValueError, in words."""
    try:
        header = _header.decode(line)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise ValueError(f"it is no export of vibe ({error})") from error
    if header.format != FORMAT:
        raise ValueError("it is no export of vibe")
    if header.version > VERSION:
        raise ValueError(
            f"it was written by a newer vibe: version {header.version}, this one reads up to {VERSION}; "
            "upgrade vibe-workflows"
        )


def step_line(step: Step, turns: list[Turn], calls: list[ToolCall], place: str) -> bytes:
    """One line, of a step that has an answer. Raises ValueError where it is more than a line may be."""
    assert step.result is not None
    line = msgspec.json.encode(
        PortableStep(
            id=step.id,
            key=step.key,
            spec=step.spec,
            result=step.result,
            model=step.model,
            place=place,
            turn_count=step.turns,
            started_at=step.started_at,
            finished_at=step.finished_at,
            usage=_usage_out(step.usage),
            observations=tuple(map(_observation_out, step.observations)),
            turns=tuple(map(_turn_out, turns)),
            tool_calls=tuple(map(_call_out, calls)),
        )
    )
    if len(line) >= MAX_LINE_BYTES:
        raise ValueError(f"it takes {len(line):,} bytes, and a line has at most {MAX_LINE_BYTES:,}")
    return line + b"\n"


def read_line(line: bytes, import_id: RunId, now: float) -> ReadStep:
    """The step of a line, if all of it is in order. Raises ValueError, in words; nothing of a line is taken as true
    but what cannot be proven: that a model gave this answer, and what it cost.
    """
    try:
        given = _line.decode(line)
        return _checked(given, line, import_id, now)
    except RecursionError as error:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def spec_grants(spec: str) -> tuple[str, ...]:
    """The grants that a step had. Raises ValueError and msgspec.MsgspecError for what is no spec."""
    return msgspec.json.decode(spec, type=_Spec).grants


def _checked(given: PortableStep, line: bytes, import_id: RunId, now: float) -> ReadStep:
    spec = msgspec.convert(_json("spec", given.spec, canonical=True), _Spec)
    key = step_key(given.spec)
    if key != given.key:
        raise ValueError(f"the key {given.key[:60]} is not that of its spec, which is {key}")
    _json("result", given.result, canonical=True)
    id_ = StepId(f"imported-{hashlib.blake2b(line.strip(), digest_size=16).hexdigest()}")
    finished_at = min(given.finished_at, now)  # a result from the future would outlive every horizon
    step = Step(
        id=id_,
        run_id=import_id,
        key=key,
        spec=given.spec,
        kind=spec.kind,
        status=StepStatus.COMPLETED,
        result=given.result,
        usage=_usage_in(given.usage),
        started_at=min(given.started_at, finished_at),
        finished_at=finished_at,
        turns=given.turn_count,
        model=given.model,
        observations=tuple(map(_observation_in, given.observations)),
    )
    _once("turn", [turn.number for turn in given.turns])
    _once("tool call", [(call.turn, call.number) for call in given.tool_calls])
    return ReadStep(
        exported_id=given.id,
        step=step,
        turns=tuple([_turn_in(turn, id_) for turn in given.turns]),
        tool_calls=tuple([_call_in(call, id_) for call in given.tool_calls]),
        place=given.place,
        grants=spec.grants,
    )


def _json(what: str, text: str, *, canonical: bool = False) -> JSON:
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


def _once(what: str, numbers: list[object]) -> None:
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"two of its {what}s have the same number")


# ---------------------------------------------------------------- part by part, out and in


def _usage_out(usage: Usage) -> PortableUsage:
    return PortableUsage(**{name: getattr(usage, name) for name in PortableUsage.__struct_fields__})


def _usage_in(usage: PortableUsage) -> Usage:
    return Usage(**{name: getattr(usage, name) for name in PortableUsage.__struct_fields__})


def _observation_out(seen: Observation) -> PortableObservation:
    return PortableObservation(tool=seen.tool, arguments=seen.arguments, digest=seen.digest)


def _observation_in(seen: PortableObservation) -> Observation:
    arguments = _json("observations", seen.arguments, canonical=True)
    if not isinstance(arguments, dict):
        raise ValueError("the arguments of an observation are no object")
    return Observation(tool=seen.tool, arguments=seen.arguments, digest=seen.digest)


def _turn_out(turn: Turn) -> PortableTurn:
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
        usage=_usage_out(turn.usage),
        makeup=(makeup.system, makeup.tools, makeup.context, makeup.conversation),
        shortened=tuple((each.message, each.text) for each in turn.shortened),
    )


def _turn_in(turn: PortableTurn, step: StepId) -> Turn:
    msgspec.convert(_json("turns", turn.input), list[Message])
    msgspec.convert(_json("turns", turn.output), Message)
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
        usage=_usage_in(turn.usage),
        makeup=PromptMakeup(system=system, tools=tools, context=context, conversation=conversation),
        shortened=tuple(Shortened(message=message, text=text) for message, text in turn.shortened),
    )


def _call_out(call: ToolCall) -> PortableCall:
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
        observation=None if call.observation is None else _observation_out(call.observation),
    )


def _call_in(call: PortableCall, step: StepId) -> ToolCall:
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
        observation=None if call.observation is None else _observation_in(call.observation),
    )
