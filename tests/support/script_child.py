"""Plays the host for `child.serve` in a process of its own: no lock, no host, the real interpreter walls."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

_SERVER = """
import os, signal, socket, sys
from vibe_workflows.sandbox import child
{prelude}
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
control = socket.socket(fileno=int(sys.argv[1]))
while True:
    data, fds, _, _ = socket.recv_fds(control, 1, 1)
    if not data:
        break
    if os.fork() == 0:
        control.close()
        child.serve(fds[0])
    os.close(fds[0])
"""

_ENDS = {"done", "error", "refused", "violation"}


class ForkServer:
    """Imports the child once, and forks it for every script. `prelude` is code that may break the child before."""

    def __init__(self, prelude: str = "") -> None:
        self._control, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER.replace("{prelude}", prelude), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={"PYTHONHASHSEED": "0", "PATH": os.environ["PATH"]},
        )
        theirs.close()
        self._sockets: list[socket.socket] = []

    def script(self, source: str, **start: Any) -> Conversation:
        """Start a script; `source` may be indented."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self._control, [b"f"], [theirs.fileno()])
        theirs.close()
        self._sockets.append(ours)
        conversation = Conversation(ours)
        conversation.send(
            {
                "t": "start",
                "source": textwrap.dedent(source),
                "filename": "flow.py",
                "args": {},
                "now": 1_700_000_000.0,
                "seed": "seed",
                "has_model": False,
                "limits": {"tokens": None, "microusd": None, "steps": None, "seconds": None},
                **start,
            }
        )
        return conversation

    def close(self) -> None:
        for each in (*self._sockets, self._control):
            each.close()
        self._process.wait(10)


@dataclass
class Conversation:
    """The host's end of one script's socket."""

    socket: socket.socket
    frames: list[dict[str, Any]] = field(default_factory=list)
    _buffer: bytes = b""

    def __post_init__(self) -> None:
        self.socket.settimeout(30)

    def send(self, *frames: dict[str, Any]) -> None:
        data = b""
        for frame in frames:
            body = json.dumps(frame).encode()
            data += len(body).to_bytes(4, "little") + body
        # A script may have ended before it is answered; what it said can still be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def answer(self, call: int, ok: Any = None, **fields: Any) -> None:
        self.send(answer(call, ok, **fields))

    def next(self) -> dict[str, Any]:
        while len(self._buffer) < 4 or len(self._buffer) < 4 + int.from_bytes(self._buffer[:4], "little"):
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(f"the child is gone after {self.frames[-3:]}")
            self._buffer += data
        end = 4 + int.from_bytes(self._buffer[:4], "little")
        frame: dict[str, Any] = json.loads(self._buffer[4:end])
        self._buffer = self._buffer[end:]
        self.frames.append(frame)
        return frame

    def until_quiet(self) -> list[dict[str, Any]]:
        """The frames up to the next `idle`, or to the end of the script, with it."""
        frames = [self.next()]
        while frames[-1]["t"] not in {"idle", *_ENDS}:
            frames.append(self.next())
        return frames

    def until_end(self) -> Ran:
        """All frames, once the script has ended by what it was answered already."""
        while self.frames[-1]["t"] not in _ENDS:
            self.next()
        return Ran(self.frames)

    def serve(self, reply: Callable[[dict[str, Any]], Any]) -> Ran:
        """Answer every call with `reply(call)`: a value, or a frame made by `answer` or `fault`; None never answers."""
        while True:
            frame = self.next()
            if frame["t"] in _ENDS:
                return Ran(self.frames)
            if frame["t"] == "call":
                given = reply(frame)
                if isinstance(given, dict) and given.get("t") == "answer":
                    self.send(given)
                elif given is not None:
                    self.answer(frame["id"], given)

    def shut_down(self) -> None:
        """Say nothing more."""
        self.socket.shutdown(socket.SHUT_WR)

    def at_end(self, wait_s: float) -> bool:
        """Whether the process closes its end within this time, with nothing more said."""
        self.socket.settimeout(wait_s)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False


@dataclass(frozen=True)
class Ran:
    """All that a script sent."""

    frames: list[dict[str, Any]]

    @property
    def end(self) -> dict[str, Any]:
        return self.frames[-1]

    @property
    def value(self) -> Any:
        assert self.end["t"] == "done", self.end
        return self.end["value"]

    @property
    def error(self) -> tuple[str, str, int]:
        """Type, message and line."""
        assert self.end["t"] == "error", self.end
        trace = self.end["trace"]
        return self.end["type"], self.end["message"], trace[-1]["line"] if trace else 0

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["t"] in kinds]

    @property
    def calls(self) -> list[dict[str, Any]]:
        return self.of("call")

    @property
    def logs(self) -> list[str]:
        return [frame["message"] for frame in self.of("log")]


def answer(call: int, ok: Any = None, **fields: Any) -> dict[str, Any]:
    return {"t": "answer", "id": call, "ok": ok, **fields}


def fault(call: dict[str, Any], error: str = "RateLimited", message: str = "slow down", **fields: Any) -> Any:
    kind = re.sub("(?<!^)(?=[A-Z])", "_", error).lower()
    body = {"type": error, "message": message, "kind": kind, "fields": fields}
    return {"t": "answer", "id": call["id"], "ok": None, "fault": body}


@contextmanager
def fork_server(prelude: str = "") -> Iterator[ForkServer]:
    server = ForkServer(prelude)
    try:
        yield server
    finally:
        server.close()
