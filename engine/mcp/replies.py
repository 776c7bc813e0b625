"""From what an MCP server answered to a tool's result. A text of its is material for a model, whatever it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ..agents.tools.render import MAX_TEXT_BYTES, text_bytes
from ..errors import ToolFailed
from ..keys import canonical_json
from ..model import JSON
from ..ports import ToolResult

#: What a script gets, and what is stored of a `tool(...)` step.
MAX_DATA_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64


class Reply(Struct, frozen=True, kw_only=True):
    """An answer to a call. `texts` are its parts in order; of what is no text, a note stands there."""

    texts: Sequence[str]
    structured: JSON = None
    failed: bool = False


def result_of(tool: str, reply: Reply) -> ToolResult:
    """Data: what the server gives as structured content, else `{text}`. Raises ToolFailed."""
    text = "\n".join(reply.texts)
    if reply.failed:
        raise ToolFailed(f"{tool}: {text.strip() or 'the server says that it failed, and not why'}"[:MAX_DATA_BYTES])
    data: JSON = {"text": text} if reply.structured is None else reply.structured
    if _deeper(data, MAX_DEPTH):
        raise ToolFailed(f"{tool}: the answer is nested more than {MAX_DEPTH} levels deep")
    try:
        encoded = canonical_json(data)
    except (msgspec.EncodeError, OverflowError, TypeError, UnicodeEncodeError, ValueError) as error:
        raise ToolFailed(f"{tool}: the answer holds what JSON cannot: {error}") from error
    if len(encoded) > MAX_DATA_BYTES:
        raise ToolFailed(
            f"{tool}: the answer has {len(encoded):,} bytes, and {MAX_DATA_BYTES:,} are taken; ask for less of it"
        )
    text = text or encoded.decode()
    fitted = _fitted(text)
    return ToolResult(text=fitted, data=data, whole="" if fitted == text else text)


def _fitted(text: str) -> str:
    if text_bytes(text) <= MAX_TEXT_BYTES:
        return text
    head = text.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    return f"{head}\n[cut here: {len(head):,} of {len(text):,} characters are shown; ask for less of it]"


def _deeper(value: JSON, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            below
            for each in level
            for below in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
        if not level:
            return False
    return True
