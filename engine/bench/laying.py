"""Brings single files of a copy to what they should be, whatever a job has made of the folders around them."""

from __future__ import annotations

import os

from ..agents.tools.descent import Place, open_parent
from .before import NEW_FOLDER_MODE, holds
from .found import Kind, look
from .removal import remove_folder

_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def lay(top: str, path: str, data: bytes | None, mode: int) -> None:
    """Make `path` below `top` a file with these contents; None: no file. Raises OSError.

    Links and folders in its way go; one that is as it should be stays as it is.
    """
    place = Place.at(path)
    now = look(top, path).kind
    if data is None or (now is Kind.FILE and holds(top, path, data)):
        if data is None and now is Kind.FILE:
            _clear(top, place)
        return
    for depth in range(1, len(place.parts)):
        above = Place.at("/".join(place.parts[:depth]))
        if look(top, above.real_path).kind is not Kind.FOLDER:
            _clear(top, above)
            with open_parent(top, above) as (folder, name):
                os.mkdir(name, NEW_FOLDER_MODE, dir_fd=folder)
    _clear(top, place)
    with open_parent(top, place) as (folder, name):
        file = os.open(name, _NEW_FLAGS, 0o600, dir_fd=folder)
    with os.fdopen(file, "wb") as writer:
        writer.write(data)
        os.fchmod(file, mode)


def _clear(top: str, place: Place) -> None:
    """Remove what lies there; those above it are folders."""
    match look(top, place.real_path).kind:
        case Kind.GONE:
            return
        case Kind.FOLDER:
            remove_folder(f"{top}/{place.real_path}")
        case _:
            with open_parent(top, place) as (folder, name):
                os.unlink(name, dir_fd=folder)
