"""Stands between the supervisor and the command: makes the namespaces, is the first process in them, starts it.

In a process namespace it is process 1: when it ends, the kernel kills all the others. It ends with the command, and as
soon as its socket to the supervisor closes.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from contextlib import suppress
from typing import NoReturn

from . import kernel, mounts
from .command import become_command
from .layers import CAPABILITIES, IPC, MOUNTS, NETWORK, PIDS, USER
from .request import Request

_FLAGS = {
    USER: kernel.CLONE_NEWUSER,
    MOUNTS: kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP,
    PIDS: kernel.CLONE_NEWPID,
    NETWORK: kernel.CLONE_NEWNET,
    IPC: kernel.CLONE_NEWIPC,
}
#: What root is called inside: programs that see uid 0 try what only root can, and fail.
_UNPRIVILEGED_ID = 1000


class Ends:
    """Descriptors that the supervisor made before it forked."""

    def __init__(self, *, lifeline: socket.socket, start: socket.socket, streams: tuple[int, int, int]) -> None:
        self.lifeline = lifeline  # end of file on it means that the supervisor wants an end, or is gone
        self.start = start  # the command's process reports on it, until it executes
        self.streams = streams


def become_warden(request: Request, ends: Ends, *, supervisor: int, scratch: str) -> NoReturn:
    """Runs in a fresh fork of the supervisor; ends after the command. Tells on the lifeline how the command ended."""
    try:
        _follow(supervisor)
        flags = 0
        for layer, flag in _FLAGS.items():
            if layer in request.layers:
                flags |= flag
        if flags:
            _unshare(request, flags)
        if PIDS in request.layers:
            _go_between(ends)
        if NETWORK in request.layers:
            kernel.bring_up_loopback()
        if MOUNTS in request.layers:
            mounts.enter_view(request)
        kernel.no_new_privileges()
        if CAPABILITIES in request.layers:
            kernel.drop_capabilities()
        kernel.hide()
        command = os.fork()
        if command == 0:
            become_command(request, start=ends.start, streams=ends.streams, scratch=scratch)
        ends.start.close()
        for fd in ends.streams:
            os.close(fd)
        _watch(ends.lifeline, command)
    except OSError as error:
        _tell(ends.lifeline, {"t": "failed", "message": error.strerror or str(error)})
    except BaseException as error:  # noqa: BLE001 - the last act: say why
        _tell(ends.lifeline, {"t": "failed", "message": f"{type(error).__name__}: {error}"})
    os._exit(1)


def _follow(parent: int) -> None:
    kernel.die_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def _unshare(request: Request, flags: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(flags)
    if USER not in request.layers:
        return
    maps = (
        ("setgroups", "deny"),
        ("uid_map", f"{uid or _UNPRIVILEGED_ID} {uid} 1"),
        ("gid_map", f"{gid or _UNPRIVILEGED_ID} {gid} 1"),
    )
    for name, text in maps:
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _go_between(ends: Ends) -> None:
    """Fork into the new process namespace; the caller goes on as process 1 there, this process waits for it."""
    first = os.fork()
    if first == 0:
        kernel.die_with_parent()  # a parent that is gone already has closed the lifeline's other end, too
        return
    ends.lifeline.close()
    ends.start.close()
    for fd in ends.streams:
        os.close(fd)
    os.waitpid(first, 0)
    os._exit(0)


def _watch(lifeline: socket.socket, command: int) -> None:
    woken, waker = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(woken, select.POLLIN)
    poll.register(lifeline, select.POLLIN)
    while (status := _reap(command)) is None:
        ready = {fd for fd, _ in poll.poll(1000)}  # a second: should a wake-up ever be lost
        if lifeline.fileno() in ready:
            os._exit(0)
        with suppress(BlockingIOError):
            os.read(woken, 4096)
    _tell(lifeline, {"t": "ended", "status": status})
    os._exit(0)


def _reap(command: int) -> int | None:
    """Collect the dead; returns how the command ended, once it has."""
    status = None
    with suppress(ChildProcessError):
        while True:
            pid, code = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == command:
                status = os.waitstatus_to_exitcode(code)
    return status


def _tell(lifeline: socket.socket, message: dict[str, object]) -> None:
    with suppress(OSError):
        lifeline.send(json.dumps(message).encode())
