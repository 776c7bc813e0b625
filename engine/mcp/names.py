"""What a tool of a server is called here: `SERVER__TOOL`, in the letters that every provider takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ..keys import text_digest

#: Providers take letters, digits, `_` and `-`; the strictest of them, 63.
MAX_NAME: Final = 63
SEPARATOR: Final = "__"
_DIGEST: Final = 8


def qualified_names(server: str, tools: Sequence[str]) -> dict[str, str]:
    """By the server's own name of a tool, the name here: each another one, whatever the order.

    A name that cannot be kept as it is gets a digest of itself where it would be taken for another one. One for which
    even so no name is left is not in the result. No tool of Vibe has two underscores in its name.
    """
    plain = {tool: f"{server}{SEPARATOR}{re.sub(r'[^A-Za-z0-9_-]', '_', tool)}" for tool in dict.fromkeys(tools)}
    wanted = Counter(plain.values())
    found: dict[str, str] = {}
    for tool in sorted(plain, key=lambda each: (plain[each] != f"{server}{SEPARATOR}{each}", each)):
        kept = plain[tool] == f"{server}{SEPARATOR}{tool}"
        name = plain[tool]
        if len(name) > MAX_NAME or (wanted[name] > 1 and not kept):
            name = f"{name[: MAX_NAME - _DIGEST - 1]}_{text_digest(tool)[:_DIGEST]}"
        if name not in found.values():
            found[tool] = name
    return found


def server_of(name: str) -> str:
    """The server that a qualified name begins with; empty where it is none."""
    server, separator, _ = name.partition(SEPARATOR)
    return server if separator else ""
