"""One tool of an MCP server, as the engine sees tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from ..agents.tools.arguments import BadArguments
from ..keys import canonical_json
from ..model import JSON, ToolSpec
from ..ports import Footprint, ToolResult
from .listing import OfferedTool
from .replies import Reply, result_of
from .server import McpServer

MAX_ARGUMENT_BYTES: Final = 1 << 20

#: Calls a tool by the server's own name for it. Raises ToolFailed.
Call = Callable[[McpServer, str, Mapping[str, JSON]], Awaitable[Reply]]


class McpTool:
    """Not a function of the project: it observes nothing, and what rests on it expires. The server checks arguments."""

    observes = False

    def __init__(self, server: McpServer, offered: OfferedTool, call: Call) -> None:
        self.spec = ToolSpec(
            name=offered.name,
            description=offered.listed.description,
            parameters=offered.listed.parameters,
            version=offered.version,
        )
        self.group = server.grant
        self.ttl_s = server.ttl_s
        self._server = server
        self._name = offered.listed.name
        self._call = call

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return None

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        size = len(canonical_json(arguments))
        if size > MAX_ARGUMENT_BYTES:
            raise BadArguments(
                f"{self.spec.name}: the arguments have {size:,} bytes, and {MAX_ARGUMENT_BYTES:,} are sent; send less"
            )
        return result_of(self.spec.name, await self._call(self._server, self._name, arguments))
