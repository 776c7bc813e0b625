"""Runs one command behind the walls, reads what it says, and comes back only when nothing of it is left."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from ..attendant import Attendant, hear
from ..errors import SandboxUnavailable
from ..level import Level
from ..limits import MIB
from . import starting
from .layers import ALL_LAYERS, level_of
from .policy import MAX_TIMEOUT_S, CommandEnd, CommandNotStarted, Confinement, ConfinementRefused, NoOverlay

_PACKET = 4 * MIB
_CHUNK = 65_536
#: A cold start on a busy machine takes seconds; killing takes milliseconds, but memory is given back first.
_START_S: Final = 30.0
_END_S: Final = 20.0
_DRAIN_S: Final = 2.0


@dataclass(slots=True)
class _Output:
    """Keeps the first `most` bytes, counts the others."""

    most: int
    kept: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    def add(self, data: bytes) -> None:
        room = self.most - len(self.kept)
        self.kept += data[:room]
        self.dropped += max(0, len(data) - room)


@dataclass(slots=True)
class _Running:
    """One command, from its start to its end."""

    started: Attendant
    control: trio.socket.SocketType
    stdout: _Output
    stderr: _Output
    layers: Mapping[str, str] = field(default_factory=dict)
    level: Level = Level.WEAK
    status: int | None = None
    over_limit: str = ""
    refusal: Exception | None = None


async def run_confined(
    argv: Sequence[str],
    *,
    cwd: Path,
    policy: Confinement,
    timeout_s: float = 30.0,
    output_bytes: int = 8 * MIB,
    stdin: bytes = b"",
    at_least: Level = Level.STRONG,
    layers: frozenset[str] = ALL_LAYERS,
) -> CommandEnd:
    """Run `argv` in `cwd`, confined; returns when it has ended and nothing of it is left, nor of its descendants.

    `output_bytes` is kept of each stream, the rest is counted. At the time limit all is killed. Cancelled, the same.
    Raises ConfinementRefused for what cannot be confined as asked, or not up to `at_least` here, before anything of the
    command runs; CommandNotStarted; SandboxUnavailable.
    """
    if sys.platform != "linux":
        raise ConfinementRefused(
            f"commands are confined on Linux only, and this is {sys.platform}; on Windows run vibe inside WSL 2, "
            "on macOS inside a Linux container"
        )
    if not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise ConfinementRefused(f"a time limit of {timeout_s:g} s; it is at most {MAX_TIMEOUT_S:g} s")
    request = starting.make_request(list(argv), cwd=cwd, policy=policy, ours=os.environ, layers=layers)
    started = starting.start(request, with_stdin=bool(stdin))
    running = _Running(
        started, trio.socket.from_stdlib_socket(started.control), _Output(output_bytes), _Output(output_bytes)
    )
    begun = trio.current_time()
    with trio.move_on_after(timeout_s) as deadline:
        await _converse(running, stdin, network=policy.network, at_least=at_least)
    if running.refusal is not None:
        raise running.refusal
    status = running.status
    return CommandEnd(
        exit_code=status if status is not None and status >= 0 else None,
        signal=-status if status is not None and status < 0 else None,
        stdout=bytes(running.stdout.kept),
        stderr=bytes(running.stderr.kept),
        stdout_dropped=running.stdout.dropped,
        stderr_dropped=running.stderr.dropped,
        timed_out=deadline.cancelled_caught,
        over_limit=running.over_limit,
        seconds=trio.current_time() - begun,
        level=running.level,
        layers=running.layers,
    )


async def _converse(running: _Running, stdin: bytes, *, network: bool, at_least: Level) -> None:
    """Serve the command until its end. However this ends, the supervisor is gone afterwards, and all below it."""
    started = running.started
    stdout, stderr = trio.lowlevel.FdStream(started.stdout), trio.lowlevel.FdStream(started.stderr)
    writer = trio.lowlevel.FdStream(started.stdin) if started.stdin is not None else None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_collect, stdout, running.stdout)
            nursery.start_soon(_collect, stderr, running.stderr)
            if writer is not None:
                nursery.start_soon(_feed, writer, stdin)
            await _hear(running, network=network, at_least=at_least)
            running.control.shutdown(trio.socket.SHUT_WR)  # refused, it still waits for a word
            if writer is not None:
                await writer.aclose()  # a command that never read all of it has ended
    finally:
        with trio.CancelScope(shield=True):
            await _end(running)
            # The pipes have lost their last writer, so this ends at once.
            with trio.move_on_after(_DRAIN_S):
                for stream, output in ((stdout, running.stdout), (stderr, running.stderr)):
                    await _collect(stream, output)
            for each in (stdout, stderr, writer):
                if each is not None:
                    await trio.aclose_forcefully(each)


async def _hear(running: _Running, *, network: bool, at_least: Level) -> None:
    """Take in what the supervisor tells, until it is gone."""
    while message := await hear(running.control, _PACKET):
        match message.get("t"):
            case "ready":
                running.layers = message["layers"]
                running.level = level_of(running.layers, network=network)
                if not running.level.meets(at_least):
                    running.refusal = ConfinementRefused(_too_weak(running, at_least))
                    return
                await _send(running.control, {"t": "go"})
            case "ended":
                running.status, running.over_limit = message["status"], message["over_limit"]
            case "not started":
                text = f"{os.strerror(message['number']) if message['number'] else message['message']}"
                running.refusal = CommandNotStarted(f"the command did not start: {text}")
            case "no overlay":
                running.refusal = NoOverlay(
                    f"no copy-on-write view of the project can be had: {message['message'] or 'see vibe doctor'}; "
                    "let the command work on a copy"
                )
            case "refused":
                running.refusal = ConfinementRefused(f"{message['message']}; one works there at a time")
            case _:
                running.refusal = SandboxUnavailable(f"the command could not be confined: {message.get('message')}")


def _too_weak(running: _Running, at_least: Level) -> str:
    why = "; ".join(f"{name}: {text}" for name, text in running.layers.items() if name.startswith("no "))
    return (
        f"commands are confined to level {running.level} here, and {at_least} is asked for "
        f"({why or 'see vibe doctor'}); accept {running.level} in your own config to run them all the same"
    )


async def _send(control: trio.socket.SocketType, message: dict[str, Any]) -> None:
    try:
        await control.send(json.dumps(message).encode())
    except OSError:  # it is gone, as the next read says
        return


async def _collect(stream: trio.lowlevel.FdStream, output: _Output) -> None:
    while data := await stream.receive_some(_CHUNK):
        output.add(data)


async def _feed(stream: trio.lowlevel.FdStream, data: bytes) -> None:
    try:
        await stream.send_all(data)
        await stream.aclose()
    except (trio.BrokenResourceError, trio.ClosedResourceError):  # it does not want more
        return


async def _end(running: _Running) -> None:
    """End the supervisor and all below it, and reap it. Bounded, whatever the command does."""
    running.control.shutdown(trio.socket.SHUT_WR)
    process = running.started.process
    with trio.move_on_after(_END_S):
        await _hear_last(running)
    process.kill()  # its warden goes with it, and with that the namespaces
    await trio.to_thread.run_sync(process.wait)  # not every kernel and container has handles on processes
    running.control.close()


async def _hear_last(running: _Running) -> None:
    while message := await hear(running.control, _PACKET):
        if message.get("t") == "ended" and running.status is None:
            running.status, running.over_limit = message["status"], message["over_limit"]
