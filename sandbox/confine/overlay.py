"""A copy-on-write view of the project: what a command writes goes to an upper folder, which it cannot reach otherwise.

Names that have to be there for a mount to cover them, and are not, come from a second lower layer of empty stand-ins,
so that neither the project nor the upper layer has them.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from typing import Final

from . import kernel
from .kernel import MS_NODEV, MS_NOSUID
from .layers import PROTECTED, USER
from .paths import holds
from .removal import FOLDER, claim, remove
from .request import Request

#: As in `upper`, which is too much to load here.
_FILES, _WORK, _NAMES = "files", "work", "names"
#: No layer's path is among the options: they may hold what separates those. Attributes that anybody may set, for root
#: in no namespace of its own, too. A crash loses what nobody reads afterwards: nothing is waited for.
_OPTIONS: Final = "userxattr,index=off,metacopy=off,xino=auto,volatile"
#: How /proc writes what would end a word or a line.
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
_HANDLE: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Busy(Exception):
    """Another command works on this upper folder."""


def prepare(request: Request) -> int:
    """Make the folders of the layers, in the supervisor. Nobody else gets them while the descriptor is open anywhere.

    Raises Busy; OSError where they cannot be layers.
    """
    os.makedirs(request.upper, 0o700, exist_ok=True)
    upper = os.open(request.upper, FOLDER)
    try:
        try:
            claim(upper)
        except BlockingIOError as error:
            raise Busy(f"another command works on {request.upper}") from error
        _make(request, upper)
    except BaseException:
        os.close(upper)
        raise
    return upper


def _make(request: Request, upper: int) -> None:
    lower = os.stat(request.lower)
    if lower.st_uid != os.geteuid():
        raise OSError(0, f"{request.lower} belongs to another user")
    if inside := _mount_inside(request.lower):
        raise OSError(0, f"another file system is mounted at {inside}, which would not be seen")
    try:
        os.mkdir(_FILES, 0o700, dir_fd=upper)
    except FileExistsError:
        pass
    else:
        _like(upper, _FILES, lower)
    remove(upper, _WORK)
    remove(upper, _NAMES)
    os.mkdir(_WORK, 0o700, dir_fd=upper)
    os.mkdir(_NAMES, 0o755, dir_fd=upper)
    try:  # a folder that hides another one is marked by one
        os.setxattr(f"/proc/self/fd/{upper}/{_WORK}", "user.vibe", b"x")
    except OSError as error:
        raise OSError(0, f"{request.upper} lies on a file system without extended attributes") from error
    protected = request.protected if PROTECTED in request.layers else []
    for path in {*protected, *request.linked}:
        name = os.path.relpath(path, request.root)
        if not os.path.lexists(os.path.join(request.lower, name)):
            _stand_in(os.path.join(request.upper, _NAMES, name), path if path in request.linked else "")


def _mount_inside(folder: str) -> str:
    """A mount point below `folder`; empty where there is none."""
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            point = os.fsdecode(_ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), line.split()[4]))
            if point != folder and holds(folder, point):
                return point
    return ""


def _like(upper: int, name: str, found: os.stat_result) -> None:
    fd = os.open(name, FOLDER, dir_fd=upper)
    os.fchmod(fd, stat.S_IMODE(found.st_mode))
    os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))
    os.close(fd)


def _stand_in(path: str, source: str) -> None:
    """Of the kind that `source` is; without one, a name with a suffix is a file. A link is made as it is."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if source and os.path.islink(source):
        os.symlink(os.readlink(source), path)
    elif os.path.isdir(source) if source else not os.path.splitext(path)[1]:
        os.makedirs(path, exist_ok=True)  # another one may lie in it
    else:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def room(upper: int) -> tuple[int, int]:
    """Bytes and files that the disk of an upper folder has room for. Some file systems do not count files."""
    found = os.fstatvfs(upper)
    return found.f_bfree * found.f_frsize, found.f_ffree


def open_sources(request: Request) -> dict[str, int]:
    """What the overlay is made of, and what is shown in it, as descriptors; in the mount namespace that they go to."""
    found = {name: os.open(os.path.join(request.upper, name), _HANDLE) for name in (_FILES, _WORK, _NAMES)}
    found["lower"] = os.open(request.lower, _HANDLE)
    if USER in request.layers and os.fstat(found["lower"]).st_gid != os.getegid():
        raise OSError(0, f"{request.lower} belongs to another group than this user's first one")
    for path in request.linked:
        if not os.path.islink(path):
            found[path] = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    return found


def mount(request: Request, sources: dict[str, int], at: str) -> None:
    """Mount it, in the warden. Raises OSError where the kernel does not let it."""
    os.makedirs(at, exist_ok=True)
    paths = {name: f"/proc/self/fd/{fd}" for name, fd in sources.items()}
    layers = f"lowerdir={paths['lower']}:{paths[_NAMES]},upperdir={paths[_FILES]},workdir={paths[_WORK]}"
    kernel.mount("overlay", at, "overlay", MS_NOSUID | MS_NODEV, f"{_OPTIONS},{layers}")
