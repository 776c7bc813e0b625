"""One session with one MCP server, through the SDK. Importing this module imports the SDK: a second and a half.

What the server asks for (sampling, elicitation, roots) is refused, and what it tells is not listened to. The SDK's own
check of structured answers is left out: it would evaluate a schema of the server's choice in this process.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, NamedTuple

import mcp_types as types
import trio
from mcp.client._transport import ReadStream, WriteStream
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from ..errors import ToolFailed
from ..model import JSON
from ..ports import Programs
from ..version import VERSION
from .inbound import Inbound
from .launching import Launch
from .listing import ListedTool, Listing, sifted
from .replies import Reply
from .stdio import LineReader, LineWriter
from .web import web_streams

_MAX_PAGES: Final = 50
_ERROR_CHARS: Final = 2_000
_STDERR_BYTES: Final = 1_500

for _name in ("mcp", "client", "httpx2", "httpcore2"):  # they would print what a server sends on stderr
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


class Connection:
    """An initialized session. `closed` is set when it is of no more use."""

    def __init__(
        self, name: str, session: ClientSession, inbound: Inbound, closed: trio.Event, why: Callable[[], str]
    ) -> None:
        """`why` says why it ended, as far as that is known."""
        self._name = name
        self._session = session
        self._inbound = inbound
        self._why = why
        self.closed = closed

    async def initialize(self) -> None:
        """Agree on a version of the protocol: the older handshake, which all speak, then the newer one."""
        self._inbound.asked()
        try:
            await self._session.initialize()
        except MCPError:
            self._inbound.asked()
            await self._session.discover()

    async def listing(self) -> Listing:
        tools: list[types.Tool] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            self._inbound.asked()
            page = await self._session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        return sifted(
            [
                ListedTool(name=tool.name, description=tool.description or "", parameters=tool.input_schema)
                for tool in tools
            ]
        )

    async def call(self, tool: str, arguments: Mapping[str, JSON], timeout_s: float) -> Reply:
        """Raises ToolFailed."""
        self._inbound.asked()
        request = types.CallToolRequest(params=types.CallToolRequestParams(name=tool, arguments=dict(arguments)))
        try:
            with trio.move_on_after(timeout_s):
                return _reply(await self._session.send_request(request, types.CallToolResult))
        except (MCPError, ValidationError) as error:
            raise ToolFailed(self.explained(error)) from error
        raise ToolFailed(f"the MCP server `{self._name}` gave no answer to {tool!r} within {timeout_s:g} s")

    def explained(self, error: BaseException) -> str:
        """What went wrong with this server, in a sentence."""
        match error:
            case MCPError() if error.code == types.CONNECTION_CLOSED:
                self.closed.set()
                said = self._why() or "ended the connection"
            case MCPError():
                said = f"answered with an error: {error.error.message}"
            case ValidationError():
                said = f"answered in a form that the protocol does not have ({error.error_count()} problems)"
            case _:
                said = self._inbound.problem or f"failed: {type(error).__name__}: {error}"
        return f"the MCP server `{self._name}` {said[:_ERROR_CHARS]}"


@asynccontextmanager
async def connected(launch: Launch, programs: Programs) -> AsyncIterator[Connection]:
    """A session that is not initialized yet. At the end nothing of the server is left, in bounded time."""
    inbound, closed = Inbound(), trio.Event()
    async with AsyncExitStack() as stack:
        streams = await stack.enter_async_context(_streams(launch, programs, inbound, closed))
        about_us = types.Implementation(name="vibe", version=VERSION)
        session = ClientSession(streams.reader, streams.writer, client_info=about_us)
        await stack.enter_async_context(session)
        try:
            yield Connection(launch.name, session, inbound, closed, streams.why)
        finally:
            closed.set()


class _Streams(NamedTuple):
    reader: ReadStream[SessionMessage | Exception]
    writer: WriteStream[SessionMessage]
    why: Callable[[], str]


@asynccontextmanager
async def _streams(launch: Launch, programs: Programs, inbound: Inbound, closed: trio.Event) -> AsyncIterator[_Streams]:
    if launch.url:
        async with web_streams(launch.url, launch.headers, inbound, closed) as (heard, writer):
            yield _Streams(heard, writer, lambda: inbound.problem)
        return
    async with (
        programs.keep(launch.argv, cwd=launch.cwd, environ=launch.environ) as program,
        trio.open_nursery() as nursery,
    ):
        last_words = bytearray()
        nursery.start_soon(_keep_last, program.stderr, last_words)
        reader = LineReader(program.stdout, inbound, closed)

        def why() -> str:
            if inbound.problem:
                return inbound.problem
            if program.problem:
                return f"did not start: {program.problem}"
            said = last_words.decode("utf-8", "replace").strip()
            return f"ended; its last words: {said}" if said else "ended"

        try:
            yield _Streams(reader, LineWriter(program.stdin), why)
        finally:
            nursery.cancel_scope.cancel()
            if inbound.problem:  # it may be writing still, and would hear of nothing else
                await trio.aclose_forcefully(program.stdout)


async def _keep_last(stream: trio.abc.ReceiveStream, held: bytearray) -> None:
    while data := await stream.receive_some():
        held += data
        del held[:-_STDERR_BYTES]


def _reply(result: types.CallToolResult) -> Reply:
    return Reply(texts=_texts(result.content), structured=result.structured_content, failed=bool(result.is_error))


def _texts(parts: Sequence[Any]) -> list[str]:
    texts: list[str] = []
    for part in parts:
        match part:
            case types.TextContent():
                texts.append(part.text)
            case types.EmbeddedResource(resource=types.TextResourceContents() as held):
                texts.append(held.text)
            case types.ResourceLink():
                texts.append(f"[a link to {part.uri}, which was not followed]")
            case _:
                texts.append(f"[{part.type}: left out, since only text is taken]")
    return texts
