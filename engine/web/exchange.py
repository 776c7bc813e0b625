"""One HTTP/1.1 exchange on a connection of its own: a request, the head of its answer, a body within limits."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress

import h11
import trio
from msgspec import Struct

from ..errors import ToolFailed
from .urls import Target

#: Of a body, as it is sent and after it was unpacked.
MAX_BODY_BYTES = 5_000_000
#: Of the head of an answer, those of interim answers before it included.
MAX_HEAD_BYTES = 64 * 1024
#: A body in more pieces than this is one byte a piece: each costs a reader far more than the sender.
MAX_PIECES = 20_000
_CHUNK = 64 * 1024
_PIECES_AT_ONCE = 64
#: What zlib is told of the packings that a server may use. None: the body is as it is.
_PACKINGS: Mapping[str, int | None] = {"": None, "identity": None, "gzip": 31, "x-gzip": 31, "deflate": 15}


class Request(Struct, frozen=True, kw_only=True):
    method: str = "GET"
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


class Head(Struct, frozen=True, kw_only=True):
    """The beginning of an answer. Header names are in small letters; of several with one name, the first counts."""

    status: int
    reason: str
    headers: Mapping[str, bytes]


class Exchange:
    """Raises ToolFailed where the server does not keep to the protocol, or to the limits."""

    def __init__(self, stream: trio.abc.Stream, target: Target) -> None:
        self._stream = stream
        self._target = target
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._over = False  # the server ended the connection

    async def ask(self, request: Request) -> Head:
        """Send the request; the head of the answer."""
        headers = [("Host", self._target.authority), *request.headers, ("Connection", "close")]
        if request.body:
            headers.append(("Content-Length", str(len(request.body))))
        asked = h11.Request(method=request.method, target=self._target.path, headers=headers)
        sent = self._http.send(asked) or b""
        if request.body:
            sent += self._http.send(h11.Data(data=request.body)) or b""
        sent += self._http.send(h11.EndOfMessage()) or b""
        with suppress(trio.BrokenResourceError, OSError):  # it may have answered before it hung up; reading says so
            await self._stream.send_all(sent)
        taken = 0
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return _head(event)
            if not isinstance(event, h11.InformationalResponse):
                raise self._failure("it ended the connection without an answer")
            taken += sum(len(name) + len(value) for name, value in event.headers) + 16
            if taken > MAX_HEAD_BYTES:
                raise self._failure("it sends interim answers without an end")

    async def body(self, head: Head) -> bytes:
        """The whole body, unpacked."""
        packing = head.headers.get("content-encoding", b"").decode("latin-1").strip().lower()
        if packing not in _PACKINGS:
            raise self._failure(f"the page is packed as {packing[:40]!a}, which is not unpacked here")
        wbits = _PACKINGS[packing]
        unpacked = _Unpacked(self._target, wbits)
        pieces = size = 0
        while True:
            event = await self._next()
            if isinstance(event, h11.EndOfMessage):
                return unpacked.finished()
            if not isinstance(event, h11.Data):
                raise self._failure("it ended the connection in the middle of the page")
            pieces += 1
            size += len(event.data)
            if size > MAX_BODY_BYTES:
                raise too_large(self._target)
            if pieces > MAX_PIECES:
                raise self._failure("it sends the page in too many pieces")
            unpacked.add(bytes(event.data))
            if pieces % _PIECES_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()  # pieces that came together need no wait

    async def _next(self) -> object:
        try:
            while True:
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event
                data = bytes(await self._stream.receive_some(_CHUNK))
                self._over = not data
                self._http.receive_data(data)
        except h11.RemoteProtocolError as error:
            if self._over:
                raise self._failure("it ended the connection before its answer was whole") from error
            raise self._failure(f"it does not speak HTTP/1.1 as it should ({str(error)[:200]})") from error
        except (trio.BrokenResourceError, OSError) as error:
            raise self._failure("it broke the connection off") from error

    def _failure(self, why: str) -> ToolFailed:
        return ToolFailed(f"{self._target.url}: {why}")


def too_large(target: Target) -> ToolFailed:
    return ToolFailed(
        f"{target.url}: the page has more than {MAX_BODY_BYTES:,} bytes; ask for a part of it, if it has parts"
    )


class _Unpacked:
    """A body that is unpacked as it comes, and never beyond the limit."""

    def __init__(self, target: Target, wbits: int | None) -> None:
        self._target = target
        self._wbits = wbits
        self._unpacker = None if wbits is None else zlib.decompressobj(wbits)
        self._began = False
        self._parts: list[bytes] = []
        self._room = MAX_BODY_BYTES

    def add(self, data: bytes) -> None:
        part = data if self._unpacker is None else self._unpack(data)
        self._room -= len(part)
        if self._room < 0:
            raise too_large(self._target)
        self._parts.append(part)

    def finished(self) -> bytes:
        if self._unpacker is not None and self._began and not self._unpacker.eof:
            raise ToolFailed(f"{self._target.url}: the page ends in the middle of what was packed")
        return b"".join(self._parts)

    def _unpack(self, data: bytes) -> bytes:
        try:
            return self._step(data)
        except zlib.error as error:
            if self._wbits != 15 or self._began:
                raise ToolFailed(f"{self._target.url}: the page cannot be unpacked ({error})") from error
        self._unpacker = zlib.decompressobj(-15)  # `deflate` without its wrapper, as some servers send it
        self._wbits = -15
        return self._unpack(data)

    def _step(self, data: bytes) -> bytes:
        assert self._unpacker is not None
        part = self._unpacker.decompress(data, self._room + 1)  # one byte beyond the limit tells that it is too large
        self._began = True
        return part


def _head(event: h11.Response) -> Head:
    headers: dict[str, bytes] = {}
    for name, value in event.headers:
        headers.setdefault(bytes(name).decode("latin-1"), bytes(value))
    reason = "".join(char for char in bytes(event.reason).decode("latin-1")[:60] if " " <= char <= "~")
    return Head(status=event.status_code, reason=reason, headers=headers)
