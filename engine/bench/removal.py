"""Removes folders of which a command may have made anything: without rights, a thousand levels deep, full of links."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress

from ..agents.tools.descent import FOLDER_FLAGS

#: Rounds without an end in sight: somebody makes files faster than they are removed.
_MAX_ROUNDS = 10_000


def remove_folder(path: str) -> None:
    """Remove a folder with all that is in it; no link is followed. One that is gone is fine. Raises OSError.

    Folders are moved up to the top before they are emptied, so that no path becomes long and nothing recurses.
    """
    parent, name = os.path.split(path)
    with suppress(FileNotFoundError, NotADirectoryError):
        holder = os.open(parent, FOLDER_FLAGS)
        try:
            top = _open_folder(name, holder)
            try:
                _empty(top)
            finally:
                os.close(top)
            with suppress(FileNotFoundError):
                os.rmdir(name, dir_fd=holder)
        finally:
            os.close(holder)


def _empty(top: int) -> None:
    moved = f".{secrets.token_hex(8)}-"
    number = 0
    for _ in range(_MAX_ROUNDS):
        names = os.listdir(top)
        if not names:
            return
        for name in names:
            with suppress(FileNotFoundError):  # another process removes the same
                if stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
                    number = _take_apart(name, top, moved, number)
                else:
                    os.unlink(name, dir_fd=top)
    raise OSError(0, "it is written to while it is removed")


def _take_apart(name: str, top: int, moved: str, number: int) -> int:
    folder = _open_folder(name, top)
    try:
        with os.scandir(folder) as scan:
            held = [(item.name, item.is_dir(follow_symlinks=False)) for item in scan]
        for inner, is_folder in held:
            with suppress(FileNotFoundError):
                if is_folder:
                    _open_up(inner, folder)
                    number += 1
                    os.rename(inner, f"{moved}{number}", src_dir_fd=folder, dst_dir_fd=top)
                else:
                    os.unlink(inner, dir_fd=folder)
    finally:
        os.close(folder)
    with suppress(OSError):  # what came into it meanwhile is taken in the next round
        os.rmdir(name, dir_fd=top)
    return number


def _open_folder(name: str, parent: int) -> int:
    """To list and to write in, whatever its mode says."""
    _open_up(name, parent)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def _open_up(name: str, parent: int) -> None:
    folder = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    try:
        if os.fstat(folder).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{folder}", 0o700)  # of what was opened, not of what its name may be by now
    finally:
        os.close(folder)
