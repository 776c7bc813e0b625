"""The trio side of the zygote: forks locked children, kills them, and knows how each one ended."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import trio

from .errors import SandboxUnavailable
from .launcher import Zygote
from .limits import ALL_LAYERS, ChildLimits
from .report import LockedFrame, UnlockedFrame, decode_report

_PACKET = 65_536
_FD_SPACE = socket.CMSG_SPACE(4)
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
#: A cold zygote on a busy machine imports for seconds; a reap takes a millisecond.
_START_S = 30.0
_REAP_S = 5.0


class _Forked(msgspec.Struct, tag_field="t", tag="forked", frozen=True):
    tag: int
    pid: int


class _Unforked(msgspec.Struct, tag_field="t", tag="unforked", frozen=True):
    tag: int
    message: str


class _Exited(msgspec.Struct, tag_field="t", tag="exited", frozen=True):
    pid: int
    status: int
    cpu_s: float
    peak_kib: int


class _Failed(msgspec.Struct, tag_field="t", tag="failed", frozen=True):
    message: str


_decoder = msgspec.json.Decoder(_Forked | _Unforked | _Exited | _Failed)


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a child ended: `status` is its exit code, or the negated signal; None where nobody could see it."""

    status: int | None
    cpu_s: float = 0.0
    peak_kib: int = 0


class Child:
    """One locked process and the socket into it. `release` it in the end, whatever happened."""

    def __init__(self, forker: Forker, pid: int, pidfd: int | None, sock: trio.socket.SocketType) -> None:
        self.pid = pid
        self.socket = sock
        self.layers: dict[str, str] = {}  # as the child itself reports its lock
        self._forker = forker
        self._pidfd = pidfd
        self._exited = trio.Event()
        self._exit = Exit(status=None)
        self._abandoned = False

    def kill(self) -> None:
        """Kill the child, whatever it does. Safe to repeat."""
        if self._exited.is_set():
            return
        if self._pidfd is None:
            self._forker.kill(self.pid)
            return
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:  # it is gone; its exit is on the way
            pass
        except OSError:  # a container may forbid it
            self._forker.kill(self.pid)

    async def wait(self) -> Exit:
        """Wait until the child is gone and reaped."""
        await self._exited.wait()
        return self._exit

    async def release(self) -> Exit:
        """Kill, reap, and close all that belongs to the child. Not cancellable; bounded."""
        self.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _REAP_S):
            await self._exited.wait()
        self._close()
        return self._exit

    def abandon(self) -> None:
        """Kill a child that nobody waits for any more; what belongs to it is closed when it is gone."""
        self._abandoned = True
        self.kill()

    def set_exit(self, end: Exit) -> None:
        self._exit = end
        self._exited.set()
        if self._abandoned:
            self._close()

    def _close(self) -> None:
        self.socket.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


class _Request(msgspec.Struct):
    """A fork that was asked for. `child` or `refusal` is set with `settled`."""

    sock: trio.socket.SocketType
    settled: trio.Event = msgspec.field(default_factory=trio.Event)
    child: Child | None = None
    refusal: str = ""
    abandoned: bool = False


class Forker:
    """Use through `open_forker`: it owns the control socket, and a task that reads it."""

    def __init__(self, zygote: Zygote) -> None:
        self._zygote = zygote
        zygote.control.setblocking(False)
        self._control = trio.socket.from_stdlib_socket(zygote.control)
        self._requests: dict[int, _Request] = {}
        self._children: dict[int, Child] = {}
        self._gone = ""

    async def fork(
        self, role: str, limits: ChildLimits, *, capability: str = "", layers: frozenset[str] = ALL_LAYERS
    ) -> Child:
        """A new child, locked. Raises SandboxUnavailable.

        Cancelled, the child that was on its way is killed as soon as it is there.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        tag = next(self._zygote.tags)
        request = self._requests[tag] = _Request(trio.socket.from_stdlib_socket(ours))
        message = {
            "fork": tag,
            "role": role,
            "capability": capability,
            "memory_bytes": limits.memory_bytes,
            "cpu_s": limits.cpu_s,
            "layers": sorted(layers),
        }
        try:
            with theirs:
                await self._send(msgspec.json.encode(message), theirs.fileno())
            with trio.move_on_after(_START_S):
                await request.settled.wait()
        finally:
            if request.child is None:
                request.abandoned = True
                ours.close()
        if request.child is None:
            raise SandboxUnavailable(request.refusal or "the sandbox's helper process does not answer; try again")
        try:
            request.child.layers = await _read_report(request.child)
        except BaseException:
            request.child.abandon()
            raise
        return request.child

    def kill(self, pid: int) -> None:
        """Have the zygote kill a child: where there is no pidfd, only the parent knows whose number it is."""
        with suppress(OSError):  # the zygote is gone, and has taken its children with it
            self._zygote.control.send(msgspec.json.encode({"kill": pid}))

    async def read_control(self) -> None:
        """Take in what the zygote tells, until it is gone."""
        try:
            while await self._read_packet():
                pass
        except OSError:
            pass  # how a datagram socket says end of file
        self._lose("the sandbox's helper process ended; try again")

    async def close(self) -> None:
        """Kill and reap every child that is left."""
        left = list(self._children.values())
        for child in left:
            child.kill()
        for child in left:
            await child.release()

    async def _send(self, data: bytes, fd: int) -> None:
        if self._gone:
            raise SandboxUnavailable(self._gone)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, "little"))]
        try:
            await self._control.sendmsg([data], rights)
        except OSError as error:
            raise SandboxUnavailable(f"the sandbox's helper process ended ({error}); try again") from error

    async def _read_packet(self) -> bytes:
        data, ancillary, _, _ = await self._control.recvmsg(_PACKET, _FD_SPACE, _CLOSE_ON_EXEC)
        fds = [
            int.from_bytes(rights[at : at + 4], "little")
            for level, kind, rights in ancillary
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS
            for at in range(0, len(rights) - len(rights) % 4, 4)
        ]
        if data:
            self._take(_decoder.decode(data), fds[0] if fds else None)
        return data

    def _take(self, message: _Forked | _Unforked | _Exited | _Failed, pidfd: int | None) -> None:
        """What an earlier block on this zygote asked for, and was cancelled before it came, may come as well."""
        match message:
            case _Forked():
                request = self._requests.pop(message.tag, None)
                if request is None:
                    self.kill(message.pid)
                    if pidfd is not None:
                        os.close(pidfd)
                    return
                child = self._children[message.pid] = Child(self, message.pid, pidfd, request.sock)
                if request.abandoned:
                    child.abandon()
                request.child = child
                request.settled.set()
            case _Unforked():
                request = self._requests.pop(message.tag, None)
                if request is None:
                    return
                request.refusal = f"no process for the sandbox ({message.message}); close some programs and try again"
                request.settled.set()
            case _Exited():
                ended = self._children.pop(message.pid, None)
                if ended is None:
                    return
                ended.set_exit(Exit(status=message.status, cpu_s=message.cpu_s, peak_kib=message.peak_kib))
            case _Failed():
                self._lose(f"the sandbox's helper process failed to start: {message.message}")

    def _lose(self, why: str) -> None:
        self._gone = self._gone or why
        for request in self._requests.values():
            request.refusal = self._gone
            request.settled.set()
        self._requests.clear()
        # The kernel kills them with their parent; nobody is left to tell how they ended.
        for child in self._children.values():
            child.set_exit(Exit(status=None))
        self._children.clear()


async def _read_report(child: Child) -> dict[str, str]:
    """The child's first frame: it has read nothing yet, so this is our own code talking."""
    report = None
    with trio.move_on_after(_START_S):
        header = await _exactly(child, 4)
        body = await _exactly(child, int.from_bytes(header, "little")) if header else b""
        report = decode_report(body) if body else None
    match report:
        case LockedFrame():
            return report.layers
        case UnlockedFrame():
            raise SandboxUnavailable(f"the sandbox could not lock its process: {report.message}; see `vibe doctor`")
        case None:
            raise SandboxUnavailable("the sandbox's process ended before it was locked; see `vibe doctor`")


async def _exactly(child: Child, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = await child.socket.recv(count - len(data))
        if not part:
            return b""
        data += part
    return data


@asynccontextmanager
async def open_forker(zygote: Zygote) -> AsyncIterator[Forker]:
    """Drive `zygote` for the length of the block; children that are left at its end are killed. Once per zygote."""
    forker = Forker(zygote)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(forker.read_control)
        try:
            yield forker
        except Exception as error:  # noqa: BLE001 - raised again below: the nursery would wrap it in a group
            failure = error
        finally:
            await forker.close()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
