"""What a person's configuration says of one MCP server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

#: A letter first, as one provider wants it of a tool's name. No two underscores in a row: they end a server's name.
SERVER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[_-][A-Za-z0-9]+)*")
MAX_SERVER_NAME: Final = 30

DEFAULT_TIMEOUT_S: Final = 60.0
DEFAULT_TTL_S: Final = 86_400.0

#: A variable's value in a header: `Bearer ${GITHUB_TOKEN}`.
VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class McpServer(NamedTuple):
    """A program (`command`) or a service (`url`). Secrets are named here, and read when it is used."""

    name: str
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()  # variables that the program gets beside the few that every program gets
    cwd: str = ""  # relative to the project; the person's home where it is empty
    url: str = ""
    headers: Mapping[str, str] = {}  # with `${NAME}` for the values of variables
    timeout_s: float = DEFAULT_TIMEOUT_S  # of one call
    ttl_s: float = DEFAULT_TTL_S  # how long an answer that rests on its tools counts
    tools: tuple[str, ...] | None = None  # only these; None: all

    @property
    def grant(self) -> str:
        return f"mcp:{self.name}"

    @property
    def identity(self) -> dict[str, object]:
        """What decides who answers: an answer of another program is not an answer of this one."""
        return {"command": list(self.command), "cwd": self.cwd, "url": self.url}
