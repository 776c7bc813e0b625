"""Zygotes that begin in a millisecond: copies of one that was started as the product starts it, and is ready.

A copy is a process like that which `start_zygote` starts, in the state that it serves from. Only its parent is another
one: the template, which also adopts what a copy leaves behind when it is killed.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast
from unittest import mock

from vibe_workflows.sandbox import launcher
from vibe_workflows.sandbox.launcher import Zygote, start_zygote

_LAST_LINE = "main(int(control))\n"
_SERVE = """\
import os
from _socket import CMSG_LEN, socket
from vibe_workflows.sandbox import zygote

zygote._preload()
sys.modules["ctypes"].CDLL(None).prctl(36, 1, 0, 0, 0)  # a subreaper
requests = socket(fileno=int(control))
while True:
    word, rights, _, _ = requests.recvmsg(1, CMSG_LEN(8))
    if not word:
        os._exit(0)
    fds = [int.from_bytes(rights[0][2][at : at + 4], "little") for at in range(0, len(rights[0][2]), 4)]
    answer = fds.pop()
    if word == b"z":
        copy = os.fork()
        if copy == 0:
            os.setsid()
            os.close(answer)
            requests.close()
            zygote.Zygote(socket(fileno=zygote._lowest(fds[0]))).serve()
        try:
            os.write(answer, str(copy).encode())
        except BrokenPipeError:  # who asked was killed; the copy sees that, too
            pass
    for fd in fds:
        os.close(fd)
    try:
        while os.waitpid(-1, os.WNOHANG if word == b"z" else 0)[0]:
            pass
    except ChildProcessError:
        pass
    os.close(answer)
"""


class _Copy:
    """What of `subprocess.Popen` a `Zygote` needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle: int | None = None
        with suppress(ProcessLookupError):
            self._handle = os.pidfd_open(pid)

    def wait(self, timeout: float | None = None) -> None:
        if self._handle is None:
            return
        ended, _, _ = select.select([self._handle], [], [], timeout)
        if not ended:
            raise subprocess.TimeoutExpired("zygote", timeout or 0.0)
        os.close(self._handle)
        self._handle = None

    def kill(self) -> None:
        if self._handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)


class Template:
    """For this process, and for those that are forked from it."""

    def __init__(self, process: subprocess.Popen[bytes], requests: socket.socket) -> None:
        self.pid = process.pid
        self._requests = requests

    def start_zygote(self) -> Zygote:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            pid = int(self._ask(b"z", theirs.fileno()))
        return Zygote(cast("Any", _Copy(pid)), ours)

    def settle(self) -> None:
        """Wait until every copy has ended, and all that they left behind."""
        self._ask(b"w")

    def _ask(self, word: bytes, *fds: int) -> bytes:
        reader, writer = os.pipe()
        try:
            socket.send_fds(self._requests, [word], [*fds, writer])
        finally:
            os.close(writer)
        with open(reader, "rb") as answer:
            return answer.read()


def _is_possible() -> bool:
    """Linux with handles on processes, which a container may forbid."""
    if sys.platform != "linux":
        return False
    with suppress(OSError):
        os.close(os.pidfd_open(os.getpid()))
        return True
    return False


@contextmanager
def zygote_template() -> Iterator[Template | None]:
    """Runs for the length of the block; None where there can be none."""
    if not _is_possible():
        yield None
        return
    assert launcher._BOOTSTRAP.endswith(_LAST_LINE)
    with mock.patch.object(launcher, "_BOOTSTRAP", launcher._BOOTSTRAP.removesuffix(_LAST_LINE) + _SERVE):
        started = launcher.start_zygote()
    try:
        yield Template(started.process, started.control)
    finally:
        started.close()


_shared: list[Template] = []


@contextmanager
def template_to_share() -> Iterator[None]:
    """For all tests of this process."""
    with zygote_template() as template:
        _shared[:] = [template] if template is not None else []
        yield
        _shared.clear()


def start_copy() -> Zygote:
    """Of the template that all tests share; where there is none, a zygote of its own."""
    return _shared[0].start_zygote() if _shared else start_zygote()
