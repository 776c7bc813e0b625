"""The way to an MCP server over HTTP: the SDK's transport, on a client that reads no more than it should."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx2
import trio
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from .inbound import MAX_MESSAGE_BYTES, Inbound, OutOfBounds
from .messages import AdmittedMessages

_CONNECT_S = 10.0
#: A stream that a server keeps open may be silent; each call has a time limit of its own.
_SILENCE_S = 660.0


class GuardedReader(AdmittedMessages):
    """What the SDK's transport read."""

    def __init__(self, stream: Any, inbound: Inbound, ended: trio.Event) -> None:
        super().__init__(inbound, ended)
        self._stream = stream

    @property
    def last_context(self) -> Any:
        """The SDK's: of whoever sent the message that this one answers."""
        return getattr(self._stream, "last_context", None)

    async def _next(self) -> SessionMessage | None:
        item: SessionMessage | Exception = await self._stream.__anext__()
        if isinstance(item, Exception):
            self._inbound.stray()
            return None
        return item if self._inbound.admits(item.message) else None

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.__aexit__(kind, error, trace)


class _BoundedBody(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream, inbound: Inbound, most: int | None) -> None:
        self._body = body
        self._inbound = inbound
        self._left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            try:
                self._count(len(chunk))
            except OutOfBounds as error:
                raise httpx2.StreamError(f"the server {error}") from error
            yield chunk

    def _count(self, size: int) -> None:
        self._inbound.bytes(size)
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise self._inbound.out_of_bounds(f"sent a message of more than {MAX_MESSAGE_BYTES >> 20} MB")

    async def aclose(self) -> None:
        await self._body.aclose()


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Connects directly, whatever proxy the environment names, and bounds each answer. Nothing is decompressed."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, inbound: Inbound) -> None:
        self._inner = inner
        self._inbound = inbound

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except httpx2.TransportError as error:
            self._inbound.problem = f"cannot be reached: {type(error).__name__}: {error}"
            raise
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            await response.aclose()
            self._inbound.problem = f"answered in the encoding {encoding[:40]!r}, which was not asked for"
            raise httpx2.ProtocolError(self._inbound.problem)
        streamed = response.headers.get("content-type", "").lower().startswith("text/event-stream")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedBody(response.stream, self._inbound, None if streamed else MAX_MESSAGE_BYTES)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def web_streams(
    url: str, headers: Mapping[str, str], inbound: Inbound, ended: trio.Event
) -> AsyncIterator[tuple[GuardedReader, Any]]:
    """The two streams of a session. Redirects are followed within the address's own origin only; that is the SDK's."""
    async with (
        httpx2.AsyncClient(
            headers={**headers, "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(_CONNECT_S, read=_SILENCE_S),
            transport=BoundedTransport(httpx2.AsyncHTTPTransport(trust_env=False), inbound),
            trust_env=False,
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as (reader, writer),
    ):
        yield GuardedReader(reader, inbound, ended), writer
