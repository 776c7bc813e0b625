"""A real MCP server over stdio, on the server side of the SDK. `LOG` names a file that each start and call adds to."""

from __future__ import annotations

import os
import sys
from typing import Any

import anyio
from mcp.server.mcpserver import MCPServer

server = MCPServer("shelf")


def _log(line: str) -> None:
    if path := os.environ.get("SHELF_LOG"):
        with open(path, "a") as file:
            file.write(f"{line}\n")


@server.tool()
def search(query: str, limit: int = 3) -> list[str]:
    """Titles on the shelf that hold a word."""
    _log(f"search {query}")
    return [f"{query} {number}" for number in range(1, limit + 1)]


@server.tool()
def whoami() -> dict[str, Any]:
    """What this process sees of its surroundings."""
    return {"cwd": os.getcwd(), "environ": dict(os.environ), "argv": sys.argv, "pid": os.getpid()}


@server.tool()
def fail(why: str) -> str:
    """Fails."""
    raise ValueError(why)


@server.tool()
async def hang() -> str:
    """Never answers."""
    await anyio.sleep_forever()
    return ""


@server.tool(structured_output=False)
def note(text: str) -> str:
    """Says it again."""
    _log(f"note {text}")
    return f"noted: {text}"


@server.tool()
def quit_now() -> str:
    """Ends the server."""
    print("going, going", file=sys.stderr, flush=True)
    os._exit(3)


if __name__ == "__main__":
    _log("started")
    server.run(transport="stdio")
