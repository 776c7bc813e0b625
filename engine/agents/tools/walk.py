"""Lists folders the way git sees them: .gitignore respected, version control left out, links not followed.

Level by level, so that an ignored folder is never entered. What is left out, and nothing else is: what a .gitignore of
the project excludes (not the user's global excludes: they would make a result depend on the machine), the private
folders of `secrets`, and names that are no UTF-8, which JSON cannot hold. A folder that was asked for by name is shown
even where a .gitignore excludes it, and then nothing in it counts as ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import trio
from msgspec import Struct

from ...errors import ToolDenied, ToolFailed
from .secrets import is_private
from .workspace import EntryKind, Place, Workspace, as_text, visible

MAX_ENTRIES = 100_000
MAX_IGNORE_BYTES = 256 * 1024

_FOLDERS_PER_CHECKPOINT = 16
_PATHS_PER_CHECK = 5_000


class Entry(Struct, frozen=True, kw_only=True):
    path: str  # from the root
    kind: EntryKind

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


async def list_folder(workspace: Workspace, folder: Place) -> list[Entry]:
    """What lies directly in `folder`, by name; a link that leads to a file or folder of the project counts as one."""
    walk = _Walk(workspace=workspace, start=folder)
    await walk.prepare()
    entries = await walk.level([folder])
    return sorted((_followed(workspace, entry) for entry in entries), key=lambda entry: entry.name)


async def find_files(workspace: Workspace, folder: Place, *, links: bool = False) -> list[str]:
    """Paths of all files below `folder`, sorted; with `links` also of links to files of the project.

    Raises ToolFailed beyond MAX_ENTRIES, and where a folder cannot be listed: a part is never taken for the whole.
    """
    walk = _Walk(workspace=workspace, start=folder)
    await walk.prepare()
    found: list[str] = []
    folders = [folder]
    while folders:
        entries = await walk.level(folders)
        folders = []
        for entry in entries:
            match entry.kind:
                case EntryKind.FOLDER:
                    folders.append(Place(path=entry.path, parts=tuple(entry.path.split("/"))))
                case EntryKind.FILE:
                    found.append(entry.path)
                case EntryKind.LINK if links and _followed(workspace, entry).kind is EntryKind.FILE:
                    found.append(entry.path)
                case _:
                    pass
    return sorted(found)


async def holds_a_file(workspace: Workspace, folder: Place) -> bool:
    """Whether anything but folders lies below `folder`. Raises as `find_files`."""
    walk = _Walk(workspace=workspace, start=folder)
    await walk.prepare()
    folders = [folder]
    while folders:  # into the depth: mostly the first folders hold a file
        entries = await walk.level([folders.pop()])
        if any(entry.kind is not EntryKind.FOLDER for entry in entries):
            return True
        folders += [Place.at(entry.path) for entry in reversed(entries)]
    return False


async def ignored_part(workspace: Workspace, place: Place) -> str | None:
    """The topmost folder on the way to `place`, or that itself, that a .gitignore excludes; None: nothing does.

    Whether it is there makes no difference, nor whether it is a file or a folder. Raises as `find_files`.
    """
    return await _Walk(workspace=workspace, start=place).excluded()


class _Walk(Struct, kw_only=True):
    workspace: Workspace
    start: Place
    seen: int = 0
    obeys: bool = True  # whether .gitignore files count
    rules: dict[str, str] = {}  # folder ("" or ending in a slash) -> text of its .gitignore

    async def prepare(self) -> None:
        """Read the .gitignore files above the start, and see whether they exclude it."""
        above = await self._above()
        if self.rules and await self._ignored(above):
            self.obeys = False
            self.rules.clear()

    async def excluded(self) -> str | None:
        above = await self._above()
        if not self.rules:
            return None
        ignored = await self._ignored([*above, *(path.removesuffix("/") for path in above[-1:])])
        return min((path.removesuffix("/") for path in ignored), key=len, default=None)

    async def _above(self) -> list[str]:
        """The start and the folders above it, as paths of folders, whose .gitignore files are read."""
        above: list[str] = []
        for depth in range(len(self.start.parts)):
            folder = Place(path="/".join(self.start.parts[:depth]) or ".", parts=self.start.parts[:depth])
            if self.workspace.is_file(_child(folder, ".gitignore")):
                self.rules[_prefix(folder)] = await self._ignore_text(folder)
            above.append("/".join(self.start.parts[: depth + 1]) + "/")
        return above

    async def level(self, folders: Sequence[Place]) -> list[Entry]:
        """All entries of `folders` that are not ignored."""
        entries: list[Entry] = []
        for number, folder in enumerate(folders, 1):
            if number % _FOLDERS_PER_CHECKPOINT == 0:
                await trio.lowlevel.checkpoint()
            entries += await self._entries(folder)
        if not self.rules:
            return entries
        paths = [_for_rules(entry) for entry in entries]
        ignored = await self._ignored(paths)
        return [entry for entry, path in zip(entries, paths, strict=True) if path not in ignored]

    async def _entries(self, folder: Place) -> list[Entry]:
        prefix = _prefix(folder)
        entries: list[Entry] = []
        try:
            with self.workspace.listing(folder) as listed:
                for name, kind in listed:
                    if is_private(name) or not _is_utf8(name):
                        continue
                    self._count()
                    entries.append(Entry(path=prefix + name, kind=kind))
        except ToolFailed as error:
            if folder is not self.start and isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return []  # gone since the level above was listed
            raise
        if self.obeys and any(entry.name == ".gitignore" and entry.kind is EntryKind.FILE for entry in entries):
            self.rules[prefix] = await self._ignore_text(folder)
        return entries

    def _count(self) -> None:
        self.seen += 1
        if self.seen > MAX_ENTRIES:
            raise ToolFailed(
                f"{visible(self.start.path)}: more than {MAX_ENTRIES:,} files and folders; "
                "name a smaller folder with path, or list generated folders in .gitignore"
            )

    async def _ignore_text(self, folder: Place) -> str:
        data = await self.workspace.read(_child(folder, ".gitignore"), limit=MAX_IGNORE_BYTES)
        return as_text(data) or ""

    async def _ignored(self, paths: Sequence[str]) -> set[str]:
        ignored: set[str] = set()
        for batch in _batches(paths):
            try:
                ignored.update(await self.workspace.checker.ignored(_relevant(self.rules, batch), batch))
            except ValueError as error:
                raise ToolFailed(f"a .gitignore of the project cannot be applied: {error}") from error
        return ignored


def _followed(workspace: Workspace, entry: Entry) -> Entry:
    """`entry` itself, or what a link leads to where that is a file or folder of the project."""
    if entry.kind is not EntryKind.LINK:
        return entry
    try:
        place = workspace.locate(entry.path)
    except (ToolDenied, ToolFailed):
        return entry
    if workspace.is_file(place):
        return Entry(path=entry.path, kind=EntryKind.FILE)
    if workspace.is_folder(place):
        return Entry(path=entry.path, kind=EntryKind.FOLDER)
    return entry


def _child(folder: Place, name: str) -> Place:
    return Place(path=_prefix(folder) + name, parts=(*folder.parts, name))


def _prefix(folder: Place) -> str:
    return "/".join(folder.parts) + "/" if folder.parts else ""


def _for_rules(entry: Entry) -> str:
    return entry.path + "/" if entry.kind is EntryKind.FOLDER else entry.path


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _relevant(rules: Mapping[str, str], paths: Iterable[str]) -> dict[str, str]:
    """The rules of the folders above `paths`: a large repository has many more."""
    above: set[str] = set()
    for path in paths:
        folder = path.rstrip("/").rpartition("/")[0]
        while folder and folder + "/" not in above:
            above.add(folder + "/")
            folder = folder.rpartition("/")[0]
    return {folder: text for folder, text in rules.items() if not folder or folder in above}


def _batches(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(paths), _PATHS_PER_CHECK):
        yield paths[start : start + _PATHS_PER_CHECK]
