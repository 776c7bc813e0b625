"""Values of the configuration for a person's eyes, and for JSON: without keys, tokens and passwords.

What may hold one is left out by what it is, not by how it looks: of a command the program alone is shown, of a header
the variables in it, of an address nothing before the `@` and nothing after the `?`. Values of the environment's own
secrets are taken out wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from .clis.description import AgentCli
from .masking import masked
from .mcp.server import VARIABLE, McpServer

Plain: TypeAlias = "None | bool | int | float | str | list[Plain] | dict[str, Plain]"

_MASK = "***"
_LOGIN = re.compile(r"(?<=://)[^\s/@`]*@")
_QUERY = re.compile(r"(://[^\s?`]*\?)[^\s`]+")


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """A text, or a message that quotes one, without logins and queries of addresses, and without `secrets`."""
    return masked(_QUERY.sub(rf"\1{_MASK}", _LOGIN.sub(f"{_MASK}@", text)), secrets)


def plain_value(name: str, value: Any, secrets: Sequence[str] = ()) -> Plain:
    """The value of the key `name`, in the form in which a file would say it."""
    if name == "worktree.setup":
        value = [_command(argv) for argv in value]
    return _plain(value, lambda text: without_secrets(text, secrets))


def value_text(value: Plain) -> str:
    """As a file says it on one line; `none` for what is empty."""
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {value_text(held)}' for name, held in value.items())}}}"
    return str(value)


def _plain(value: Any, clean: Callable[[str], str]) -> Plain:
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, McpServer):
        return _plain(_server(value), clean)
    if isinstance(value, AgentCli):
        return {"enabled": value.enabled, "program": clean(value.program)}
    if hasattr(value, "_asdict"):  # a rule, a price, a provider of searches
        value = {name: held for name, held in value._asdict().items() if held not in (None, "")}
    if isinstance(value, Mapping):
        if value and all(held is None for held in value.values()):
            return [clean(str(name)) for name in value]  # a set that keeps its order
        return {clean(str(name)): _plain(held, clean) for name, held in value.items()}
    return [_plain(held, clean) for held in (sorted(value) if isinstance(value, frozenset) else value)]


def _server(server: McpServer) -> dict[str, Any]:
    shown: dict[str, Any] = {"command": _command(server.command)} if server.command else {"url": server.url}
    if server.env:
        shown["env"] = list(server.env)
    if server.headers:
        shown["headers"] = {name: _header(text) for name, text in server.headers.items()}
    if server.cwd:
        shown["cwd"] = server.cwd
    if server.tools is not None:
        shown["tools"] = list(server.tools)
    return shown


def _header(text: str) -> str:
    """The variables that a header takes its value from."""
    return " ".join(found[0] for found in VARIABLE.finditer(text)) or _MASK


def _command(argv: Sequence[str]) -> str:
    """A token may stand among the arguments."""
    return argv[0] if len(argv) == 1 else f"{argv[0]} …"
