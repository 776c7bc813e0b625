"""The fork server: preloads what children need, forks one for each request, tells how it ended. Holds no secret.

It speaks JSON over a packet socket, the new child's socket (and back, its pidfd) attached:

    in   {"fork": tag, "role", "capability", "memory_bytes", "cpu_s", "layers"}     {"kill": pid}
    out  {"t": "forked", "tag", "pid"}   {"t": "unforked", "tag", "message"}
         {"t": "exited", "pid", "status", "peak_kib", "cpu_s"}   {"t": "failed", "message"}

End of file on that socket means that the engine is gone: it then kills its children and ends.
"""

from __future__ import annotations

import codecs
import gc
import json
import os
import select
import sys
from _signal import SIG_DFL, SIGCHLD, SIGINT, SIGKILL, set_wakeup_fd, signal  # type: ignore[import-not-found]
from _socket import CMSG_LEN, SCM_RIGHTS, SOL_SOCKET, socket  # `socket` itself takes 5 ms
from typing import Any, NoReturn

from . import boot
from .wire import PIDFD

_PACKET = 65_536
_FIRST_SCRIPT = """\
async def main(args):
    return f"{len([x for x in range(3)]):>4}" + json.dumps({"a": re.sub("a+", "b", "caat")})
"""


def main(control_fd: int) -> NoReturn:
    control = socket(fileno=_lowest(control_fd))
    try:
        _preload()
        Zygote(control).serve()
    except BaseException as error:  # noqa: BLE001 - the last act: say why
        _send(control, {"t": "failed", "message": f"{type(error).__name__}: {error}"})
    os._exit(1)


def _preload() -> None:
    """Load all that a script needs; compiling one now fills the caches that every child would fill again."""
    from . import child  # noqa: F401 - here, so that what fails in it is told over the control socket
    from .policy import compile_script

    for codec in ("ascii", "latin-1", "utf-8"):
        codecs.lookup(codec)  # each is a module of its own, imported at first use
    compile_script(_FIRST_SCRIPT, "first.py")


class Zygote:
    def __init__(self, control: socket) -> None:
        self._control = control
        self._children: set[int] = set()
        self._pid = os.getpid()
        self._woken, waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(waker, False)
        signal(SIGINT, SIG_DFL)  # no KeyboardInterrupt inside a child
        signal(SIGCHLD, lambda _number, _frame: None)
        set_wakeup_fd(waker, warn_on_full_buffer=False)

    def serve(self) -> NoReturn:
        sys.path_importer_cache.clear()  # listings of folders: each child would take the time to drop them
        gc.freeze()  # children share these pages until they write to them; the collector would
        gc.enable()
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._control.fileno() in ready:
                self._answer()

    def _answer(self) -> None:
        try:
            data, rights, _, _ = self._control.recvmsg(_PACKET, CMSG_LEN(4))
        except ConnectionError:  # how a datagram socket says it
            data, rights = b"", []
        if not data:
            for pid in self._children:
                os.kill(pid, SIGKILL)
            os._exit(0)
        request = json.loads(data)
        if "kill" in request:
            if request["kill"] in self._children:  # not reaped, so the number is still that child's
                os.kill(request["kill"], SIGKILL)
            return
        self._fork(request, int.from_bytes(rights[0][2][:4], "little"))

    def _fork(self, request: dict[str, Any], socket_fd: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            os.close(socket_fd)
            _send(self._control, {"t": "unforked", "tag": request["fork"], "message": str(error)})
            return
        if pid == 0:
            boot.become(socket_fd, request, self._pid)
        os.close(socket_fd)
        self._children.add(pid)
        reply = {"t": "forked", "tag": request["fork"], "pid": pid}
        handle = _open_pidfd(pid) if PIDFD in request["layers"] else None
        if handle is None:
            _send(self._control, reply)
            return
        _send(self._control, reply, handle)
        os.close(handle)

    def _reap(self) -> None:
        while self._children:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)
            peak_kib = used.ru_maxrss if os.uname().sysname == "Linux" else used.ru_maxrss // 1024
            cpu_s = used.ru_utime + used.ru_stime
            ended = {"t": "exited", "pid": pid, "status": os.waitstatus_to_exitcode(status), "cpu_s": cpu_s}
            _send(self._control, ended | {"peak_kib": peak_kib})


def _lowest(fd: int) -> int:
    """The same under the lowest number there is: a child closes what it inherits up to a bound."""
    low = os.dup(fd)
    os.close(fd)
    return low


def _open_pidfd(pid: int) -> int | None:
    """None on macOS, on a kernel before 5.3, and in a container that forbids it: the zygote kills on request then."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _send(control: socket, message: dict[str, Any], *fds: int) -> None:
    rights = [(SOL_SOCKET, SCM_RIGHTS, fd.to_bytes(4, "little")) for fd in fds]
    try:
        control.sendmsg([json.dumps(message).encode()], rights)
    except ConnectionError:  # the engine is gone; end of file on the same socket says so next
        return
