"""Which lines a change of one file concerns, without git: quick enough to be asked while nobody else may edit.

Lines that occur once on both sides hold the texts together; what lies between two of them is narrowed from both ends,
and is changed as a whole. So it takes time that hardly grows faster than the number of lines, whatever they hold. The
answer is right, if not always the smallest.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO

from ..git import LineChange

_DEPTH = 4  # of narrowing: lines that are alike only in a part of the text are found within it


def lines_of(data: bytes) -> list[bytes]:
    """Each with its newline; the last one may have none."""
    return BytesIO(data).readlines()


def line_changes(before: bytes, after: bytes) -> tuple[LineChange, ...]:
    """In order; none of them touches another."""
    old, new = lines_of(before), lines_of(after)
    return tuple(_changes(old, new, LineChange(0, len(old), 0, len(new)), _DEPTH))


def _changes(old: Sequence[bytes], new: Sequence[bytes], within: LineChange, depth: int) -> Iterator[LineChange]:
    start, end, new_start, new_end = within.start, within.end, within.new_start, within.new_end
    while start < end and new_start < new_end and old[start] == new[new_start]:
        start, new_start = start + 1, new_start + 1
    while start < end and new_start < new_end and old[end - 1] == new[new_end - 1]:
        end, new_end = end - 1, new_end - 1
    if start == end and new_start == new_end:
        return
    anchors = []
    if depth and start < end and new_start < new_end:
        anchors = _anchors(old[start:end], new[new_start:new_end])
    if not anchors:
        yield LineChange(start, end, new_start, new_end)
        return
    begun, new_begun = start, new_start
    for at, new_at in [(start + one, new_start + other) for one, other in anchors]:
        yield from _changes(old, new, LineChange(begun, at, new_begun, new_at), depth - 1)
        begun, new_begun = at + 1, new_at + 1
    yield from _changes(old, new, LineChange(begun, end, new_begun, new_end), depth - 1)


def _anchors(old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[int, int]]:
    """The longest sequence of lines in the same order that both have exactly once (patience)."""
    counts, new_counts = Counter(old), Counter(new)
    places = {line: at for at, line in enumerate(new) if new_counts[line] == 1}
    pairs = [(at, places[line]) for at, line in enumerate(old) if counts[line] == 1 and line in places]
    ends: list[int] = []  # the lowest end of a rising sequence of each length ...
    last: list[int] = []  # ... whose number in `pairs` this is
    previous: list[int] = []
    for number, (_, new_at) in enumerate(pairs):
        length = bisect_left(ends, new_at)
        ends[length : length + 1] = [new_at]
        last[length : length + 1] = [number]
        previous.append(last[length - 1] if length else -1)
    found: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        found.append(pairs[number])
        number = previous[number]
    return found[::-1]
