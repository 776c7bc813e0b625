"""What a forked child does between the fork and its first byte of work: shed all it inherited, lock itself, report.

`become` never returns: whatever happens, the process ends here and not in the zygote's loop.
"""

from __future__ import annotations

import os
import sys
from _signal import SIG_DFL, SIGCHLD, set_wakeup_fd, signal  # type: ignore[import-not-found]
from collections.abc import Callable
from typing import Any, Final, NoReturn

from . import lockdown
from .channel import Channel

LOCK_FAILED: Final = 70
SERVE_FAILED: Final = 71

#: The zygote holds a handful, at the lowest numbers. A container's limit may be a thousand million, which takes minutes
#: where the kernel cannot close a range at once.
_FDS = 4096

#: Loaded for the lock, and no business of a script: the importer that a script gets hands out what is loaded.
_NOT_FOR_SCRIPTS = (
    "_ctypes", "_posixsubprocess", "_socket", "array", "ctypes", "fcntl", "resource", "select", "selectors", "signal",
    "socket", "struct", "subprocess",
)  # fmt: skip


def become(socket_fd: int, request: dict[str, Any], parent: int) -> NoReturn:
    """Turn this freshly forked process into the child that `request` asks for, serve until its work is done, exit."""
    try:
        _keep_only(socket_fd)
        serve = _prepare(request)
        _forget_surroundings()
        layers = lockdown.lock(
            parent=parent,
            memory_bytes=request["memory_bytes"],
            cpu_s=request["cpu_s"],
            layers=frozenset(request["layers"]),
        )
    except BaseException as error:  # noqa: BLE001 - an unlocked process must not go on, whatever went wrong
        _report({"t": "unlocked", "message": f"{type(error).__name__}: {error}"})
        os._exit(LOCK_FAILED)
    try:
        _report({"t": "locked", "layers": layers})
        serve(lockdown.SOCKET_FD)
    except BaseException:  # noqa: BLE001 - there is nobody to tell; the host sees the exit code
        os._exit(SERVE_FAILED)
    os._exit(0)


def _keep_only(socket_fd: int) -> None:
    set_wakeup_fd(-1)
    signal(SIGCHLD, SIG_DFL)
    if socket_fd != lockdown.SOCKET_FD:
        os.dup2(socket_fd, lockdown.SOCKET_FD)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.closerange(lockdown.SOCKET_FD + 1, _FDS)


def _forget_surroundings() -> None:
    os.environ.clear()
    os.chdir("/")
    sys.argv[:] = ["workflow"]
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()


def _prepare(request: dict[str, Any]) -> Callable[[int], None]:
    """Import all that the role needs: after the lock there is no file."""
    role = request["role"]
    if role == "script":
        for name in _NOT_FOR_SCRIPTS:
            sys.modules.pop(name, None)
        from . import child

        return child.serve
    if role == "worker":
        from . import worker

        return worker.prepare(request["capability"])
    if role == "native":
        from . import native

        return native.serve
    raise ValueError(f"no role {role!r}")


def _report(message: dict[str, Any]) -> None:
    channel = Channel(lockdown.SOCKET_FD)
    channel.send(message)
    channel.flush()
