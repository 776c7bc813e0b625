"""Run a command as an ordinary user: `python ordinary_user.py UID KEPT_PATH ... -- COMMAND ...`. Needs root.

Root's own folders are shut to others, and the interpreter, this repository and a test's folder may lie below one. In a
mount namespace of its own, the command finds KEPT_PATHs and the interpreter where they are, and the rest of such a
folder empty.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
import tempfile
from pathlib import Path

_NEW_MOUNTS = 0x0002_0000
_BIND, _MOVE, _RECURSIVE, _PRIVATE = 0x1000, 0x2000, 0x4000, 0x4_0000


def open_the_way(paths: list[Path]) -> None:
    """Make `paths` reachable for everybody, for this process and its children alone."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: Path, kind: str = "", flags: int = 0, data: str = "") -> None:
        words = [each.encode() or None for each in (source, str(target), kind, data)]
        if libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]) != 0:
            raise OSError(ctypes.get_errno(), f"mount on {target}: {os.strerror(ctypes.get_errno())}")

    if libc.unshare(_NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    mount("none", Path("/"), flags=_RECURSIVE | _PRIVATE)
    behind: dict[Path, list[Path]] = {}
    for path in paths:
        if (door := _first_shut(path)) is not None:
            behind.setdefault(door, []).append(path)
    for door, hidden in behind.items():
        stages = [Path(tempfile.mkdtemp()) for _ in hidden]
        for path, stage in zip(hidden, stages, strict=True):
            mount(str(path), stage, flags=_BIND | _RECURSIVE)
        mount("tmpfs", door, "tmpfs", data="mode=755")
        for path, stage in zip(hidden, stages, strict=True):
            path.mkdir(parents=True)
            mount(str(stage), path, flags=_MOVE)
            stage.rmdir()


def _first_shut(path: Path) -> Path | None:
    """The outermost folder on the way to `path` that only its owner may enter."""
    return next((each for each in [*path.parents][::-1] if not each.stat().st_mode & stat.S_IXOTH), None)


def become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def main(uid: str, *arguments: str) -> None:
    at = arguments.index("--")
    where = os.getcwd()
    open_the_way([Path(sys.base_prefix), Path(sys.prefix), *map(Path, arguments[:at])])
    become(int(uid))
    os.chdir(where)  # anew: on the way that is open
    os.execv(arguments[at + 1], arguments[at + 1 :])


if __name__ == "__main__":
    main(*sys.argv[1:])
