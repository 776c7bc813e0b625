"""The process between the engine and one program of the person's own: no wall, but nothing of it outlives the engine.

It gets one JSON request over its control socket, and says there how the program ended:

    in   {"argv", "cwd", "environment"}
    out  {"t": "not started", "number"}   {"t": "ended", "status"}

End of file on that socket means that the program is not wanted any more, or that the engine is gone: it then kills the
program and all that this has started. It ends in any case only when nothing of that is left.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any, NoReturn

from .confine import census, kernel

_PACKET = 1 << 20
#: For how long the program's group is killed again where nobody can see what is left of it.
_BLIND_S = 1.0


def main(control_fd: int, *streams: int) -> NoReturn:
    """`streams` become the program's standard input, output and error."""
    control = socket.socket(fileno=control_fd)
    for fd in (control_fd, *streams):
        os.set_inheritable(fd, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    request = json.loads(control.recv(_PACKET))
    kernel.adopt_orphans()
    children, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    keeper = os.getpid()
    program = os.fork()
    if program == 0:
        _become(request, control, streams, keeper)
    kernel.hide()  # what the program gets in its environment is in this memory, too
    for fd in streams:
        os.close(fd)
    status = _wait(control, children, program)
    _kill(program)
    _send(control, {"t": "ended", "status": status})
    os._exit(0)


def _become(request: dict[str, Any], control: socket.socket, streams: tuple[int, ...], keeper: int) -> NoReturn:
    try:
        os.setsid()  # Ctrl-C at the terminal is the engine's to handle
        kernel.die_with_parent()
        if os.getppid() != keeper:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        for target, fd in enumerate(streams):
            os.dup2(fd, target, inheritable=True)
        os.chdir(request["cwd"])
        os.execve(request["argv"][0], request["argv"], request["environment"])  # noqa: S606 - no shell is wanted
    except OSError as error:
        _send(control, {"t": "not started", "number": error.errno or 0})
    finally:
        os._exit(127)


def _wait(control: socket.socket, children: int, program: int) -> int | None:
    """Until the program has ended, or is not wanted any more: then None."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(children, select.POLLIN)
    while True:
        status = _reaped(program)
        if status is not None:
            return status
        for fd, _ in poll.poll():
            if fd == children:
                with suppress(BlockingIOError):
                    os.read(children, 512)
            elif not control.recv(16):
                return None


def _reaped(program: int) -> int | None:
    """The program's exit status, negative for a signal, if it has ended; other processes are let go on the way."""
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if found[0] == program:
                return os.waitstatus_to_exitcode(found[1])
    return None


def _kill(program: int) -> None:
    """Kill what is left, and wait until it is gone."""
    seen = census.is_possible()
    deadline = None if seen else time.monotonic() + _BLIND_S
    while deadline is None or time.monotonic() < deadline:
        if seen:
            census.kill_all(census.descendants(os.getpid()))
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(program, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        select.select([], [], [], 0.001)  # dying takes its time


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):  # the engine is gone
        control.send(json.dumps(message).encode())
