"""The file in which steps travel from one store to another: JSON lines, compressed with gzip, a header first.

A file is a stranger's until it is proven: every line is bounded before it is decoded, its types and amounts are
checked, and a step's key is computed from its spec. What a step was called, and by which run, does not travel into an
id: it gets one of its own, by its content.
"""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from ..keys import canonical_json, step_key
from ..model import FILE_STATE, Observation, RunId, Step, StepId, StepKind, StepStatus, ToolCall, Turn
from ..observe import outcome_digest
from ..ports import ToolResult
from .portable_shapes import (
    MAX_DEPTH,
    PortableSpec,
    PortableStep,
    call_in,
    call_out,
    json_value,
    observation_in,
    observation_out,
    turn_in,
    turn_out,
    usage_in,
    usage_out,
)

FORMAT = "vibe-steps"
VERSION = 1

#: What an export may hold, and an import is ready for.
MAX_LINE_BYTES = 32 << 20
MAX_FILE_BYTES = 2 << 30  # uncompressed

#: The grants of steps that may travel: those that change nothing.
PORTABLE_GRANTS = frozenset({"read"})


class Header(Struct, frozen=True, kw_only=True):
    """Later versions may say more; `version` says whether this vibe understands the rest."""

    format: str
    version: int


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
            usage=usage_out(step.usage),
            observations=tuple(map(observation_out, step.observations)),
            turns=tuple(map(turn_out, turns)),
            tool_calls=tuple(map(call_out, calls)),
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
    return msgspec.json.decode(spec, type=PortableSpec).grants


def _checked(given: PortableStep, line: bytes, import_id: RunId, now: float) -> ReadStep:
    spec = msgspec.convert(json_value("spec", given.spec, canonical=True), PortableSpec)
    key = step_key(given.spec)
    if key != given.key:
        raise ValueError(f"the key {given.key[:60]} is not that of its spec, which is {key}")
    json_value("result", given.result, canonical=True)
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
        usage=usage_in(given.usage),
        started_at=min(given.started_at, finished_at),
        finished_at=finished_at,
        turns=given.turn_count,
        model=given.model,
        observations=tuple(map(observation_in, given.observations)),
    )
    if spec.kind is StepKind.TOOL:
        _require_seen(spec, step)
    _require_files_seen(spec, step)
    _once("turn", [turn.number for turn in given.turns])
    _once("tool call", [(call.turn, call.number) for call in given.tool_calls])
    return ReadStep(
        exported_id=given.id,
        step=step,
        turns=tuple([turn_in(turn, id_) for turn in given.turns]),
        tool_calls=tuple([call_in(call, id_) for call in given.tool_calls]),
        place=given.place,
        grants=spec.grants,
    )


def _require_seen(spec: PortableSpec, step: Step) -> None:
    """What a tool gave is what it saw, and so it can be verified: an answer that claims to have seen nothing cannot."""
    assert step.result is not None
    look = Observation(
        tool=spec.tool,
        arguments=canonical_json(spec.arguments).decode(),
        digest=outcome_digest(ToolResult(text="", data=msgspec.json.decode(step.result))),
    )
    if step.observations != (look,):
        raise ValueError(f"its answer is not what {spec.tool[:60]!r} is said to have seen")


def _require_files_seen(spec: PortableSpec, step: Step) -> None:
    """What went along is the first that a step saw; without that, its answer would be one for any contents."""
    seen = [(look.tool, look.arguments) for look in step.observations[: len(spec.files)]]
    if seen != [(FILE_STATE, canonical_json({"path": path}).decode()) for path in spec.files]:
        raise ValueError("it does not say what was in the files that went along")


def _once(what: str, numbers: list[object]) -> None:
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"two of its {what}s have the same number")
