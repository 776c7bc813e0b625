"""From the configuration of a server to what is started or connected to, with the values of the variables it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from ..errors import ToolFailed
from ..ports import Programs
from .server import VARIABLE, McpServer

#: What every program gets of our environment: no key, and nothing that makes a program load something else.
PLAIN_VARIABLES: Final = (
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
)  # fmt: skip


class Launch(Struct, frozen=True, kw_only=True):
    """Holds secrets: it is never stored, shown or logged."""

    name: str
    argv: tuple[str, ...] = ()
    cwd: str = ""
    environ: Mapping[str, str] = {}
    url: str = ""
    headers: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Launch({self.name!r})"


def launch_of(server: McpServer, *, programs: Programs, environ: Mapping[str, str], project: Path) -> Launch:
    """Raises ToolFailed where something that it names is not there."""
    if server.url:
        headers = {header: _header(server, environ, header, text) for header, text in server.headers.items()}
        return Launch(name=server.name, url=server.url, headers=headers)
    program = programs.find(server.command[0])
    if program is None:
        raise ToolFailed(
            f"the MCP server `{server.name}` cannot be started: there is no program {server.command[0]!r} here (a bare "
            "name is looked up in PATH, without folders of the project)"
        )
    given = {name: environ[name] for name in PLAIN_VARIABLES if name in environ}
    given.update((name, _value(server, environ, name)) for name in server.env)
    return Launch(
        name=server.name,
        argv=(program, *server.command[1:]),
        cwd=_folder(server, environ, project),
        environ=given,
    )


def _header(server: McpServer, environ: Mapping[str, str], header: str, text: str) -> str:
    sent = VARIABLE.sub(lambda found: _value(server, environ, found[1]), text)
    if not sent.isascii() or not sent.isprintable() or sent != sent.strip():  # who sends it would quote it in an error
        raise ToolFailed(
            f"the MCP server `{server.name}` cannot be used: the value of the header {header} is no plain text; look "
            "at the variables that it names, whose values may have a space or a line end too many"
        )
    return sent


def _value(server: McpServer, environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if value is None:
        raise ToolFailed(
            f"the MCP server `{server.name}` cannot be used: the variable {name}, which your configuration names for "
            "it, is not set"
        )
    if "\n" in value or "\r" in value or "\0" in value:
        raise ToolFailed(f"the MCP server `{server.name}` cannot be used: the value of {name} has more than one line")
    return value


def _folder(server: McpServer, environ: Mapping[str, str], project: Path) -> str:
    """Not the project unless the person says so: many programs load code from where they stand."""
    home = environ.get("HOME") or "/"
    if not server.cwd:
        folder = home
    elif server.cwd == "~" or server.cwd.startswith("~/"):
        folder = home + server.cwd[1:]
    else:
        folder = os.path.join(project, server.cwd)
    if not os.path.isdir(folder):
        raise ToolFailed(f"the MCP server `{server.name}` cannot be started: {folder} is no folder")
    return folder
