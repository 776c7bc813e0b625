"""The process between the engine and one command: started fresh, so that it holds nothing that the engine knows.

It speaks JSON over its control socket, one message a packet:

    in   {the request}    "go"
    out  {"t": "ready", "layers"}   {"t": "ended", "status", "over_limit"}
         {"t": "not started", "number", "message"}   {"t": "failed", "message"}
         {"t": "no overlay", "message"}   {"t": "refused", "message"}

End of file on that socket means that the command is not wanted any more, or that the engine is gone: it then kills
all, cleans up, and ends. It ends in any case only when nothing of the command is left.
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

from . import census, kernel, overlay, removal, warden
from .broker import Broker
from .layers import CENSUS, MOUNTS, NAMESPACES, OVERLAY, PIDS, PROTECTED, REAPER, USER
from .placeholders import Placeholders
from .request import Request

_PACKET = 4 << 20
#: How often the processes of a command are counted.
_CENSUS_S = 0.1
_BLIND_S = 1.0


class _NotConfined(Exception):
    """The command's process could not be walled in as wanted; why not."""


class _NoOverlay(Exception):
    """No copy-on-write view could be had; why not."""


def main(control_fd: int, *streams: int) -> NoReturn:
    control = socket.socket(fileno=control_fd)
    try:
        request = Request.from_json(json.loads(control.recv(_PACKET)))
        Supervisor(control, request, streams).run()
    except _NoOverlay as error:
        _send(control, {"t": "no overlay", "message": str(error)})
    except overlay.Busy as error:
        _send(control, {"t": "refused", "message": str(error)})
    except _NotConfined as error:
        _send(control, {"t": "failed", "message": str(error)})
    except BaseException as error:  # noqa: BLE001 - the last act: say why
        _send(control, {"t": "failed", "message": f"{type(error).__name__}: {error}"})
    os._exit(0)


class Supervisor:
    def __init__(self, control: socket.socket, request: Request, streams: tuple[int, ...]) -> None:
        self._control = control
        self._request = request
        self._streams = streams
        self._placeholders = Placeholders()
        self._scratch = ""
        self._upper = -1
        self._free = (0, 0)  # bytes and files on the disk of the upper folder, at the start
        self._why_no_namespaces = ""
        self._lifeline: socket.socket | None = None
        self._start: socket.socket | None = None
        self._broker: Broker | None = None
        self._poll = select.poll()
        self._status: int | None = None
        self._over_limit = ""

    def run(self) -> None:
        """Start the command, wait for its end or for the engine's, and leave nothing behind."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if REAPER in self._request.layers:
            kernel.adopt_orphans()
        try:
            self._start_command()
            kernel.hide()  # not before: what it forked had to write its own maps of users in /proc
            self._close_streams()
            self._serve()
        finally:
            self._kill()
            self._clean()
        _send(self._control, {"t": "ended", "status": self._status, "over_limit": self._over_limit})

    def _start_command(self) -> None:
        """In namespaces; where there are none, without, unless what it writes is to go elsewhere."""
        if self._request.upper:
            self._prepare_overlay()
        root_only = frozenset(self._request.layers) - {USER}
        attempts = [frozenset(self._request.layers)]
        if os.geteuid() == 0 and USER in self._request.layers:
            attempts.append(root_only)
        why = ""
        for layers in attempts:
            if not layers & NAMESPACES:
                continue
            try:
                self._attempt(layers, why)
                return
            except _NotConfined as error:
                why = why or str(error)
                self._kill()
                self._clean()
        if self._request.upper:
            raise _NoOverlay(why)
        self._why_no_namespaces = why or "switched off"
        self._attempt(frozenset(self._request.layers) - NAMESPACES, why)

    def _prepare_overlay(self) -> None:
        if not {MOUNTS, OVERLAY} <= set(self._request.layers):
            raise _NoOverlay("switched off")
        try:
            self._upper = overlay.prepare(self._request)
        except OSError as error:
            raise _NoOverlay(error.strerror or str(error)) from error
        self._free = overlay.room(self._upper)

    def _attempt(self, layers: frozenset[str], why: str) -> None:
        wanted = self._request._replace(layers=sorted(layers))
        if MOUNTS in layers:
            self._cover(wanted)
        else:
            wanted = self._prepare_floor(wanted)
        self._fork_warden(wanted)
        assert self._start is not None
        message, listener = _receive(self._start)
        if message.get("t") != "ready":
            assert self._lifeline is not None
            told = message if message else _receive(self._lifeline)[0]
            raise _NotConfined(told.get("message", "its process ended before it was ready"))
        if listener >= 0:
            protected = wanted.protected if PROTECTED in layers else []
            writable = [wanted.root, self._scratch] if wanted.writable else [self._scratch]
            self._broker = Broker(listener, writable=writable, protected=protected)
            self._poll.register(listener, select.POLLIN)
        self._report(layers, message["layers"])
        self._request = wanted

    def _cover(self, request: Request) -> None:
        if PROTECTED not in request.layers or request.upper:
            return
        for path in request.protected:
            if not self._placeholders.cover(path):
                raise _NotConfined(f"{path} cannot be kept from being made, since the project is read-only")

    def _prepare_floor(self, request: Request) -> Request:
        import tempfile  # takes milliseconds, and is not needed where there are mounts

        self._scratch = tempfile.mkdtemp(prefix="vibe-command-")
        home, temporary = os.path.join(self._scratch, "home"), os.path.join(self._scratch, "tmp")
        os.mkdir(home, 0o700)
        os.mkdir(temporary, 0o700)
        return request._replace(environment={**request.environment, "HOME": home, "TMPDIR": temporary})

    def _fork_warden(self, request: Request) -> None:
        self._lifeline, far_lifeline = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._start, far_start = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        supervisor = os.getpid()
        if os.fork() == 0:
            for each in (self._control, self._lifeline, self._start):
                each.close()
            ends = warden.Ends(lifeline=far_lifeline, start=far_start, streams=self._streams)  # type: ignore[arg-type]
            warden.become_warden(request, ends, supervisor=supervisor, scratch=self._scratch)
        far_lifeline.close()
        far_start.close()

    def _report(self, layers: frozenset[str], installed: dict[str, str]) -> None:
        report = {name: "private" if name in layers else "" for name in sorted(NAMESPACES)}
        if self._why_no_namespaces:
            report["no namespaces"] = self._why_no_namespaces
        elif USER in self._request.layers and USER not in layers:
            report[f"no {USER}"] = "refused; root has the other namespaces without"
        report[PROTECTED] = ("read-only mounts" if MOUNTS in layers else "rules") if PROTECTED in layers else ""
        if self._request.upper:
            report[OVERLAY] = "copy on write"
        seen = census.is_possible()
        report[REAPER] = "on" if PIDS in layers or (REAPER in layers and seen) else ""
        report[CENSUS] = "on" if CENSUS in layers and seen else ""
        if not seen:
            report[f"no {CENSUS}"] = "without /proc nobody sees what a command starts, and leaves behind"
        _send(self._control, {"t": "ready", "layers": report | installed})

    def _close_streams(self) -> None:
        for fd in self._streams:
            os.close(fd)

    def _serve(self) -> None:
        """Until the command has ended, or is not wanted any more, or takes too much."""
        assert self._lifeline is not None
        assert self._start is not None
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._lifeline, select.POLLIN)
        self._poll.register(self._start, select.POLLIN)
        handlers = {
            self._control.fileno(): self._hear_engine,
            self._lifeline.fileno(): self._hear_warden,
            self._start.fileno(): self._hear_start,
        }
        going, counted_at = True, time.monotonic()
        while going:
            ready = self._poll.poll(_CENSUS_S * 1000 if CENSUS in self._request.layers else None)
            for fd, _ in ready:
                going = handlers.get(fd, self._hear_broker)() and going
            if CENSUS in self._request.layers and time.monotonic() - counted_at >= _CENSUS_S:
                going = self._within_limits() and going
                counted_at = time.monotonic()

    def _hear_engine(self) -> bool:
        heard = _receive(self._control)[0]
        if heard == {"t": "go"} and self._start is not None:
            with suppress(OSError):
                self._start.send(b"go")
        return bool(heard)

    def _hear_warden(self) -> bool:
        assert self._lifeline is not None
        self._status = _receive(self._lifeline)[0].get("status")
        return False

    def _hear_start(self) -> bool:
        """End of file: it has executed the command."""
        assert self._start is not None
        message = _receive(self._start)[0]
        if message:
            _send(self._control, message)
        self._poll.unregister(self._start)
        self._start.close()
        return not message

    def _hear_broker(self) -> bool:
        assert self._broker is not None
        self._broker.answer()
        return True

    def _within_limits(self) -> bool:
        found = census.take(census.descendants(os.getpid()))
        if found.tasks > self._request.processes + 3:  # the supervisor's own, between it and the command
            self._over_limit = f"more than {self._request.processes} processes and threads"
        elif found.resident_bytes > self._request.memory_bytes:
            self._over_limit = f"more than {self._request.memory_bytes >> 20} MiB of memory"
        elif self._upper >= 0:
            size, files = (before - now for before, now in zip(self._free, overlay.room(self._upper), strict=True))
            if size > self._request.written_bytes:
                self._over_limit = f"more than {self._request.written_bytes >> 20} MiB less room on the disk"
            elif files > self._request.written_files:
                self._over_limit = f"more than {self._request.written_files} new files on the disk"
        return not self._over_limit

    def _kill(self) -> None:
        """Kill what is left, and wait until it is gone. Closing the lifeline ends the warden, and its namespace."""
        for each in (self._lifeline, self._start):
            if each is not None:
                each.close()
        self._lifeline = self._start = None
        if REAPER not in self._request.layers and PIDS not in self._request.layers:
            return
        # What cannot be found cannot be waited for.
        deadline = None if census.is_possible() else time.monotonic() + _BLIND_S
        while deadline is None or time.monotonic() < deadline:
            census.kill_all(census.descendants(os.getpid()))
            with suppress(ChildProcessError):
                pid = os.waitpid(-1, os.WNOHANG)[0]
                while pid:
                    pid = os.waitpid(-1, os.WNOHANG)[0]
                select.select([], [], [], 0.001)  # dying takes its time
                continue
            return

    def _clean(self) -> None:
        self._placeholders.remove()
        if self._scratch:
            with suppress(OSError):
                removal.remove_folder(self._scratch)
            self._scratch = ""


def _receive(sock: socket.socket) -> tuple[dict[str, Any], int]:
    """A message and the descriptor that came with it; empty at end of file."""
    try:
        data, fds, _, _ = socket.recv_fds(sock, _PACKET, 1)
    except ConnectionError:
        return {}, -1
    return json.loads(data) if data else {}, fds[0] if fds else -1


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):  # the engine is gone
        control.send(json.dumps(message).encode())
