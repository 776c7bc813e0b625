"""What changed in some files as one text that `git apply` takes.

Written here, with names quoted and contents encoded as git does; git is asked only which lines differ. What is no UTF-8
text goes in git's binary form, so that a patch is always plain text.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import b85encode
from collections.abc import Collection, Iterator, Sequence

import trio

from ..errors import ToolFailed
from ..git import Differ, LineChange, TooMuch
from ..ports import FileMade
from .lines import line_changes, lines_of

_CONTEXT = 3
_WITHIN_S = 30.0
_NO_BLOB = "0" * 40
_ENCODED = 52  # bytes of a line
#: What git would not write as it is. Bytes that are no UTF-8 come as surrogates.
_ODD = re.compile(r'[\x00-\x1f"\\\x7f\ud800-\udfff]')
_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}


async def patch_text(
    differ: Differ | None, files: Sequence[FileMade], *, executable: Collection[str] = (), within_s: float = _WITHIN_S
) -> str:
    """The patch; empty where nothing changed. `executable` are the paths of files with that mode.

    Without git, or where that takes too long, lines are compared here. The same files give the same text, wherever git
    gives the same lines.
    """
    changed = sorted((file for file in files if file.before != file.after), key=lambda file: _bytes(file.path))
    texts = [(file.before, file.after) for file in changed if _is_text(file)]
    told = await _told([(old, new) for old, new in texts if old is not None and new is not None], differ, within_s)
    return await trio.to_thread.run_sync(lambda: "".join(_patched(changed, told, executable)))


async def _told(
    pairs: Sequence[tuple[bytes, bytes]], differ: Differ | None, within_s: float
) -> Iterator[tuple[LineChange, ...] | TooMuch | None]:
    if differ is not None and pairs:
        try:
            return iter(await differ.changes(pairs, within_s=within_s))
        except ToolFailed:
            pass
    return iter([None] * len(pairs))


def _patched(
    files: Sequence[FileMade], told: Iterator[tuple[LineChange, ...] | TooMuch | None], executable: Collection[str]
) -> Iterator[str]:
    for file in files:
        before, after = file.before or b"", file.after or b""
        yield from _head(file, "100755" if file.path in executable else "100644")
        if not _is_text(file):
            yield "GIT binary patch\n" + _literal(after) + _literal(before)
            continue
        changes: tuple[LineChange, ...] | TooMuch | None = None
        if file.before is not None and file.after is not None:
            changes = next(told)
        if not isinstance(changes, tuple):
            changes = line_changes(before, after)
        if changes:
            yield f"--- {_named('a/', file.path, tab=True) if file.before is not None else '/dev/null'}\n"
            yield f"+++ {_named('b/', file.path, tab=True) if file.after is not None else '/dev/null'}\n"
        yield from _hunks(lines_of(before), lines_of(after), changes)


def _head(file: FileMade, mode: str) -> Iterator[str]:
    yield f"diff --git {_named('a/', file.path)} {_named('b/', file.path)}\n"
    if file.before is None:
        yield f"new file mode {mode}\n"
    if file.after is None:
        yield f"deleted file mode {mode}\n"
    kept = f" {mode}" if file.before is not None and file.after is not None else ""
    yield f"index {_blob(file.before)}..{_blob(file.after)}{kept}\n"


# ---------------------------------------------------------------- contents


def _is_text(file: FileMade) -> bool:
    for side in (file.before, file.after):
        if side is None:
            continue
        if b"\0" in side:
            return False
        try:
            side.decode()
        except UnicodeDecodeError:
            return False
    return True


def _hunks(old: Sequence[bytes], new: Sequence[bytes], changes: Sequence[LineChange]) -> Iterator[str]:
    """Changes with what lies around them; those that are near to each other in one."""
    first = 0
    for number, change in enumerate(changes):
        following = changes[number + 1] if number + 1 < len(changes) else None
        if following is not None and following.start - change.end <= 2 * _CONTEXT:
            continue
        yield from _hunk(old, new, changes[first : number + 1])
        first = number + 1


def _hunk(old: Sequence[bytes], new: Sequence[bytes], changes: Sequence[LineChange]) -> Iterator[str]:
    lead = min(_CONTEXT, changes[0].start)
    start, new_start = changes[0].start - lead, changes[0].new_start - lead
    trail = min(_CONTEXT, len(old) - changes[-1].end)
    end, new_end = changes[-1].end + trail, changes[-1].new_end + trail
    yield f"@@ -{_span(start, end)} +{_span(new_start, new_end)} @@\n"
    at = start
    for change in changes:
        yield from (_line(" ", line) for line in old[at : change.start])
        yield from (_line("-", line) for line in old[change.start : change.end])
        yield from (_line("+", line) for line in new[change.new_start : change.new_end])
        at = change.end
    yield from (_line(" ", line) for line in old[at:end])


def _span(start: int, end: int) -> str:
    """The first line, from 1, and how many; of none, the line before them."""
    return f"{start + (1 if end > start else 0)},{end - start}"


def _line(mark: str, line: bytes) -> str:
    text = mark + line.decode()
    return text if text.endswith("\n") else text + "\n\\ No newline at end of file\n"


def _literal(data: bytes) -> str:
    packed = zlib.compress(data)
    lines = []
    for at in range(0, len(packed), _ENCODED):
        piece = packed[at : at + _ENCODED]
        size = len(piece)
        mark = chr(ord("A") + size - 1) if size <= 26 else chr(ord("a") + size - 27)
        lines.append(mark + b85encode(piece, pad=True).decode() + "\n")
    return f"literal {len(data)}\n{''.join(lines)}\n"


def _blob(data: bytes | None) -> str:
    if data is None:
        return _NO_BLOB
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


# ---------------------------------------------------------------- names


def _named(side: str, path: str, *, tab: bool = False) -> str:
    """`tab` ends a name with a space in it, where something else could follow."""
    if not _ODD.search(path):
        return side + path + ("\t" if tab and " " in path else "")
    return '"' + side + "".join(map(_escaped, path)) + '"'


def _escaped(char: str) -> str:
    if not _ODD.match(char):
        return char
    (byte,) = _bytes(char)
    return "\\" + _ESCAPES.get(byte, f"{byte:03o}")


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
