"""HTTP/1.1 on asyncio streams, as much as a loopback model server needs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

_SECRET_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "cookie"})
_MAX_BODY = 64 << 20

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed its side while it was being answered."""


class BadRequest(Exception):
    """What arrived is no HTTP/1.1 request that this server reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    method: str
    path: str
    headers: Mapping[str, str]  # lower case, without secrets
    raw: bytes
    body: dict[str, Any]


class Connection:
    """One client connection. While a request is answered, `attended` turns the client's leaving into ClientGone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._early = b""  # the first byte of a pipelined request, met while watching for the end
        self._gone = False

    async def read_request(self) -> HttpRequest | None:
        """The next request; None when the client closed between two requests."""
        if self._gone:
            return None
        try:
            head = self._early + await self._reader.readuntil(b"\r\n\r\n")
        except ConnectionError:
            return None
        except asyncio.IncompleteReadError as error:
            if error.partial.strip():
                raise BadRequest("the connection ended inside the headers") from error
            return None
        self._early = b""
        lines = head.decode("latin-1").split("\r\n")
        try:
            method, path, _ = lines[0].split(" ")
        except ValueError as error:
            raise BadRequest(f"no request line: {lines[0]!r}") from error
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        body = await self._read_body(headers)
        kept = {name: value for name, value in headers.items() if name and name not in _SECRET_HEADERS}
        return HttpRequest(method=method, path=path, headers=kept, raw=body, body=json.loads(body) if body else {})

    async def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                body += (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readuntil(b"\r\n")
            return body
        length = int(headers.get("content-length", "0"))
        if length > _MAX_BODY:
            raise BadRequest(f"a body of {length} bytes")
        return await self._reader.readexactly(length)

    async def attended(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, or ClientGone as soon as the client closes its side."""
        working = asyncio.ensure_future(work)
        watching = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            if self._gone and not working.done():
                raise ClientGone
            return await working
        finally:
            working.cancel()
            watching.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    async def _watch(self) -> None:
        try:
            self._early = await self._reader.read(1)
        except ConnectionError:
            self._early = b""
        self._gone = not self._early

    async def send_json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        await self.send_body(status, json.dumps(value).encode(), "application/json", headers)

    async def send_body(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        named = {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}
        await self._send(self._head(status, named) + body)

    async def start_stream(self, content_type: str = "text/event-stream") -> None:
        await self._send(self._head(200, {"Content-Type": content_type, "Transfer-Encoding": "chunked"}))

    async def send_chunk(self, data: bytes) -> None:
        await self._send(_chunk(data))

    async def end_stream(self, last: bytes = b"") -> None:
        """In one write with the last event: clients stop reading there, and could not use the connection again."""
        await self._send((_chunk(last) if last else b"") + b"0\r\n\r\n")

    async def _send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            raise ClientGone from error

    @staticmethod
    def _head(status: int, headers: Mapping[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status in set(HTTPStatus) else 'Status'}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def abort(self) -> None:
        """Close at once, with a reset where the client still sends."""
        self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
