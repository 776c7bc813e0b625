"""The locked worker: answers requests for one capability, whatever a stranger wrote into them.

A request is `{"op", ...}`, its reply `{"ok": value}` or `{"problem": message}`, for the author of what was asked.
`spent` says that this worker had better not be asked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .channel import Channel
from .wire import MAX_FRAME


def prepare(capability: str) -> Callable[[int], None]:
    """Import what the capability needs, now: once the lock is on there is no file to import from."""
    operations = _operations(capability)

    def serve(fd: int) -> None:
        channel = Channel(fd)
        while True:  # ends with the process, at end of file
            request = channel.receive()
            channel.send(_reply(operations[request.pop("op")], request))
            channel.flush()
            re.purge()  # what one request had compiled is not the next one's memory

    return serve


def _operations(capability: str) -> dict[str, Callable[..., Any]]:
    match capability:
        case "schema":
            from . import schemas

            return schemas.load()
        case "text":
            from . import patterns

            return patterns.load()
        case "pages":
            from . import pages

            return pages.load()
        case "metadata":
            from . import metadata

            return metadata.load()
        case "lint":
            from .lint import linter

            return linter.load()
        case _:
            raise ValueError(f"no capability {capability!r}")


def _reply(operation: Callable[..., Any], request: dict[str, Any]) -> dict[str, Any]:
    try:
        value = operation(**request)
    except ValueError as error:
        return {"problem": str(error)[:2_000]}
    except RecursionError:
        return {"problem": "it is nested too deeply, or refers to itself without an end"}
    except MemoryError:
        return {"problem": "it needs more memory than it may have", "spent": True}
    reply = {"ok": value}
    if _size(value) > MAX_FRAME // 8:  # escapes can take six bytes for one character
        return {"problem": f"its result is too large: at most about {MAX_FRAME // 8:,} characters can be passed on"}
    return reply


def _size(value: Any) -> int:
    match value:
        case str():
            return len(value) + 2
        case list() | tuple():
            return sum(map(_size, value)) + len(value) + 2
        case dict():
            return sum(_size(key) + _size(item) + 2 for key, item in value.items()) + 2
        case _:
            return 24
