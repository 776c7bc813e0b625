"""What of an answer is text: its type and the encoding that its header names."""

from __future__ import annotations

import re

from ..errors import ToolFailed
from .exchange import Head
from .urls import Target

#: Types beside `text/...` that are text, and those that end so (`application/geo+json`).
_TEXTS = frozenset(
    f"application/{name}"
    for name in (
        *("json", "ld+json", "xml", "rss+xml", "atom+xml", "javascript", "ecmascript", "yaml", "x-yaml", "toml"),
        *("x-ndjson", "ndjson", "jsonl", "x-sh", "graphql", "sql", "x-javascript", "rtf"),
    )
) | {"image/svg+xml"}
_TEXT_ENDS = ("+json", "+xml", "+yaml")
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([a-z0-9_.:+-]{1,40})""")


def content_type(target: Target, head: Head) -> tuple[str, str]:
    """The type, and the encoding as its header names it ("" where it does not). Raises ToolFailed for what is no text.

    A page without a type counts as plain text.
    """
    said = head.headers.get("content-type", b"")[:1_000].decode("latin-1").lower()
    kind = said.partition(";")[0].strip() or "text/plain"
    charset = _CHARSET.search(said)
    if not _TYPE.fullmatch(kind):
        raise ToolFailed(f"{target.url}: the server says no type of the page that makes sense")
    if not (kind.startswith("text/") or kind in _TEXTS or kind in _HTML or kind.endswith(_TEXT_ENDS)):
        raise ToolFailed(f"{target.url}: it is {kind}; only text, HTML and JSON can be read")
    return kind, charset[1] if charset else ""


def is_html(kind: str) -> bool:
    return kind in _HTML
