"""One look at a tree: folders are listed, files that are not known to be unchanged are read. Blocking, in a thread.

A folder of whose names some are not decided is left until the checker has been asked (`Scan.undecided`). What nobody
can decide counts: the checker is asked in JSON, which cannot hold a name that is no UTF-8, and ignore rules may
take too long. So does what cannot be read or listed: a part is never taken for the whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import trio
from msgspec import Struct
from msgspec.structs import replace

from ..agents.tools.descent import open_folder
from ..agents.tools.file_state import SETTLED_NS
from ..agents.tools.walk import MAX_IGNORE_BYTES
from ..agents.tools.workspace import MAX_PATH_CHARS, Place, Workspace, as_text
from ..errors import ToolFailed
from .listing import Listing, View, list_folder
from .records import FolderRecord, Known, folder_digest, unreadable_mark
from .rules import Rules

MAX_ENTRIES = 500_000

_EMPTY = FolderRecord(rules=b"", files={}, folders=frozenset(), ignored=frozenset(), digest=b"")


class Undecided(Struct, frozen=True, kw_only=True):
    """A folder in which some names may be ignored or not."""

    prefix: str  # "" or ending in a slash
    above: Rules
    rules: Rules
    paths: tuple[str, ...]


class Scan:
    """`known` is what earlier scans found. `began_ns` is the time, as file systems count it."""

    def __init__(self, workspace: Workspace, known: Mapping[str, FolderRecord], view: View, began_ns: int) -> None:
        self._workspace = workspace
        self._known = known
        self._view = view
        self._settled_ns = began_ns - SETTLED_NS
        self._entries = 0
        self.found: dict[str, FolderRecord] = {}
        self.digests: dict[str, bytes] = {}  # of the folders in which files count
        self.folders: dict[str, FolderRecord] = {}  # that count, also those of which nothing can be kept
        self.undecided: list[Undecided] = []

    def run(self) -> None:
        """Look at all that can be decided. Raises ToolFailed beyond MAX_ENTRIES."""
        self._descend(self._folder("", Rules(), None))

    def go_on(self, folders: Sequence[Undecided], decided: Mapping[str, bool]) -> None:
        """Look at folders that were left, and below them. What is still not decided of their names counts."""
        self.undecided = []
        for folder in folders:
            self._descend(self._folder(folder.prefix, folder.above, decided))

    def _descend(self, folders: list[tuple[str, Rules]]) -> None:
        while folders:
            trio.from_thread.check_cancelled()
            folders += self._folder(*folders.pop(), None)

    def _folder(self, prefix: str, above: Rules, decided: Mapping[str, bool] | None) -> list[tuple[str, Rules]]:
        """Look at the files of one folder; gives the folders in it that count, with the rules that hold there."""
        if len(prefix) > MAX_PATH_CHARS:
            raise ToolFailed(f"the project: a path in it is longer than {MAX_PATH_CHARS:,} characters")
        place = Place(path=prefix[:-1] or ".", parts=tuple(prefix[:-1].split("/")) if prefix else ())
        view = self._view.get(prefix, {})
        with ExitStack() as opened:
            try:
                listing = list_folder(opened.enter_context(open_folder(self._workspace.root, place)), view)
            except (OSError, ToolFailed) as error:
                cause = error.__cause__ if isinstance(error, ToolFailed) else error
                if not prefix or not isinstance(cause, OSError):
                    raise
                if not isinstance(cause, FileNotFoundError | NotADirectoryError):
                    self.digests[prefix] = self._unlisted(prefix)
                    return []
                listing = list_folder(None, view)  # gone since it was named, or only in the view
            self._count(len(listing.files) + len(listing.folders))
            return self._listed(listing, prefix, above, decided)

    def _unlisted(self, prefix: str) -> bytes:
        try:
            return unreadable_mark(os.lstat(f"{self._workspace.root}/{prefix[:-1]}"))
        except OSError:
            return unreadable_mark(None)

    def _count(self, entries: int) -> None:
        self._entries += entries
        if self._entries > MAX_ENTRIES:
            raise ToolFailed(
                f"the project: more than {MAX_ENTRIES:,} files and folders that git does not ignore; "
                "list generated folders in .gitignore"
            )

    def _listed(
        self, listing: Listing, prefix: str, above: Rules, decided: Mapping[str, bool] | None
    ) -> list[tuple[str, Rules]]:
        rules = _rules(listing, prefix, above)
        record = self._known.get(prefix, _EMPTY)
        if record.rules != rules.digest:
            record = _EMPTY
        new = _new_names(listing, record) if rules.texts and _is_utf8(prefix) else []
        if new and decided is None:
            paths = tuple(prefix + name for name in new)
            self.undecided.append(Undecided(prefix=prefix, above=above, rules=rules, paths=paths))
            return []
        verdicts = {name: (decided or {}).get(prefix + name) for name in new}
        ignored = _still_there(record.ignored, listing).union(name for name in new if verdicts[name])
        files: dict[str, Known] = {}
        for name in listing.files:
            if name not in ignored:
                file = listing.look(name, record.files.get(name), self._settled_ns)
                if file is not None:
                    files[name] = file
        folders = frozenset(name for name in listing.folders if f"{name}/" not in ignored)
        now = FolderRecord(rules=rules.digest, files=files, folders=folders, ignored=ignored, digest=b"")
        self._note(prefix, record, now, certain=None not in verdicts.values())
        return [(f"{prefix}{name}/", rules) for name in folders]

    def _note(self, prefix: str, before: FolderRecord, now: FolderRecord, *, certain: bool) -> None:
        """Take down the digest of the folder's files, and keep what was found if it is `certain` what is ignored."""
        self.folders[prefix] = now
        files, known = now.files, before.files
        same = len(files) == len(known) and all(known.get(name) is file for name, file in files.items())
        digest = before.digest if same else b""
        if not digest:
            digest = folder_digest((name, file.mark) for name, file in files.items())
        if files:
            self.digests[prefix] = digest
        if same and before.digest and (now.folders, now.ignored) == (before.folders, before.ignored):
            self.found[prefix] = before
        elif certain and _is_utf8(prefix):
            kept = {name: file for name, file in files.items() if _is_utf8(name)}
            folders = frozenset(filter(_is_utf8, now.folders))
            settled = len(kept) == len(files) and all(file.signature for file in files.values())
            self.found[prefix] = replace(now, files=kept, folders=folders, digest=digest if settled else b"")


def _rules(listing: Listing, prefix: str, above: Rules) -> Rules:
    """Those that hold in a folder. A file with rules that cannot be read excludes nothing."""
    own = listing.text(".gitignore", limit=MAX_IGNORE_BYTES) if ".gitignore" in listing.files else None
    if own is None or not _is_utf8(prefix):
        return above
    return above.with_file(prefix, as_text(own) or "")


def _new_names(listing: Listing, record: FolderRecord) -> list[str]:
    """Names of which the record does not say whether they are ignored; those of folders end in a slash."""
    ignored = record.ignored
    new = [name for name in listing.files if name not in record.files and name not in ignored]
    new += [f"{name}/" for name in listing.folders if name not in record.folders and f"{name}/" not in ignored]
    return list(filter(_is_utf8, new))


def _still_there(ignored: frozenset[str], listing: Listing) -> frozenset[str]:
    return frozenset(
        name for name in ignored if (name[:-1] in listing.folders if name.endswith("/") else name in listing.files)
    )


def _is_utf8(name: str) -> bool:
    return name.isascii() or name.encode("utf-8", "replace").decode() == name
