"""What `git diff` says, as data. The output is a stranger's: names and contents may look like anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from ..errors import ToolDenied, ToolFailed

#: Of the output, with the list of files in front of the text.
MAX_BYTES = 8 * 1024 * 1024

#: One name or hash, with steps back: nothing that looks into a file, a log of refs or a message, and no option.
_REVISION_CHARS = 255
_REVISION = re.compile(r"\w(?:[\w/+#-]|\.(?!\.)|@(?!\{))*(?:[~^][0-9]*)*")
_SECTION = re.compile(rb"^(?:diff --git |\* Unmerged path )", re.MULTILINE)
_SPLIT = re.compile(rb"^(?=diff --git )", re.MULTILINE)
_HASHES = re.compile(rb"^index [0-9a-f]+\.\.[0-9a-f]+(?: [0-7]+)?\n?", re.MULTILINE)
#: All that a replay must give again is named: defaults differ from version to version.
_DIFF = (
    "--raw", "--numstat", "--patch", "-z", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--relative",
    "--unified=3", "--diff-algorithm=myers", "--find-renames=50%", "-l1000", "--ignore-submodules=dirty",
    "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


class ChangeKind(StrEnum):
    ADDED = "added"
    DELETED = "deleted"
    MODIFIED = "modified"
    RENAMED = "renamed"
    TYPE_CHANGED = "type_changed"  # from file to link, and the like
    UNMERGED = "unmerged"
    UNTRACKED = "untracked"


_KINDS = {
    "A": ChangeKind.ADDED,
    "D": ChangeKind.DELETED,
    "M": ChangeKind.MODIFIED,
    "R": ChangeKind.RENAMED,
    "T": ChangeKind.TYPE_CHANGED,
    "U": ChangeKind.UNMERGED,
}


class Change(Struct, frozen=True, kw_only=True):
    """One file. Bytes of its names that are no UTF-8 stand as `\\xNN`."""

    path: str
    old_path: str = ""  # of a renamed one
    kind: ChangeKind
    added: int | None = None  # lines; None for a binary file, and for what git does not know
    deleted: int | None = None
    text: str = ""  # the change itself, as far as it came

    @property
    def is_untracked(self) -> bool:
        return self.kind is ChangeKind.UNTRACKED


class Difference(Struct, frozen=True, kw_only=True):
    changes: tuple[Change, ...]
    complete: bool  # False where some of the texts, or of the untracked names, did not come


class Query(Struct, frozen=True, kw_only=True):
    """`base` against the working tree, or against the index; below `path`, relative to the project."""

    base: str
    path: str = "."
    staged: bool = False
    merge_base: bool = False  # against where `base` and HEAD parted
    only: tuple[str, ...] = ()  # these files, instead of all below `path`
    renames: bool = True  # whether a file that went and one that came may be one that was renamed

    def arguments(self) -> list[str]:
        """Raises ToolDenied for a revision that is more than the name of a commit."""
        if not _REVISION.fullmatch(self.base) or len(self.base) > _REVISION_CHARS:
            shown = ascii(self.base[:80])[1:-1]
            raise ToolDenied(f"base `{shown}`: give one commit, branch or tag, such as main, v1.2, HEAD~2 or a hash")
        flags = ["--cached"] if self.staged else []
        flags += ["--merge-base"] if self.merge_base else []
        flags += [] if self.renames else ["--no-renames"]
        return ["diff", *_DIFF, *flags, "--end-of-options", self.base, "--", *self._paths()]

    def untracked_arguments(self) -> list[str]:
        return ["ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", "--", *self._paths()]

    def _paths(self) -> list[str]:
        if self.only:
            return list(self.only)
        return [] if self.path == "." else [self.path]


class _Entry(Struct, frozen=True, kw_only=True):
    """A line of `--raw`."""

    old: bytes
    new: bytes
    kind: ChangeKind


def parse_difference(output: bytes, *, cut: bool) -> Difference:
    """`cut`: there was more output than came. Raises ToolFailed where not even the list of files came whole."""
    if cut and b"\0\0" not in output:  # which is where the list ends
        raise ToolFailed(f"the list of changed files alone is longer than {MAX_BYTES:,} bytes; narrow it with path")
    entries: list[_Entry] = []
    counts: dict[tuple[bytes, bytes], tuple[int | None, int | None]] = {}
    at = 0
    while output.startswith(b":", at):
        at = _take_entry(output, at, entries)
    while at < len(output) and not output.startswith(b"\0", at):
        at = _take_counts(output, at, counts)
    texts = _texts(output[at + 1 :], entries, cut=cut)
    changes = []
    for number, entry in enumerate(entries):
        added, deleted = counts.get((entry.old, entry.new), (None, None))
        changes.append(
            Change(
                path=_name(entry.new),
                old_path=_name(entry.old) if entry.old != entry.new else "",
                kind=entry.kind,
                added=added,
                deleted=deleted,
                text=texts[number] if texts else "",
            )
        )
    return Difference(changes=tuple(changes), complete=not cut and texts is not None)


def parse_untracked(output: bytes, *, cut: bool) -> Difference:
    names = output.split(b"\0")[:-1]
    return Difference(
        changes=tuple(Change(path=_name(name), kind=ChangeKind.UNTRACKED) for name in names), complete=not cut
    )


def _take_entry(output: bytes, at: int, entries: list[_Entry]) -> int:
    """`:mode mode hash hash X[score] NUL name NUL`, with two names where X is R. Returns where the next one begins."""
    header, at = _token(output, at)
    status = header.rpartition(b" ")[2][:1].decode("latin-1")
    old, at = _token(output, at)
    new, at = _token(output, at) if status == "R" else (old, at)
    if status not in _KINDS:
        raise ToolFailed(f"git gave a status that Vibe does not know: {status}")
    entries.append(_Entry(old=old, new=new, kind=_KINDS[status]))
    return at


def _take_counts(output: bytes, at: int, counts: dict[tuple[bytes, bytes], tuple[int | None, int | None]]) -> int:
    """`added TAB deleted TAB name NUL`, or with an empty name, NUL, old name, NUL, new name, NUL."""
    line, at = _token(output, at)
    added, _, rest = line.partition(b"\t")
    deleted, _, old = rest.partition(b"\t")
    new = old
    if not old:
        old, at = _token(output, at)
        new, at = _token(output, at)
    counts[old, new] = (_number(added), _number(deleted))
    return at


def _token(output: bytes, at: int) -> tuple[bytes, int]:
    end = output.find(b"\0", at)
    end = len(output) if end < 0 else end
    return output[at:end], end + 1


def _texts(patch: bytes, entries: Sequence[_Entry], *, cut: bool) -> list[str] | None:
    """The text of each entry; None where the patch is not made as expected, so that none is taken for another's.

    Lines of contents begin with a blank, plus, minus or backslash, and git quotes the names in headers; only the name
    of an unmerged file stands as it is, so that is taken by its known length.
    """
    texts: list[str] = []
    at = 0
    for entry in entries:
        begin = at
        if entry.kind is ChangeKind.UNMERGED:
            line = b"* Unmerged path " + entry.new + b"\n"
            at = at + len(line) if patch.startswith(line, at) else -1
        else:
            for _ in range(2 if entry.kind is ChangeKind.TYPE_CHANGED else 1):  # one goes, one comes
                at = _section_end(patch, at)
        if at < 0:
            return [*texts, *[""] * (len(entries) - len(texts))] if cut and begin >= len(patch) else None
        texts.append(_shown(patch[begin:at]) if entry.kind is not ChangeKind.UNMERGED else "")
    return texts if at == len(patch) else None


def _section_end(patch: bytes, at: int) -> int:
    if at < 0 or not patch.startswith(b"diff --git ", at):
        return -1
    following = _SECTION.search(patch, at + 1)
    return following.start() if following else len(patch)


def _shown(section: bytes) -> str:
    """Without the hashes, which say nothing to a reader."""
    return "".join(_without_hashes(part) for part in _SPLIT.split(section)).strip("\n")


def _without_hashes(part: bytes) -> str:
    head, hunks, rest = part.partition(b"\n@@")
    return (_HASHES.sub(b"", head) + hunks + rest).decode("utf-8", "replace")


def _number(text: bytes) -> int | None:
    return int(text) if text.isdigit() else None


def _name(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
