"""What the engine says to a child: queued without a wait, written by one task, bounded for a deaf child."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import trio

from .ending import Misbehaved
from .frames import AnswerFrame, FaultBody, GoFrame, StartFrame
from .ledger import Ledger
from .limits import MAX_FRAME, MIB

_WRITE_BYTES = 1 << 20

_encode = msgspec.json.Encoder().encode


class Outbox:
    """Frames on their way into a child. `put` never waits; `write` runs as a task until it is cancelled."""

    def __init__(self, sock: trio.socket.SocketType, limit: int) -> None:
        self._socket = sock
        self._limit = limit
        self._buffer = bytearray()
        self._wake = trio.Event()
        self.last_taken = trio.current_time()

    @property
    def unread(self) -> int:
        return len(self._buffer)

    def put(self, body: bytes) -> None:
        """Queue a frame. Raises Misbehaved where the child has let too much pile up."""
        self._buffer += len(body).to_bytes(4, "little")
        self._buffer += body
        self._wake.set()
        if len(self._buffer) > self._limit:
            raise Misbehaved(
                "unresponsive", f"the script's process left {self._limit // MIB} MB of answers unread, and was killed"
            )

    async def write(self) -> None:
        while True:
            if not self._buffer:
                self._wake = trio.Event()
                await self._wake.wait()
            try:
                # A copy: what is queued meanwhile grows the buffer under the system call.
                sent = await self._socket.send(bytes(self._buffer[:_WRITE_BYTES]))
            except OSError:
                return  # the child is gone; the reading side says so
            del self._buffer[:sent]
            self.last_taken = trio.current_time()


class Answers:
    """The engine's `AnswerSink`, by shape. An answer to a call that is not open any more goes nowhere."""

    def __init__(self, outbox: Outbox, ledger: Ledger, misbehaved: Callable[[Misbehaved], None]) -> None:
        self._outbox = outbox
        self._ledger = ledger
        self._misbehaved = misbehaved
        self._closed = False
        self.last_sent = trio.current_time()

    def close(self) -> None:
        """The child is gone: what the engine still sends is dropped."""
        self._closed = True

    def answer(self, call: int, value: bytes, *, order: int | None, tokens: int, microusd: int, seconds: float) -> None:
        if len(value) > MAX_FRAME - 1024:
            self.fault(
                call,
                "AgentError",
                f"the answer has {len(value):,} bytes, at most {MAX_FRAME:,} can reach a script; ask for less",
                "agent_error",
                {},
                tokens=tokens,
                microusd=microusd,
                steps=1,
                seconds=seconds,
                order=order,
            )
            return
        frame = AnswerFrame(
            id=call, ok=msgspec.Raw(value), order=order, tokens=tokens, microusd=microusd, seconds=seconds
        )
        self._send(call, frame)

    def fault(
        self,
        call: int,
        fault_type: str,
        message: str,
        kind: str,
        fields: Mapping[str, Any],
        *,
        tokens: int,
        microusd: int,
        steps: int,
        seconds: float,
        order: int | None = None,
    ) -> None:
        fault = FaultBody(type=fault_type, message=message, kind=kind, fields=dict(fields))
        self._send(
            call,
            AnswerFrame(
                id=call, fault=fault, order=order, tokens=tokens, microusd=microusd, steps=steps, seconds=seconds
            ),
        )

    def go(self, calls: int) -> None:
        if not self._closed:
            self._ledger.go_owed = False
            self._put(_encode(GoFrame(calls=calls)))

    def _send(self, call: int, frame: AnswerFrame) -> None:
        if self._closed or not self._ledger.scopes.end(call):
            return
        self._put(_encode(frame))
        if frame.order is not None:
            self._ledger.ordered_answers += 1

    def _put(self, body: bytes) -> None:
        self.last_sent = trio.current_time()
        try:
            self._outbox.put(body)
        except Misbehaved as error:  # the engine is the caller: the run ends, not what the engine is doing
            self._closed = True
            self._misbehaved(error)


def encode_start(start: Any) -> bytes:
    """The first frame, from the engine's `ScriptStart`, by shape. Raises ValueError where it cannot pass."""
    limits = start.limits
    frame = {
        "t": "start",
        "source": start.source,
        "filename": start.filename,
        "args": msgspec.Raw(start.args.encode()),
        "now": start.now,
        "seed": start.seed,
        "has_model": start.has_model,
        "limits": {
            "tokens": limits.tokens,
            "microusd": limits.microusd,
            "steps": limits.steps,
            "seconds": limits.seconds,
        },
    }
    body = _encode(msgspec.convert(frame, StartFrame))
    if len(body) > MAX_FRAME:
        raise ValueError(
            f"script and arguments have {len(body):,} bytes, at most {MAX_FRAME:,} can pass; "
            "pass the path of a file instead of its content"
        )
    return body
