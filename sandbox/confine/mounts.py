"""The file system that a command sees: a fresh root with the system read-only and the project writable.

Runs in the warden, in its own mount namespace, while it still has every capability there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from . import kernel, overlay
from .kernel import ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_REC
from .layers import PIDS, PROTECTED, USER
from .paths import between
from .request import Request
from .rules import DEVICES

HOME: Final = "/tmp/.home"  # noqa: S108 - the command's own /tmp
SCRATCH: Final = ("/tmp", "/dev/shm")  # noqa: S108
#: Where the new root is put together; whatever lies below is reached through descriptors opened before.
_NEW: Final = "/tmp"  # noqa: S108
_MS_REMOUNT: Final = 32
_MASKED: Final = ("kcore", "keys", "key-users", "kmsg", "sysrq-trigger", "timer_list", "latency_stats", "sched_debug")
_LINKS: Final = {
    "/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2", "/etc/mtab": "/proc/self/mounts",
    "/var/tmp": "/tmp",  # noqa: S108
}  # fmt: skip
_READ_ONLY = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV


def enter_view(request: Request) -> None:
    """Make this process's root the command's view. Raises OSError where the kernel does not let it."""
    kernel.mount("none", "/", flags=MS_REC | kernel.MS_PRIVATE)
    sources = _open_sources(request)
    layers = overlay.open_sources(request) if request.upper else {}
    kernel.mount("tmpfs", _NEW, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
    for path in SCRATCH:
        os.makedirs(_NEW + path)
        kernel.mount("tmpfs", _NEW + path, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,size={request.scratch_bytes}")
    os.mkdir(_NEW + HOME, 0o700)
    _write_etc(request)
    for path in request.system:
        if os.path.islink(path):
            os.makedirs(os.path.dirname(_NEW + path), exist_ok=True)
            os.symlink(os.readlink(path), _NEW + path)
    _mount_proc(request, sources)
    for path in DEVICES:
        _bind(sources[path], path, ATTR_RDONLY | ATTR_NOSUID | ATTR_NOEXEC)
    # Parents first: a mount hides what lies below it.
    for path in sorted({*request.readable, *request.system, *request.etc, request.root} & sources.keys()):
        if path == request.root and request.upper:
            _overlay(request, layers)
            continue
        writable = path == request.root and request.writable
        _bind(sources[path], path, ATTR_NOSUID | ATTR_NODEV if writable else _READ_ONLY)
    if PROTECTED in request.layers:
        _protect(request)
    for path, target in _LINKS.items():
        os.makedirs(os.path.dirname(_NEW + path), exist_ok=True)
        with suppress(FileExistsError):
            os.symlink(target, _NEW + path)
    for fd in (*sources.values(), *layers.values()):
        os.close(fd)
    os.chdir(_NEW)
    kernel.pivot_here()
    kernel.mount("none", "/", flags=_MS_REMOUNT | MS_BIND | kernel.MS_RDONLY | MS_NOSUID | MS_NODEV)


def _open_sources(request: Request) -> dict[str, int]:
    wanted = {*request.readable, *request.system, *request.etc, *DEVICES, request.root, "/proc"}
    links = {path for path in request.system if os.path.islink(path)}
    return {path: os.open(path, os.O_PATH) for path in wanted - links if os.path.exists(path) and path != "/"}


def _bind(source: int, target: str, attributes: int) -> None:
    path = f"/proc/self/fd/{source}"
    if os.path.isdir(path):
        os.makedirs(_NEW + target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(_NEW + target), exist_ok=True)
        if not os.path.lexists(_NEW + target):
            os.close(os.open(_NEW + target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(path, _NEW + target, flags=MS_BIND | MS_REC)
    kernel.set_mount_attributes(_NEW + target, attributes)


def _overlay(request: Request, layers: dict[str, int]) -> None:
    """The view in the project's place, and in it what is shown of the project itself."""
    overlay.mount(request, layers, _NEW + request.root)
    if not request.writable:
        kernel.set_mount_attributes(_NEW + request.root, ATTR_RDONLY)
    if not os.path.isdir(_NEW + request.cwd):
        raise OSError(0, f"{request.cwd} is no folder there")
    for path in sorted({*request.linked} & layers.keys()):
        for target in (*between(request.root, path), path):
            _check_is_covered(target)
        _bind(layers[path], path, _READ_ONLY)


def _protect(request: Request) -> None:
    for path in request.protected:
        # A folder with a mount below it can be renamed away, a mount cannot.
        for target in (*between(request.root, path), path):
            _check_is_covered(target)
            kernel.mount(_NEW + target, _NEW + target, flags=MS_BIND | MS_REC)
        kernel.set_mount_attributes(_NEW + path, _READ_ONLY)


def _check_is_covered(target: str) -> None:
    if os.path.islink(_NEW + target) or not os.path.lexists(_NEW + target):
        raise OSError(0, f"{target} cannot be kept from being written")


def _mount_proc(request: Request, sources: dict[str, int]) -> None:
    """Read-only: root owns the settings of the whole machine in there, capabilities or not."""
    os.mkdir(_NEW + "/proc")
    if PIDS not in request.layers:
        kernel.mount(f"/proc/self/fd/{sources['/proc']}", _NEW + "/proc", flags=MS_BIND | MS_REC)
        kernel.set_mount_attributes(_NEW + "/proc", _READ_ONLY)
        return
    kernel.mount("proc", _NEW + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if USER in request.layers:  # of this namespace: no further ones below it
        with suppress(OSError), open(f"{_NEW}/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as file:
            file.write("0")
    for name in _MASKED:
        target = f"{_NEW}/proc/{name}"
        if os.path.exists(target):
            kernel.mount(f"/proc/self/fd/{sources['/dev/null']}", target, flags=MS_BIND)
    kernel.set_mount_attributes(_NEW + "/proc", _READ_ONLY | ATTR_NOEXEC)


def _write_etc(request: Request) -> None:
    """An account list of one: the command's own user."""
    os.mkdir(_NEW + "/etc")
    name, home = request.environment["USER"], HOME
    uid, gid = os.getuid(), os.getgid()
    for path, line in (("passwd", f"{name}:x:{uid}:{gid}::{home}:/bin/sh"), ("group", f"{name}:x:{gid}:")):
        with open(f"{_NEW}/etc/{path}", "w", encoding="utf-8") as file:
            file.write(line + "\n")
