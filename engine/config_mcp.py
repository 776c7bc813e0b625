"""Parses the config key `mcp`: servers by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from .config_values import mapping, names, number, seconds, shown
from .mcp.server import MAX_SERVER_NAME, SERVER_NAME, VARIABLE, McpServer
from .nearest import did_you_mean

_SAMPLE: Final = {"github": {"command": ["github-mcp-server", "stdio"], "env": ["GITHUB_TOKEN"]}}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
#: What the protocol itself says in each request.
_OWN_HEADERS: Final = ("host", "content-", "transfer-", "mcp-", "accept", "last-event-id", "connection")
_MAX_HEADER: Final = 8_192
_MAX_SERVERS: Final = 50


def mcp(value: object, text: bool) -> dict[str, McpServer]:
    found: dict[str, McpServer] = {}
    for name, entry in mapping(value, text, _SAMPLE).items():
        if not isinstance(name, str) or len(name) > MAX_SERVER_NAME or not SERVER_NAME.fullmatch(name):
            raise ValueError(
                f"{shown(name)} is no name of a server: letters, digits and single `-` or `_` between them, a letter "
                f"first, at most {MAX_SERVER_NAME}"
            )
        try:
            found[name] = _server(name, entry)
        except ValueError as error:
            raise ValueError(f"server `{name}`: {error}") from error
    if len(found) > _MAX_SERVERS:
        raise ValueError(f"{len(found)} servers are too many; name {_MAX_SERVERS} at most")
    return found


def _server(name: str, value: object) -> McpServer:
    if not isinstance(value, Mapping):
        raise ValueError(f"`command:` or `url:` is needed, not {shown(value)}")
    given: dict[str, object] = {}
    for key, held in value.items():
        if key not in _FIELDS:
            raise ValueError(f"unknown key `{key}`; {did_you_mean(str(key), _FIELDS)}")
        if held is not None:
            field, parse = _FIELDS[key]
            try:
                given[field] = parse(held)
            except ValueError as error:
                raise ValueError(f"`{key}`: {error}") from error
    if ("command" in given) == ("url" in given):
        raise ValueError("either `command:` (a program) or `url:` (a service) is needed, and not both")
    for key, needed in (("env", "command"), ("cwd", "command"), ("headers", "url")):
        if key in given and needed not in given:
            raise ValueError(f"`{key}` goes with `{needed}:` only")
    return McpServer(name=name, **given)  # type: ignore[arg-type]  # each field by its own parser


def _command(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(part, str) and part for part in value):
        raise ValueError(
            f"a list of program and arguments is needed, such as `[uvx, mcp-server-time]`, not {shown(value)}"
        )
    if any("\0" in part for part in value):
        raise ValueError("a null character is in it")
    program = value[0]
    if "/" in program and not program.startswith(("/", "~/")):
        raise ValueError(
            f"{shown(program)} is relative, so that it would be another program in each project; name it by an "
            "absolute path, or one that is found in PATH by its name alone"
        )
    return tuple(value)


def _env(value: object) -> tuple[str, ...]:
    for name in names(value, False):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(
                f"{shown(name)} is no name of a variable; its value is taken from vibe's own environment, and does not "
                "stand here"
            )
    return tuple(names(value, False))


def _cwd(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"a folder is needed, not {shown(value)}")
    return value


def _url(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s#]*)?", value):
        raise ValueError(
            f"an address such as `https://example.com/mcp` is needed, without user or password, not {shown(value)}"
        )
    from urllib.parse import urlsplit  # only where there is such a server

    parts = urlsplit(value)
    _ = parts.port  # raises ValueError for what is no port
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError(
            f"{shown(value)} would be sent in the clear; http is for this machine only, elsewhere use https"
        )
    return value


def _headers(value: object) -> dict[str, str]:
    held = mapping(value, False, {"Authorization": "Bearer ${GITHUB_TOKEN}"})
    for name, text in held.items():
        if not isinstance(name, str) or not _HEADER.fullmatch(name):
            raise ValueError(f"{shown(name)} is no name of a header")
        if name.lower().startswith(_OWN_HEADERS):
            raise ValueError(f"`{name}` is set by the protocol itself")
        if not isinstance(text, str) or len(text) > _MAX_HEADER or not text.isascii() or not text.isprintable():
            raise ValueError(f"the value of `{name}` is no printable ASCII text of at most {_MAX_HEADER:,} characters")
        if "${" in VARIABLE.sub("", text):
            raise ValueError(
                f"the value of `{name}` has `${{` without the name of a variable, such as `${{GITHUB_TOKEN}}`"
            )
    return {str(name): str(text) for name, text in held.items()}


def _tools(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names(value, False)))


def _timeout(value: object) -> float:
    limit = seconds(value, False)
    if limit > 600:
        raise ValueError(f"at most 600 seconds for one call, not {limit:g}")
    return limit


def _ttl(value: object) -> float:
    found = None if isinstance(value, str) else number(value)
    if found is None or not 0 <= found <= 366 * 86_400:
        raise ValueError(f"seconds from 0 to a year are needed, not {shown(value)}")
    return found


_FIELDS: Final[Mapping[str, tuple[str, Callable[[object], object]]]] = {
    "command": ("command", _command),
    "env": ("env", _env),
    "cwd": ("cwd", _cwd),
    "url": ("url", _url),
    "headers": ("headers", _headers),
    "timeout_s": ("timeout_s", _timeout),
    "ttl": ("ttl_s", _ttl),
    "tools": ("tools", _tools),
}
