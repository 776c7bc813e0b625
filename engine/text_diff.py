"""How two texts differ, line by line, in bounded time and a bounded number of lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from msgspec import Struct

#: Lines of a diff that are kept, and characters of each.
MOST_LINES = 60
MOST_CHARS = 200

_CONTEXT = 3
#: Lines that are compared, from the first that differs: comparing takes time that grows faster than their number.
_COMPARED = 400
_LEAD = 60  # characters before the first that differs, where a line is cut


class TextDiff(Struct, frozen=True, kw_only=True):
    """The lines of a unified diff, each with its mark (`-`, `+`, a space, `@`); `cut`: it goes on."""

    lines: tuple[str, ...]
    cut: bool = False


def text_diff(before: str, after: str) -> TextDiff:
    """What changed from `before` to `after`; no lines where they are the same."""
    old, new = before.split("\n"), after.split("\n")
    start = _alike(old, new)
    old, new = old[start:], new[start:]
    end = min(_alike(old[::-1], new[::-1]), len(old), len(new))
    old, new = old[: len(old) - end], new[: len(new) - end]
    if not old and not new:
        return TextDiff(lines=())
    lead = before.split("\n")[max(start - _CONTEXT, 0) : start]
    tail = after.split("\n")[start + len(new) :][:_CONTEXT]
    cropped = len(old) > _COMPARED or len(new) > _COMPARED
    offset = start - len(lead)
    if cropped:
        tail = []
    middle_old, middle_new = [*lead, *old[:_COMPARED], *tail], [*lead, *new[:_COMPARED], *tail]
    lines = list(_unified(middle_old, middle_new, offset))
    return TextDiff(lines=tuple(lines[:MOST_LINES]), cut=cropped or len(lines) > MOST_LINES)


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines both begin with."""
    return next(
        (at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new))
    )


def _unified(old: Sequence[str], new: Sequence[str], offset: int) -> Iterator[str]:
    for group in SequenceMatcher(None, old, new).get_grouped_opcodes(_CONTEXT):
        (_, old_from, _, new_from, _), (_, _, old_to, _, new_to) = group[0], group[-1]
        yield f"@@ -{_span(old_from, old_to, offset)} +{_span(new_from, new_to, offset)} @@"
        for kind, i1, i2, j1, j2 in group:
            if kind == "equal":
                yield from (" " + _clipped(line, 0) for line in old[i1:i2])
                continue
            removed, added = old[i1:i2], new[j1:j2]
            cuts = [_first_difference(one, other) for one, other in zip(removed, added, strict=False)]
            yield from ("-" + _clipped(line, _cut(cuts, at)) for at, line in enumerate(removed))
            yield from ("+" + _clipped(line, _cut(cuts, at)) for at, line in enumerate(added))


def _span(start: int, end: int, offset: int) -> str:
    """As diff writes it: the first line, and how many where it is not one."""
    count = end - start
    first = offset + start + (1 if count else 0)
    return str(first) if count == 1 else f"{first},{count}"


def _cut(cuts: Sequence[int], at: int) -> int:
    return cuts[at] if at < len(cuts) else 0


def _first_difference(one: str, other: str) -> int:
    """Position of the first character that differs, found by halves: lines may be long."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _clipped(line: str, difference: int) -> str:
    """The line around its first difference, in at most MOST_CHARS characters."""
    if len(line) <= MOST_CHARS:
        return line
    start = max(difference - _LEAD, 0)
    kept = line[start : start + MOST_CHARS]
    return ("…" if start else "") + kept + ("…" if start + MOST_CHARS < len(line) else "")
