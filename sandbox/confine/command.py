"""What a forked process does before it becomes the command: shed what it inherited, lock itself, report, wait, exec."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from typing import Final, NoReturn

from ..errors import LockFailed
from . import filter as command_filter
from . import kernel, rules
from .layers import (
    BROKER,
    CAPABILITIES,
    DESCRIPTORS,
    ENVIRONMENT,
    IPC,
    LANDLOCK,
    LIMITS,
    MOUNTS,
    NETWORK,
    PIDS,
    PROTECTED,
    SCOPE,
    SECCOMP,
    SESSION,
)  # fmt: skip
from .mounts import SCRATCH
from .request import Request

#: Where the command's process keeps its socket to the supervisor until it executes.
_START_FD: Final = 3
NOT_STARTED: Final = 126


def become_command(request: Request, *, start: socket.socket, streams: tuple[int, int, int], scratch: str) -> NoReturn:
    """Lock this process, report on `start`, execute when told to. Never returns.

    `scratch` is the private temporary folder where mounts give none.
    """
    try:
        start = _keep_only(request, start, streams)
        layers, listener = _lock(request, scratch)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, listener.to_bytes(4, "little"))] if listener >= 0 else []
        start.sendmsg([json.dumps({"t": "ready", "layers": layers}).encode()], rights)
        if listener >= 0:
            os.close(listener)
        if start.recv(16) != b"go":
            os._exit(NOT_STARTED)
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                signal.signal(number, signal.SIG_DFL)
        environment = request.environment if ENVIRONMENT in request.layers else {**os.environ, **request.environment}
        os.execvpe(request.argv[0], request.argv, environment)  # noqa: S606 - that is the point: no shell
    except OSError as error:
        message = {"t": "not started", "number": error.errno or 0, "message": error.strerror or str(error)}
    except BaseException as error:  # noqa: BLE001 - an unlocked process must not go on, whatever went wrong
        message = {"t": "failed", "message": f"{type(error).__name__}: {error}"}
    start.send(json.dumps(message).encode())
    os._exit(NOT_STARTED)


def _keep_only(request: Request, start: socket.socket, streams: tuple[int, int, int]) -> socket.socket:
    if SESSION in request.layers:
        os.setsid()
    # Out of the way of the numbers that they go to.
    high = [os.dup(fd) for fd in streams]
    for number, fd in enumerate(high):
        os.dup2(fd, number)
    os.dup2(start.fileno(), _START_FD, inheritable=False)
    start.detach()
    if DESCRIPTORS in request.layers:
        os.closerange(_START_FD + 1, os.sysconf("SC_OPEN_MAX"))
    os.umask(request.umask)
    return socket.socket(fileno=_START_FD)


def _lock(request: Request, scratch: str) -> tuple[dict[str, str], int]:
    """Install every layer of a process; returns which are in force, and where the broker's questions come from."""
    wanted = request.layers
    layers = {ENVIRONMENT: "allowlist", DESCRIPTORS: "closed", SESSION: "own"}
    layers = {name: text if name in wanted else "" for name, text in layers.items()}
    layers |= dict.fromkeys((LANDLOCK, SCOPE, SECCOMP, BROKER, CAPABILITIES, LIMITS), "")
    if LIMITS in wanted:
        _set_limits(request)
        layers[LIMITS] = "set"
    kernel.no_new_privileges()
    os.chdir(request.cwd)
    installed = rules.Installed(0, scoped=False)
    if LANDLOCK in wanted:
        try:
            installed = _landlock(request, scratch)
            layers[LANDLOCK] = f"ABI {installed.version}"
            layers[SCOPE] = "signals, abstract sockets" if installed.scoped else ""
        except LockFailed as error:
            layers[f"no {LANDLOCK}"] = str(error)
    if CAPABILITIES in wanted:
        kernel.drop_capabilities()
        layers[CAPABILITIES] = "none left"
    listener = -1
    if SECCOMP in wanted:
        try:
            listener = _seccomp(request, installed)
            layers[SECCOMP] = "filter"
            layers[BROKER] = "answers" if listener >= 0 else ""
        except OSError as error:
            layers[f"no {SECCOMP}"] = str(error)
    return layers, listener


def _set_limits(request: Request) -> None:
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: request.cpu_s,
        resource.RLIMIT_FSIZE: request.file_bytes,
        resource.RLIMIT_NOFILE: request.open_files,
        resource.RLIMIT_MEMLOCK: 8 << 20,
    }
    if hasattr(resource, "RLIMIT_RTPRIO"):
        wanted |= {resource.RLIMIT_NICE: 0, resource.RLIMIT_RTPRIO: 0, resource.RLIMIT_MSGQUEUE: 0}
    for name, value in wanted.items():
        hard = resource.getrlimit(name)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (most, most))


def _landlock(request: Request, scratch: str) -> rules.Installed:
    if MOUNTS in request.layers:
        readable, writable = ["/"], [*SCRATCH, *rules.DEVICES]
        writable += [request.root] if request.writable else []
    else:
        protected = request.protected if PROTECTED in request.layers else []
        readable = [*request.system, *request.etc, *request.readable, request.root, *rules.SYSTEM_FILES]
        writable = [scratch, *rules.DEVICES]
        writable += rules.writable_entries(request.root, protected) if request.writable else []
    tcp = request.network or NETWORK in request.layers
    return rules.restrict(readable=readable, writable=writable, tcp=tcp, scope=SCOPE in request.layers)


def _seccomp(request: Request, landlock: rules.Installed) -> int:
    families: tuple[int, ...] = ()
    if request.network or NETWORK in request.layers:
        families = (command_filter.AF_INET, command_filter.AF_INET6)
        # Of unix sockets the file system shows none; abstract ones belong to the network's namespace.
        if MOUNTS in request.layers and (landlock.scoped or (NETWORK in request.layers and not request.network)):
            families += (command_filter.AF_UNIX,)
    leaks = command_filter.Leaks(
        metadata=MOUNTS not in request.layers,
        truncation=MOUNTS not in request.layers and 0 < landlock.version < 3,
        processes=PIDS not in request.layers,
        signals=PIDS not in request.layers and not landlock.scoped,
        ipc=IPC not in request.layers,
        broker=BROKER in request.layers,
    )
    assert kernel.arch is not None  # else the capabilities could not have been dropped
    program = command_filter.build_filter(
        kernel.arch, os.uname().machine, families=families, leaks=leaks, uid=os.getuid(), gid=os.getgid()
    )
    return kernel.install_filter(program, listen=leaks.broker and (leaks.metadata or leaks.signals))
