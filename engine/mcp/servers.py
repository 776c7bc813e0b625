"""The MCP servers of one run: each is started at the first call of one of its tools, and ends with the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio
from msgspec import Struct

from ..errors import SandboxError, ToolFailed
from ..grants import missing_grants
from ..model import JSON
from ..ports import Programs
from .launching import Launch, launch_of
from .listing import Listing, ListingCache, offered
from .names import SEPARATOR
from .replies import Reply
from .server import McpServer
from .tool import McpTool

if TYPE_CHECKING:
    from .connection import Connection

#: From its start to its list of tools. Programs that are fetched first take their time.
START_S: Final = 60.0
#: For a session to be closed as the protocol wants it; a program is killed after that, if it has not ended.
END_S: Final = 5.0
#: Of one server in one run. What ends again and again is broken.
MAX_STARTS: Final = 3


class Surroundings(Struct, frozen=True, kw_only=True):
    """What servers are started with."""

    programs: Programs
    environ: Mapping[str, str]
    project: Path
    cache: ListingCache


class RunServers:
    """The servers that a run may use."""

    def __init__(self, servers: Iterable[McpServer], surroundings: Surroundings, nursery: trio.Nursery) -> None:
        self._running = {server.name: _Running(server, surroundings, nursery) for server in servers}
        self._cache = surroundings.cache
        self._servers = tuple(running.server for running in self._running.values())
        self._listings: dict[str, Listing] = {}
        #: Of servers whose tools are not known: why.
        self.unknown: dict[str, str] = {}
        for server in self._servers:
            if listing := self._cache.load(server):
                self._listings[server.name] = listing
            else:
                self.unknown[server.name] = (
                    f"they were never listed here; a run lists them first if it has the grant `{server.grant}` and its "
                    f"script or arguments name `{server.grant}`"
                )

    async def list_unknown(self, names: Iterable[str]) -> None:
        """Start those of these whose tools are not known, and keep their lists. One that fails is left unknown."""

        async def ask(name: str) -> None:
            try:
                await self._running[name].connection()
            except ToolFailed as error:
                self.unknown[name] = error.message
            else:
                self._listings[name] = self._cache.load(self._running[name].server) or Listing(tools=())
                del self.unknown[name]

        async with trio.open_nursery() as nursery:
            for name in sorted(set(names) & self.unknown.keys()):
                nursery.start_soon(ask, name)

    @property
    def tools(self) -> list[McpTool]:
        return [
            McpTool(server, tool, self._call)
            for server in self._servers
            if (listing := self._listings.get(server.name))
            for tool in offered(server, listing)
        ]

    def left_out(self, names: Iterable[str]) -> list[str]:
        """What of the lists of these servers is not offered, in sentences for the person."""
        notes = []
        for name in names:
            if (listing := self._listings.get(name)) is None:
                continue
            server = self._running[name].server
            notes += [f"MCP server `{server.name}`: {note}" for note in listing.left_out]
            known = {tool.name for tool in listing.tools}
            notes += [
                f"MCP server `{server.name}`: it has no tool {name!r}, which your configuration names"
                for name in server.tools or ()
                if name not in known
            ]
        return notes

    async def _call(self, server: McpServer, tool: str, arguments: Mapping[str, JSON]) -> Reply:
        connection = await self._running[server.name].connection()
        return await connection.call(tool, arguments, server.timeout_s)

    def close(self) -> None:
        for running in self._running.values():
            running.close()


class _Running:
    """One server, running or not."""

    def __init__(self, server: McpServer, surroundings: Surroundings, nursery: trio.Nursery) -> None:
        self.server = server
        self._surroundings = surroundings
        self._nursery = nursery
        self._turn = trio.Lock()
        self._open: Connection | None = None
        self._starts = 0

    async def connection(self) -> Connection:
        """The one session of this run; a new one where the last one has ended. Raises ToolFailed."""
        async with self._turn:
            if self._open is None or self._open.closed.is_set():
                if self._starts >= MAX_STARTS:
                    raise ToolFailed(
                        f"the MCP server `{self.server.name}` has ended {MAX_STARTS} times in this run, and is not "
                        "started again"
                    )
                self._starts += 1
                self._open = await self._nursery.start(self._serve)
            return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.closed.set()

    async def _serve(self, *, task_status: trio.TaskStatus[Connection]) -> None:
        """One session, to its end. What goes wrong before it is open is raised as ToolFailed, later it only ends."""
        around, name = self._surroundings, self.server.name
        launch = launch_of(self.server, programs=around.programs, environ=around.environ, project=around.project)
        connection: Connection | None = None
        is_open = False
        try:
            with trio.move_on_after(START_S) as starting:
                connected = await trio.to_thread.run_sync(_import_sdk)
                async with connected(launch, around.programs) as connection:
                    await connection.initialize()
                    around.cache.save(self.server, await connection.listing())
                    starting.deadline = float("inf")
                    is_open = True
                    task_status.started(connection)
                    await connection.closed.wait()
            if not is_open:
                raise ToolFailed(f"the MCP server `{name}` was not ready within {START_S:g} s")
        except ToolFailed:
            raise
        except Exception as error:  # somebody else's code, at work for somebody else's server
            if not is_open:
                raise ToolFailed(_explained(name, connection, error)) from error


def _import_sdk() -> Callable[[Launch, Programs], AbstractAsyncContextManager[Connection]]:
    from .connection import connected

    return connected


def _explained(name: str, connection: Connection | None, error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ToolFailed):
        return error.message
    if isinstance(error, SandboxError):
        return f"the MCP server `{name}` cannot be started: {error.message}"
    if connection is None:
        return f"the MCP server `{name}` cannot be reached: {type(error).__name__}: {error}"
    return connection.explained(error)


def mentioned(servers: Iterable[McpServer], granted: Sequence[str], texts: Sequence[str]) -> list[str]:
    """The names of those that a run with these grants may use, and that one of these texts, script or JSON, names.

    The tools of a call are known before it is made, so a server that never listed them has to do so before the run. A
    name that a script puts together from parts is not found, and its call fails with a word about that.
    """
    found = []
    for server in servers:
        name = server.name
        ways = (server.grant, f"{name}{SEPARATOR}", f"'{name}'", f'"{name}"')
        if not missing_grants([server.grant], granted) and any(way in text for way in ways for text in texts):
            found.append(name)
    return found


@asynccontextmanager
async def open_servers(servers: Iterable[McpServer], surroundings: Surroundings) -> AsyncIterator[RunServers]:
    """The servers of a run, none of them started. At the end all are over, in bounded time, also when cancelled."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        running = RunServers(servers, surroundings, nursery)
        try:
            yield running
        except Exception as error:  # noqa: BLE001 - raised again below, bare: callers know errors by type
            failure = error
        finally:
            running.close()
            nursery.cancel_scope.deadline = trio.current_time() + END_S
    if failure is not None:
        raise failure
