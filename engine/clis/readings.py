"""Where in a program's JSON something stands: a short text of the configuration, and what it finds.

    usage.input_tokens                                  in the document; of several, in the last
    turn.completed > usage.input_tokens                 in the last event of that `type`
    item.completed(item.type=agent_message) > item.text ... of which a field has that text
    sum step_finish > part.cost                         in all events of that type
    stats.models.*.tokens.prompt                        `*` stands for each entry of an object or a list

The output is a stranger's: what is too large, too deep, no JSON or of another shape finds nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

Document: TypeAlias = "Mapping[str, object]"

#: Lines of output: a program that prints more is not read.
MAX_LINES: Final = 200_000
_MOST: Final = 1e12
_MAX_ENTRIES: Final = 1_000  # that one `*` stands for
_PATH: Final = r"(?:[\w-]+|\*)(?:\.(?:[\w-]+|\*))*"
_READING: Final = re.compile(
    rf"(?:(?P<sum>sum )?(?P<event>[\w.-]+)(?:\((?P<key>{_PATH})=(?P<value>[^()]*)\))? > )?(?P<path>{_PATH})"
)
_MAX_CHARS: Final = 300


class Reading(Struct, frozen=True, kw_only=True):
    path: tuple[str, ...]
    event: str = ""
    key: tuple[str, ...] = ()
    value: str = ""
    sums: bool = False

    def found(self, documents: Sequence[Document]) -> Iterator[object]:
        """What stands there, in the last of the documents that have it; for a sum, in all of them."""
        for document in documents if self.sums else reversed(documents):
            if self._meant(document):
                values = [value for value in _at(document, self.path) if value is not None]
                yield from values
                if values and not self.sums:
                    return

    def _meant(self, document: Document) -> bool:
        if self.event and document.get("type") != self.event:
            return False
        return not self.key or any(value == self.value for value in _at(document, self.key))


def parse_reading(text: object) -> Reading:
    """Raises ValueError."""
    match = _READING.fullmatch(text) if isinstance(text, str) and len(text) <= _MAX_CHARS else None
    if match is None:
        raise ValueError(
            f"{str(text)[:80]!r} says no place in JSON such as `usage.input_tokens`, or "
            "`turn.completed > usage.input_tokens` in the last event of a type"
        )
    return Reading(
        path=tuple(match["path"].split(".")),
        event=match["event"] or "",
        key=tuple((match["key"] or "").split(".")) if match["key"] else (),
        value=match["value"] or "",
        sums=bool(match["sum"]),
    )


def documents_of(output: bytes, *, lines: bool) -> list[Document]:
    """The JSON objects of an output, in order. What else stands there is left out."""
    if not lines:
        return _objects(_whole(output))
    if output.count(b"\n") > MAX_LINES:
        return []
    return [found for line in output.splitlines() if line.lstrip()[:1] == b"{" for found in _objects(_decoded(line))]


def text_at(documents: Sequence[Document], reading: str) -> str | None:
    """The first text there, or what is no text as JSON; None where there is nothing."""
    for value in parse_reading(reading).found(documents):
        if isinstance(value, str):
            return value
        if value is not False:
            return msgspec.json.encode(value).decode()
    return None


def number_at(documents: Sequence[Document], readings: Iterable[str]) -> float | None:
    """All numbers there together; None where there is none. What no honest program reports is no number."""
    found = [value for reading in readings for value in parse_reading(reading).found(documents) if _counts(value)]
    return sum(map(float, found)) if found else None  # type: ignore[arg-type]  # they count


def _counts(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= _MOST
    )


def _whole(output: bytes) -> object:
    """Its document, also where a program says something before it or after it."""
    found = _decoded(output.strip())
    if found is None:
        first, last = output.find(b"{"), output.rfind(b"}")
        found = _decoded(output[first : last + 1]) if 0 <= first < last else None
    return found


def _objects(value: object) -> list[Document]:
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _decoded(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _at(value: object, path: Sequence[str]) -> Iterator[object]:
    if not path:
        yield value
        return
    first, *rest = path
    if first == "*":
        entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for _, entry in zip(range(_MAX_ENTRIES), entries, strict=False):
            yield from _at(entry, rest)
    elif isinstance(value, dict) and first in value:
        yield from _at(value[first], rest)
