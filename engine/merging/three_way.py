"""Three-way merges of files: what the project has now, and what an agent made of an earlier state of it.

The rule is that of `git merge-file`: changes of the two sides that neither overlap nor touch go together, and so do
changes that are the same. Git says which lines each side changed; the texts are put together here, so that no marker
has to be told from contents that look like one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO

import trio
from msgspec import Struct

from ..errors import ToolFailed
from ..git import MAX_TEXT_BYTES, Differ, LineChange, TooMuch
from .conflicts import Conflicted, ConflictHunk, conflict

__all__ = ["ConflictHunk", "Conflicted", "Merged", "Trio", "merged"]

_WITHIN_S = 60.0  # for all files of one merge
_MOST_LINES = 2_000_000  # of a text: each is an object in memory


class Trio(Struct, frozen=True, kw_only=True):
    """One file. None: there is none."""

    path: str
    base: bytes | None  # where both sides come from
    ours: bytes | None  # the project as it lies
    theirs: bytes | None  # what the agent made


class Merged(Struct, frozen=True, kw_only=True):
    files: Mapping[str, bytes | None]  # those that could be merged, with what they are to be
    conflicts: tuple[Conflicted, ...] = ()  # the others

    def require_clean(self) -> Mapping[str, bytes | None]:
        """All files. Raises Conflict where a single one could not be merged."""
        if self.conflicts:
            raise conflict(self.conflicts)
        return self.files


async def merged(differ: Differ, files: Sequence[Trio], *, within_s: float = _WITHIN_S) -> Merged:
    """Merge each file on its own. Nothing is written anywhere; what cannot be merged is a conflict, whatever the cause.

    Takes about `within_s` at most. Where all files are trivial, no git is started.
    """
    done: dict[str, bytes | None] = {}
    conflicts: dict[str, Conflicted] = {}
    texts: list[_Text] = []
    for file in files:
        if file.ours == file.base or file.ours == file.theirs:
            done[file.path] = file.theirs
        elif file.theirs == file.base:
            done[file.path] = file.ours
        elif isinstance(found := _examined(file), Conflicted):
            conflicts[file.path] = found
        else:
            texts.append(found)
    if texts:
        for path, result in await _merged_texts(differ, texts, within_s):
            if isinstance(result, Conflicted):
                conflicts[path] = result
            else:
                done[path] = result
    named = dict.fromkeys(file.path for file in files)
    return Merged(
        files={path: done[path] for path in named if path in done},
        conflicts=tuple(conflicts[path] for path in named if path in conflicts),
    )


class _Text(Struct, frozen=True, kw_only=True):
    """A file that all three have, and that is text in all of them."""

    path: str
    base: bytes
    ours: bytes
    theirs: bytes


def _examined(file: Trio) -> _Text | Conflicted:
    """A file that both sides changed, and otherwise."""
    base, ours, theirs = file.base, file.ours, file.theirs
    if ours is None:
        return _whole(file, "the project has removed it, and the agent changed it")
    if theirs is None:
        return _whole(file, "the agent removed it, and the project has changed it")
    if base is None:
        return _whole(file, "both created it, with different contents")
    sides = (base, ours, theirs)
    if any(b"\0" in side for side in sides):
        return Conflicted(path=file.path, why="a binary file that both changed")
    if any(len(side) > MAX_TEXT_BYTES or side.count(b"\n") > _MOST_LINES for side in sides):
        return Conflicted(path=file.path, why="both changed it, and it is too large to be merged")
    return _Text(path=file.path, base=base, ours=ours, theirs=theirs)


def _whole(file: Trio, why: str) -> Conflicted:
    sides = [side or b"" for side in (file.base, file.ours, file.theirs)]
    if any(b"\0" in side for side in sides):
        return Conflicted(path=file.path, why=why)
    base, ours, theirs = sides
    return Conflicted(path=file.path, why=why, hunks=(ConflictHunk(line=1, base=base, ours=ours, theirs=theirs),))


async def _merged_texts(
    differ: Differ, texts: Sequence[_Text], within_s: float
) -> list[tuple[str, bytes | Conflicted]]:
    pairs = [pair for text in texts for pair in ((text.base, text.ours), (text.base, text.theirs))]
    try:
        changes = await differ.changes(pairs, within_s=within_s)
    except ToolFailed as error:
        why = f"both changed it, and {error.message}"
        return [(text.path, Conflicted(path=text.path, why=why)) for text in texts]
    each = list(zip(texts, changes[::2], changes[1::2], strict=True))
    return await trio.to_thread.run_sync(lambda: [(text.path, _merged(text, *sides)) for text, *sides in each])


def _merged(
    text: _Text, ours: tuple[LineChange, ...] | TooMuch, theirs: tuple[LineChange, ...] | TooMuch
) -> bytes | Conflicted:
    for side in (ours, theirs):
        if isinstance(side, TooMuch):
            return Conflicted(path=text.path, why=f"both changed it, and it could not be merged: {side.message}")
    assert isinstance(ours, tuple)
    assert isinstance(theirs, tuple)
    base = BytesIO(text.base).readlines()
    lines = (BytesIO(text.ours).readlines(), BytesIO(text.theirs).readlines())
    result: list[bytes] = []
    hunks: list[ConflictHunk] = []
    at = 0
    for region in regions(ours, theirs):
        result += base[at : region.start]
        at = region.end
        mine, other = (b"".join(side[slice(*span)]) for side, span in zip(lines, region.spans, strict=True))
        if region.changed == (True, True) and mine != other:
            was = b"".join(base[region.start : region.end])
            hunks.append(ConflictHunk(line=region.spans[0][0] + 1, base=was, ours=mine, theirs=other))
        else:
            result.append(mine if region.changed[0] else other)
    if hunks:
        return Conflicted(path=text.path, why="both changed the same lines, or lines side by side", hunks=tuple(hunks))
    return b"".join([*result, *base[at:]])


class Region(Struct, frozen=True):
    """Lines of the base that belong together, since changes of them overlap or touch; and where each side has them."""

    start: int
    end: int
    spans: tuple[tuple[int, int], tuple[int, int]]
    changed: tuple[bool, bool]


def regions(ours: Sequence[LineChange], theirs: Sequence[LineChange]) -> Iterator[Region]:
    """In order. `ours` and `theirs` are the changes that each made of the same text."""
    sides = (ours, theirs)
    at, shift = [0, 0], [0, 0]  # next change of each side, and how far its lines lie behind those of the base
    while any(at[side] < len(sides[side]) for side in (0, 1)):
        start = end = min(sides[side][at[side]].start for side in (0, 1) if at[side] < len(sides[side]))
        begun = tuple(shift)
        changed = [False, False]
        side = 0
        idle = 0
        while idle < 2:
            while at[side] < len(sides[side]) and sides[side][at[side]].start <= end:
                change = sides[side][at[side]]
                end = max(end, change.end)
                shift[side] = change.new_end - change.end
                changed[side] = True
                at[side] += 1
                idle = 0
            idle += 1
            side = 1 - side
        spans = [(start + begun[each], end + shift[each]) for each in (0, 1)]
        yield Region(start, end, (spans[0], spans[1]), (changed[0], changed[1]))
