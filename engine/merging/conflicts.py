"""Files that could not be merged, in words and as data: both sides of each place, bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from ..errors import Conflict
from ..model import JSON

#: What a message shows: files, places of all of them together, lines of a side, characters of a line.
_FILES = 5
_HUNKS = 3
_LINES = 20
_CHARS = 200
#: What the error holds of the sides of all places together, in characters.
_FIELD_CHARS = 64 * 1024
_HUNK_CHARS = 50  # for the names around them


class ConflictHunk(Struct, frozen=True, kw_only=True):
    """One place that both sides changed, otherwise. `line` is the first one of it in the project's file, from 1."""

    line: int
    base: bytes
    ours: bytes
    theirs: bytes


class Conflicted(Struct, frozen=True, kw_only=True):
    path: str
    why: str
    hunks: tuple[ConflictHunk, ...] = ()  # none where it has no lines, or they were not compared


def conflict(files: Sequence[Conflicted]) -> Conflict:
    """The error that a script gets, for all files that are in the way of one merge."""
    several = len(files) > 1
    what = f"{len(files):,} files were" if several else f"{_shown(files[0].path)} was"
    lines = [f"nothing was merged: {what} changed by the agent and, meanwhile, in the project"]
    places = _HUNKS
    for file in files[:_FILES]:
        lines += _told(file, places)
        places = max(places - len(file.hunks), 0)
    if len(files) > _FILES:
        lines.append(f"... and {_count(len(files) - _FILES, 'more file')}")
    lines.append(
        "Call the agent again, which then begins with the project as it is now; or bring both together by hand: "
        "`files` of this error has both sides"
    )
    return Conflict("\n".join(lines), files=_fields(files))


def _told(file: Conflicted, places: int) -> Iterator[str]:
    yield f"{_shown(file.path)}: {file.why}"
    for hunk in file.hunks[:places]:
        yield f"  {_place(hunk)} the project says"
        yield from _side(hunk.ours)
        yield "  and the agent made"
        yield from _side(hunk.theirs)
    left = len(file.hunks) - places
    if left > 0:
        yield f"  ... and {_count(left, 'more place')}" if places else f"  in {_count(left, 'place')}"


def _place(hunk: ConflictHunk) -> str:
    count = len(hunk.ours.splitlines())
    if count > 1:
        return f"in lines {hunk.line:,}-{hunk.line + count - 1:,}"
    return f"in line {hunk.line:,}" if count else f"before line {hunk.line:,}"


def _side(data: bytes) -> Iterator[str]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if not lines:
        yield "    (nothing)"
    for line in lines[:_LINES]:
        text = _shown(line[: _CHARS * 4].removesuffix(b"\r").decode("utf-8", "replace"))
        yield "    | " + (text if len(text) <= _CHARS and len(line) <= _CHARS * 4 else text[:_CHARS] + "…")
    if len(lines) > _LINES:
        yield f"    ... and {_count(len(lines) - _LINES, 'more line')}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _shown(text: str) -> str:
    """Without what a terminal would take for commands."""
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _fields(files: Sequence[Conflicted]) -> list[JSON]:
    """All places as far as there is room; a file says how many were left out, and whether the last one was cut."""
    told: list[JSON] = []
    room = _FIELD_CHARS
    for file in files:
        if room <= 0:
            break
        room -= len(file.path) + len(file.why)
        hunks: list[JSON] = []
        cut = False
        for hunk in file.hunks:
            if room <= 0:
                break
            room -= _HUNK_CHARS
            sides: dict[str, JSON] = {}
            for name, data in (("base", hunk.base), ("ours", hunk.ours), ("theirs", hunk.theirs)):
                left = max(room, 0)
                text = data[: left * 4].decode("utf-8", "replace")
                cut |= len(data) > left * 4 or len(text) > left
                sides[name] = text[:left]
                room = left - len(text[:left])
            hunks.append({"line": hunk.line, **sides})
        path = file.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        left_out = len(file.hunks) - len(hunks)
        told.append({"path": path, "why": file.why, "hunks": hunks, "left_out": left_out, "cut": cut})
    return told
