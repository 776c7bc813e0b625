"""What a child says, taken as hostile: bytes to frames, every frame checked, then told to the engine in its order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, assert_never

import msgspec

from .cleaning import clean, clean_line, clean_value
from .ending import Ended, Misbehaved, ProtocolError, killed
from .frames import (
    CallFrame,
    CancelFrame,
    ChildFrame,
    CloseFrame,
    DoneFrame,
    ErrorFrame,
    IdleFrame,
    LogFrame,
    OpenFrame,
    RefusedFrame,
    ScopeLimits,
    StartedFrame,
    ViolationFrame,
)
from .ledger import Ledger
from .limits import MAX_CONTAINERS, MAX_FRAME, MAX_JSON_DEPTH, MIB, HostLimits
from .wire import MAX_LOG, MAX_SLOW_NUMBERS

_KINDS = frozenset({"parallel", "pipeline", "race", "spawn", "budget", "phase"})
_METHODS = frozenset({"agent", "merge", "tool"})
_MAX_LINE = 1 << 31
_PROBLEMS = 100

#: With or without its end: an open string must not be tried again from each quote in it.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_SLOW_NUMBER = re.compile(rb"[0-9][eE][+-]?[0-9]{3}")
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

_decode = msgspec.json.Decoder(ChildFrame).decode
_decode_any = msgspec.json.decode


class Calls(Protocol):
    """The engine's `ScriptCalls`, by shape."""

    def started(self, sink: Any) -> None: ...

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None: ...

    def open(
        self,
        scope: int,
        parent: int,
        kind: str,
        branches: int,
        limits: Any,
        title: str | None,
        model: str | None,
        line: int,
    ) -> None: ...

    def close(self, scope: int) -> None: ...

    def cancel_call(self, call: int) -> None: ...

    def log(self, scope: int, line: int, message: str, fields: Mapping[str, Any]) -> None: ...

    def idle(self, taken: int) -> None: ...


class Splitter:
    """Cuts a stream into the bodies of its frames."""

    def __init__(self, limit: int) -> None:
        self._buffer = bytearray()
        self._left = limit
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add what was received; yields each body that is whole. Raises Misbehaved."""
        self._left -= len(data)
        if self._left < 0:
            raise Misbehaved("flood", f"the script sent more than {self._limit // MIB:,} MB; do less in one run")
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= 4:
                size = int.from_bytes(buffer[at : at + 4], "little")
                if size > MAX_FRAME:
                    raise Misbehaved("oversize", f"the script sent {size:,} bytes at once; at most {MAX_FRAME:,} pass")
                if len(buffer) - at - 4 < size:
                    return
                at += 4 + size
                yield bytes(buffer[at - size : at])
        finally:
            del buffer[:at]

    @property
    def waiting(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)


class Inbound:
    """The listening half of one conversation: `take` is fed the bodies of frames."""

    #: Frames so far that are limited in number: a life that consists of others is none.
    news = 0

    def __init__(self, calls: Calls, sink: Any, ledger: Ledger, limits: HostLimits, make_limits: Any) -> None:
        self._calls = calls
        self._sink = sink
        self._ledger = ledger
        self._limits = limits
        self._make_limits = make_limits
        self._started = False
        self._ended = False
        self._call_count = 0
        self._log_count = 0
        self._log_bytes = 0

    def take(self, body: bytes) -> Ended | None:
        """Check a frame, tell the engine; returns the ending, where it is one. Raises Misbehaved, and what calls do."""
        check_nesting(body)
        check_numbers(body)
        try:
            frame = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(f"a frame that is none ({clean_line(str(error), 200)})") from None
        self._check_order(frame)
        if not isinstance(frame, IdleFrame | CancelFrame):
            self.news += 1
        match frame:
            case CallFrame():
                self._call(frame)
            case OpenFrame():
                self._open(frame)
            case CloseFrame():
                self._ledger.scopes.close(frame.id)
                self._calls.close(frame.id)
            case CancelFrame():
                if self._ledger.scopes.cancel(frame.call):
                    self._calls.cancel_call(frame.call)
            case LogFrame():
                self._log(frame, len(body))
            case IdleFrame():
                self._ledger.idle(frame.taken)
                self._calls.idle(frame.taken)
            case StartedFrame():
                self._started = True
                self._calls.started(self._sink)
            case DoneFrame() | ErrorFrame() | RefusedFrame() | ViolationFrame():
                self._ended = True
                return self._end(frame)
            case _:
                assert_never(frame)
        return None

    def _check_order(self, frame: ChildFrame) -> None:
        if self._ended:
            raise ProtocolError("it went on after its end")
        if isinstance(frame, StartedFrame | RefusedFrame):
            if self._started:
                raise ProtocolError(f"a {type(frame).__name__} after the start")
        elif not self._started and not isinstance(frame, ErrorFrame | ViolationFrame):
            raise ProtocolError(f"a {type(frame).__name__} before the start")

    def _call(self, frame: CallFrame) -> None:
        self._call_count += 1
        if self._call_count > self._limits.calls:
            raise Misbehaved(
                "flood",
                f"the script made more than {self._limits.calls:,} calls; split the work, or raise sandbox.calls",
            )
        if self._ledger.scopes.open_calls >= self._limits.open_calls:
            raise Misbehaved(
                "flood", f"the script has {self._limits.open_calls:,} calls open at once; use parallel(..., limit=N)"
            )
        if frame.m not in _METHODS:
            raise ProtocolError(f"no call of {clean_line(frame.m, 40)!r}")
        params = bytes(frame.p)
        check_json(params)
        self._ledger.scopes.begin(frame.id, frame.scope, len(params))
        if self._ledger.scopes.open_bytes > self._limits.open_bytes:
            raise Misbehaved(
                "flood",
                f"the open calls of the script hold {self._limits.open_bytes // MIB:,} MB of parameters; "
                "use parallel(..., limit=N), or pass less to each",
            )
        self._calls.call(frame.id, frame.scope, _place(frame.line), _place(frame.col), frame.m, params)

    def _open(self, frame: OpenFrame) -> None:
        if frame.kind not in _KINDS:
            raise ProtocolError(f"no scope of kind {clean_line(frame.kind, 40)!r}")
        limits = frame.limits or ScopeLimits()
        _check_limits(limits)
        self._ledger.scopes.open(frame.id, frame.parent, frame.branches)
        self._calls.open(
            frame.id,
            frame.parent,
            frame.kind,
            frame.branches,
            self._make_limits(
                tokens=limits.tokens, microusd=limits.microusd, steps=limits.steps, seconds=limits.seconds
            ),
            None if frame.title is None else clean_line(frame.title, 500),
            None if frame.model is None else clean_line(frame.model, 200),
            _place(frame.line),
        )

    def _log(self, frame: LogFrame, size: int) -> None:
        self._log_count += 1
        self._log_bytes += size
        if self._log_count > self._limits.logs or self._log_bytes > self._limits.log_bytes:
            raise Misbehaved(
                "flood",
                f"the script logs over {self._limits.logs:,} lines, or {self._limits.log_bytes // MIB} MB; log less, "
                "or raise sandbox.log_lines",
            )
        if size > MAX_LOG:
            raise Misbehaved("oversize", f"the script logged {size:,} bytes at once; at most {MAX_LOG:,} pass")
        if not self._ledger.scopes.issued(frame.scope):
            raise ProtocolError(f"a log in scope {frame.scope}, which was never opened")
        chars = self._limits.message_chars
        fields = clean_value(_object(frame.fields), chars)
        self._calls.log(frame.scope, _place(frame.line), clean(frame.message, chars), fields)

    def _end(self, frame: DoneFrame | ErrorFrame | RefusedFrame | ViolationFrame) -> Ended:
        chars = self._limits.message_chars
        match frame:
            case DoneFrame():
                value = bytes(frame.value)
                check_json(value)
                return Ended(outcome="returned", value=value)
            case RefusedFrame():
                problems = tuple(
                    msgspec.structs.replace(
                        problem,
                        line=_place(problem.line),
                        column=_place(problem.column),
                        message=clean(problem.message, chars),
                    )
                    for problem in frame.problems[:_PROBLEMS]
                )
                return Ended(outcome="refused", problems=problems)
            case ViolationFrame():
                event = clean_line(frame.event, 100)
                return killed("violation", f"the script reached for {event!r}, which no workflow may; it was stopped")
            case ErrorFrame():
                place = frame.trace[-1] if frame.trace else None
                fault = frame.fault
                return Ended(
                    outcome="raised",
                    error_type=clean_line(frame.type, 100),
                    message=clean(frame.message, chars),
                    line=_place(place.line) if place else 0,
                    column=_place(place.col) if place else 0,
                    fault_type=clean_line(fault.type, 100) if fault else "",
                    fault_kind=clean_line(fault.kind, 100) if fault else "",
                    fault_fields=clean_value(fault.fields, chars) if fault else {},
                )
            case _:
                assert_never(frame)


def check_nesting(body: bytes) -> None:
    """Bound depth and number of arrays and objects, before anything is built from them."""
    if body.count(b"[") + body.count(b"{") <= MAX_JSON_DEPTH:
        return
    brackets = _STRINGS.sub(b"", body).translate(_ONE_KIND_OF_BRACKET, _NO_BRACKETS)
    if len(brackets) > 2 * MAX_CONTAINERS:
        raise ProtocolError(f"more than {MAX_CONTAINERS:,} lists and dicts in one frame")
    for _ in range(MAX_JSON_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")  # takes one level away, everywhere
    if brackets:
        raise ProtocolError(f"JSON nested deeper than {MAX_JSON_DEPTH}")


def check_numbers(body: bytes) -> None:
    """Bound the numbers that take long to read: a frame full of them would hold the engine for seconds."""
    if len(body) < 6 * MAX_SLOW_NUMBERS or len(_SLOW_NUMBER.findall(body)) <= MAX_SLOW_NUMBERS:
        return  # `1e100,` is the shortest
    if len(_SLOW_NUMBER.findall(_STRINGS.sub(b"", body))) > MAX_SLOW_NUMBERS:
        raise ProtocolError(f"more than {MAX_SLOW_NUMBERS:,} numbers with exponents of three digits in one frame")


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    found = check_json(raw)
    if not isinstance(found, dict):
        raise ProtocolError("fields of a log that are no object")
    return found


def check_json(raw: msgspec.Raw | bytes) -> Any:
    """The value. Raises ProtocolError: the decoder only skips over a raw part, numbers and text in it can be none."""
    try:
        return _decode_any(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a value that is no JSON ({clean_line(str(error), 200)})") from None


def _check_limits(limits: ScopeLimits) -> None:
    for name in ("tokens", "microusd", "steps", "seconds"):
        value = getattr(limits, name)
        if value is not None and not 0 <= value < 1 << 62:
            raise ProtocolError(f"a limit of {value} {name}")


def _place(number: int) -> int:
    """A line or column, only ever shown: what is absurd is unknown."""
    return number if 0 <= number < _MAX_LINE else 0
