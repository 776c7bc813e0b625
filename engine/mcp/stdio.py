"""The streams that the SDK speaks through, over the pipes of a program: one JSON message a line, bounded."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio
import trio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError

from .inbound import MAX_MESSAGE_BYTES, Inbound
from .messages import AdmittedMessages

_CHUNK = 65_536


class _Closing:
    async def aclose(self) -> None:
        """The one that started the program owns the pipe."""
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class LineReader(AdmittedMessages, _Closing):
    """Messages from a program."""

    def __init__(self, stream: trio.abc.ReceiveStream, inbound: Inbound, ended: trio.Event) -> None:
        super().__init__(inbound, ended)
        self._stream = stream
        self._held = bytearray()
        self._seen = 0  # so much of what is held has no line end

    async def _next(self) -> SessionMessage | None:
        line = await self._line()
        return self._message(line) if line.strip() else None

    def _message(self, line: bytes) -> SessionMessage | None:
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValidationError:
            self._inbound.stray()
            return None
        return SessionMessage(message) if self._inbound.admits(message) else None

    async def _line(self) -> bytes:
        while True:
            end = self._held.find(b"\n", self._seen)
            if end >= 0:
                line = bytes(self._held[:end])
                del self._held[: end + 1]
                self._seen = 0
                return line
            self._seen = len(self._held)
            if self._seen > MAX_MESSAGE_BYTES:
                raise self._inbound.out_of_bounds(f"sent a message of more than {MAX_MESSAGE_BYTES >> 20} MB")
            try:
                data = await self._stream.receive_some(_CHUNK)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data:
                raise StopAsyncIteration
            self._inbound.bytes(len(data))
            self._held += data


class LineWriter(_Closing):
    """Messages to a program, whole or not at all: after one that was cut off, nothing more is sent."""

    def __init__(self, stream: trio.abc.SendStream) -> None:
        self._stream = stream
        self._turn = trio.Lock()
        self._cut_off = False

    async def send(self, item: SessionMessage, /) -> None:
        line = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        async with self._turn:
            if self._cut_off:
                raise anyio.BrokenResourceError
            self._cut_off = True
            try:
                await self._stream.send_all(line)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise anyio.BrokenResourceError from error
            self._cut_off = False
