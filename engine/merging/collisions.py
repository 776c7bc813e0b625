"""Two steps of one run that edit the same file, although neither knew of the other: told as it happens.

Each edit is right in itself: it was made on the file as it lay. But what two agents do to the same lines without
knowing of each other is seldom what anybody meant, and it differs from run to run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..events import EditsCollided, Nearness
from ..git import LineChange
from .lines import line_changes

if TYPE_CHECKING:
    from ..journal import Journal
    from ..model import StepId
    from ..timeline.timeline import Witness

#: Of a file whose lines are compared; a larger one is one thing.
MAX_BYTES = 1024 * 1024
_MOST_LINES = 50_000
_MOST_EDITORS = 100  # of one file that are remembered, the latest ones
#: Of all contents that are remembered in a run; files beyond that are one thing each.
_KEPT_BYTES = 64 * 1024 * 1024

#: Lines `start` to `end`, from 0 and without the end; an empty one lies between two lines.
Span: TypeAlias = "tuple[int, int]"

_RANK = {Nearness.ELSEWHERE: 0, Nearness.ADJACENT: 1, Nearness.SAME: 2}


# ---------------------------------------------------------------- lines


def spans_of(changes: Sequence[LineChange]) -> list[Span]:
    """The lines that changes made, as they lie afterwards."""
    return [(change.new_start, change.new_end) for change in changes]


def shifted(spans: Sequence[Span], changes: Sequence[LineChange]) -> list[Span]:
    """Where lines are after later changes. What was changed among them belongs to them, too."""
    moved = [(_moved_start(start, changes), _moved_end(end, changes)) for start, end in spans]
    return [(start, max(start, end)) for start, end in moved]


def _moved_start(line: int, changes: Sequence[LineChange]) -> int:
    at = bisect_right(changes, line, key=lambda change: change.end)  # those that end at or before it are `:at`
    if at < len(changes) and changes[at].start < line:
        return changes[at].new_start
    return line + (changes[at - 1].new_end - changes[at - 1].end if at else 0)


def _moved_end(line: int, changes: Sequence[LineChange]) -> int:
    at = bisect_left(changes, line, key=lambda change: change.start)  # those that begin before it
    if not at:
        return line
    before = changes[at - 1]
    return before.new_end if before.end > line else line + before.new_end - before.end


def joined(spans: Sequence[Span]) -> list[Span]:
    """In order, and none touches another."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def nearness(spans: Sequence[Span], changes: Sequence[LineChange]) -> tuple[Nearness, Span]:
    """How near changes come to lines of before them; with the lines that the first of the nearest changes made.

    `spans` are in order and do not touch. Adjacent is what touches, or has one line in between.
    """
    best, place = Nearness.ELSEWHERE, (0, 0)
    for change in changes:
        near = _nearest(spans, change)
        if place == (0, 0) or _RANK[near] > _RANK[best]:
            best, place = near, (change.new_start, change.new_end)
        if best is Nearness.SAME:
            break
    return best, place


def _nearest(spans: Sequence[Span], change: LineChange) -> Nearness:
    at = bisect_right(spans, change.start, key=lambda span: span[0])
    gaps = []
    for start, end in spans[max(at - 1, 0) : at + 1]:
        if start == end == change.start == change.end:
            return Nearness.SAME
        gaps.append(max(change.start - end, start - change.end))
    gap = min(gaps, default=2)
    if gap < 0:
        return Nearness.SAME
    return Nearness.ADJACENT if gap <= 1 else Nearness.ELSEWHERE


# ---------------------------------------------------------------- who changed which


class _Touch:
    """The lines of one file that one step changed, as they lie now."""

    __slots__ = ("spans", "told", "witness")

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.spans: list[Span] = []
        self.told: dict[StepId, Nearness] = {}  # what was said of it and another step

    def is_of(self, witness: Witness) -> bool:
        """Another attempt at the same call is the same editor."""
        own = self.witness
        return own.id == witness.id or (own.number > 0 and own.number == witness.number)

    def shift(self, changes: Sequence[LineChange]) -> None:
        self.spans = joined(shifted(self.spans, changes))


class _File:
    """As long as one step alone edits it, its first and last contents are all that is known of it."""

    __slots__ = ("first", "last", "touches", "whole")

    def __init__(self, witness: Witness, before: bytes | None, after: bytes | None, *, whole: bool) -> None:
        self.first = before or b""
        self.last = after or b""
        self.touches = [_Touch(witness)]
        self.whole = whole  # its lines are not compared

    def changed(
        self, witness: Witness, before: bytes | None, after: bytes | None
    ) -> Iterator[tuple[Witness, Nearness, Span]]:
        """The steps that this one meets here, each with how near, unless that was said."""
        touch = next((each for each in self.touches if each.is_of(witness)), None)
        if touch is not None and len(self.touches) == 1:
            self.last = after or b""
            return
        changes = self._compared(before or b"", after or b"")
        past = witness.past.steps()  # what edits now is in nobody's past: nobody has its answer
        if touch is None:
            touch = _Touch(witness)
            self.touches = [*self.touches, touch][-_MOST_EDITORS:]
        for other in self.touches:
            if other is touch or other.witness.id in past:
                continue
            near, place = (Nearness.ELSEWHERE, (0, 0)) if self.whole else nearness(other.spans, changes)
            if other.witness.id not in touch.told or _RANK[near] > _RANK[touch.told[other.witness.id]]:
                touch.told[other.witness.id] = other.told[witness.id] = near
                yield other.witness, near, place
        for each in self.touches:
            each.shift(changes)
        touch.spans = joined([*touch.spans, *spans_of(changes)])

    def _compared(self, before: bytes, after: bytes) -> Sequence[LineChange]:
        """The changes of an edit, with all lines that are known up to what it found."""
        self.whole = self.whole or not (_has_lines(before) and _has_lines(after))
        if self.whole:
            self.first = self.last = b""
            return ()
        if len(self.touches) == 1:
            self.touches[0].spans = spans_of(line_changes(self.first, self.last))
            self.first = b""
        if before != self.last:  # edited by somebody else meanwhile
            meanwhile = line_changes(self.last, before)
            for each in self.touches:
                each.shift(meanwhile)
        self.last = after
        return line_changes(before, after)


def _has_lines(data: bytes) -> bool:
    return len(data) <= MAX_BYTES and b"\0" not in data and data.count(b"\n") <= _MOST_LINES


class Collisions:
    """Of one run. Costs nothing for a file that one step edits, but for remembering what it did."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._files: dict[str, _File] = {}
        self._kept = 0

    def changed(self, witness: Witness, path: str, before: bytes | None, after: bytes | None) -> None:
        """A step has changed a file of the project. Tells of the other steps that it meets there.

        A pair of steps is told once of a file, and again only if they come nearer to each other.
        """
        file = self._files.get(path)
        if file is None:
            size = len(before or b"") + len(after or b"")
            whole = not (_has_lines(before or b"") and _has_lines(after or b"")) or self._kept + size > _KEPT_BYTES
            self._kept += 0 if whole else size
            self._files[path] = _File(witness, *((None, None) if whole else (before, after)), whole=whole)
            return
        for other, near, (start, end) in file.changed(witness, before, after):
            self._journal.events(
                EditsCollided(
                    at=self._journal.now(),
                    number=witness.number,
                    step=witness.id,
                    other_number=other.number,
                    other_step=other.id,
                    path=path,
                    where=near,
                    lines=(start + 1, max(end, start + 1)) if near is not Nearness.ELSEWHERE else (0, 0),
                )
            )
