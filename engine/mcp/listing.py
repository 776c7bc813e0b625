"""The tools that a server said it has: read with suspicion, and remembered, so that a rerun need not start it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from ..keys import canonical_json, content_digest
from .names import qualified_names
from .schemas import schema_problem
from .server import McpServer

MAX_TOOLS: Final = 200
MAX_DESCRIPTION: Final = 8_000
MAX_TOOL_NAME: Final = 200
_FORMAT: Final = 1
_MAX_FILE: Final = 32 << 20
#: Hex digits of the digest that is a tool's version: 52 bits, which every reader of JSON holds exactly.
_VERSION_DIGITS: Final = 13


class ListedTool(Struct, frozen=True, kw_only=True):
    name: str  # the server's own
    description: str
    parameters: dict[str, Any]  # JSON, which msgspec cannot be told of


class Listing(Struct, frozen=True, kw_only=True):
    """`left_out` says, a sentence each, what of it is not offered, and why."""

    tools: tuple[ListedTool, ...]
    left_out: tuple[str, ...] = ()
    format: int = _FORMAT


def sifted(tools: Sequence[ListedTool]) -> Listing:
    """What of a server's list can be handed on to models."""
    kept: dict[str, ListedTool] = {}
    left_out: list[str] = []
    for tool in tools:
        if len(kept) == MAX_TOOLS:
            left_out.append(f"it has more than {MAX_TOOLS} tools; the others are left out")
            break
        if problem := _problem(tool, kept):
            left_out.append(f"its tool {tool.name[:80]!r} is left out: {problem}")
        elif len(tool.description) > MAX_DESCRIPTION:
            kept[tool.name] = msgspec.structs.replace(tool, description=f"{tool.description[:MAX_DESCRIPTION]} [...]")
        else:
            kept[tool.name] = tool
    return Listing(tools=tuple(kept.values()), left_out=tuple(left_out[:20]))


def _problem(tool: ListedTool, kept: dict[str, ListedTool]) -> str:
    if not tool.name or len(tool.name) > MAX_TOOL_NAME:
        return f"its name has {len(tool.name):,} characters"
    if tool.name in kept:
        return "another one has that name"
    return schema_problem(tool.parameters)


class OfferedTool(Struct, frozen=True, kw_only=True):
    """A tool under its name here, and the version that stands for all that a model is told of it."""

    name: str
    version: int
    listed: ListedTool


def offered(server: McpServer, listing: Listing) -> list[OfferedTool]:
    """By name. Those that the configuration leaves out are not."""
    wanted = [tool for tool in listing.tools if server.tools is None or tool.name in server.tools]
    names = qualified_names(server.name, [tool.name for tool in wanted])
    found = [
        OfferedTool(name=names[tool.name], version=_version(server, tool), listed=tool)
        for tool in wanted
        if tool.name in names
    ]
    return sorted(found, key=lambda tool: tool.name)


def _version(server: McpServer, tool: ListedTool) -> int:
    held = {"server": server.identity, "name": tool.name, "about": tool.description, "schema": tool.parameters}
    return int(content_digest(canonical_json(held))[:_VERSION_DIGITS], 16)


class ListingCache:
    """Lists on the disk of this user, by what the configuration says of a server. What cannot be read is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "mcp"

    def load(self, server: McpServer) -> Listing | None:
        try:
            with self._file(server).open("rb") as file:
                found = msgspec.json.decode(file.read(_MAX_FILE), type=Listing)
        except (OSError, msgspec.DecodeError, RecursionError):
            return None
        if found.format != _FORMAT:
            return None
        again = sifted(found.tools)  # this version may hand on less than the one that wrote it
        return Listing(tools=again.tools, left_out=(*found.left_out, *again.left_out))

    def save(self, server: McpServer, listing: Listing) -> None:
        """A list that cannot be kept is asked for again."""
        import tempfile  # it takes its milliseconds, and only a run that asks a server writes

        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=self._folder, prefix=".list-")  # mode 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(listing))
                os.replace(draft, self._file(server))
            except BaseException:
                with suppress(OSError):
                    os.unlink(draft)
                raise

    def _file(self, server: McpServer) -> Path:
        said: dict[str, Any] = {
            **server.identity,
            "env": list(server.env),
            "headers": dict(server.headers),
            "name": server.name,
        }
        return self._folder / f"{content_digest(canonical_json(said))[:32]}.json"
