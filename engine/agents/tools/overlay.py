"""Files that lie over those of the disk, for looks at the project as it was, or would be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

from ...errors import ToolFailed
from .descent import A_FOLDER, NO_FILE, NO_FOLDER, EntryKind, Place, kind_of, open_folder, visible


class Overlay:
    """Contents by real path, or None for a file that is absent whatever the disk holds.

    The folders of the files that are there exist. A folder of the disk in which every file is absent does not: writing
    a file makes its folders, so taking it back takes them back. No path may lead through a link of the disk. An absent
    one may be that of a folder, which is absent then with all that is in it.
    """

    def __init__(self, root: str, files: Mapping[str, bytes | None]) -> None:
        self._root = root
        self._files = {Place.at(path).real_path: data for path, data in files.items()}
        self._folders = {folder for path, data in files.items() if data is not None for folder in _above(path)}
        self._thinned = {folder for path, data in files.items() if data is None for folder in _above(path)}
        self._children: dict[str, dict[str, EntryKind | None]] = {}
        for path, data in files.items():
            self._note(path, EntryKind.FILE if data is not None else None)
        for folder in self._folders:
            self._note(folder, EntryKind.FOLDER)

    @property
    def files(self) -> Mapping[str, bytes | None]:
        return MappingProxyType(self._files)

    def contents(self, place: Place) -> bytes | None:
        """Of the file that lies over `place`; None where the disk counts. Raises ToolFailed where no file is here."""
        path = "/".join(place.parts)
        if path in self._files:
            data = self._files[path]
            if data is None:
                raise _missing(place, NO_FILE)
            return data
        if path in self._folders:
            raise ToolFailed(f"{visible(place.path)}: {A_FOLDER}")
        for folder in _above(path):
            if folder in self._files:
                raise _missing(place, NO_FILE, below_file=self._files[folder] is not None)
        if self._is_emptied(place):
            raise _missing(place, NO_FILE)
        return None

    def is_file(self, place: Place) -> bool | None:
        """None where the disk has to be asked."""
        path = "/".join(place.parts)
        if path in self._files:
            return self._files[path] is not None
        return False if path in self._folders or self._hides(path) or self._is_emptied(place) else None

    def is_folder(self, place: Place) -> bool | None:
        """None where the disk has to be asked."""
        path = "/".join(place.parts)
        if path in self._folders:
            return True
        return False if self._hides(path) or self._is_emptied(place) else None

    def changed_names(self, folder: Place) -> dict[str, EntryKind | None]:
        """Names in a folder that are otherwise than on the disk, which may be missing there; None: not here.

        Raises ToolFailed where the folder is not here.
        """
        path = "/".join(folder.parts)
        if self._hides(path) or self._is_emptied(folder):
            raise _missing(folder, NO_FOLDER)
        changed = dict(self._children.get(path, {}))
        prefix = path + "/" if path else ""
        for inner in self._thinned:
            if inner.rpartition("/")[0] == path and inner and self._is_emptied(Place.at(inner)):
                changed[inner.removeprefix(prefix)] = None
        return changed

    def makes(self, folder: Place) -> bool:
        """Whether a folder exists whatever the disk holds."""
        return "/".join(folder.parts) in self._folders

    def _note(self, path: str, kind: EntryKind | None) -> None:
        folder, _, name = path.rpartition("/")
        if name:
            self._children.setdefault(folder, {})[name] = kind

    def _hides(self, path: str) -> bool:
        """Whether a file lies over this path or over a folder above it, or is absent there."""
        return path in self._files or any(folder in self._files for folder in _above(path))

    def _is_emptied(self, folder: Place) -> bool:
        """Whether this folder of the disk held something, and all of it is absent."""
        path = "/".join(folder.parts)
        if not path or path not in self._thinned or path in self._folders:
            return False
        try:
            with open_folder(self._root, folder) as descriptor, os.scandir(descriptor) as scan:
                held = [(item.name, kind_of(item)) for item in scan]
        except ToolFailed:
            return False
        return bool(held) and all(self._is_gone(f"{path}/{name}", kind) for name, kind in held)

    def _is_gone(self, path: str, kind: EntryKind) -> bool:
        if path in self._files:
            return self._files[path] is None
        return kind is EntryKind.FOLDER and self._is_emptied(Place.at(path))


def _above(path: str) -> list[str]:
    """The folders that hold `path`, the root ("") among them."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts))]


def _missing(place: Place, what: str, *, below_file: bool = False) -> ToolFailed:
    """As the disk would tell it, with the cause by which walks know that something is gone."""
    error = ToolFailed(f"{visible(place.path)}: {what}")
    error.__cause__ = NotADirectoryError() if below_file else FileNotFoundError()
    return error
