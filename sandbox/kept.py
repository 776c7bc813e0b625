"""Starts programs of the person's own that live as long as something needs them, and never longer than this process.

They are not confined: they run with the person's rights. See keeper.py for what stands between.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

from .attendant import MAX_REQUEST, hear, start_attendant
from .errors import SandboxUnavailable

_PACKET: Final = 4_096
#: For how long a program may go on after its input was closed.
GRACE_S: Final = 2.0
#: Killing takes milliseconds, but a busy machine takes its time.
_END_S: Final = 20.0


@dataclass(slots=True, eq=False)
class KeptProgram:
    """A running program: its streams, and afterwards how it ended."""

    stdin: trio.lowlevel.FdStream
    stdout: trio.lowlevel.FdStream
    stderr: trio.lowlevel.FdStream
    problem: str = ""  # why it did not start
    status: int | None = None  # negative for a signal; None while it runs, and where it had to be killed


@asynccontextmanager
async def kept(argv: Sequence[str], *, cwd: str, environ: Mapping[str, str]) -> AsyncIterator[KeptProgram]:
    """A program that runs within this block. `argv[0]` is an absolute path.

    At the end its input is closed, and what has not ended GRACE_S later is killed, with all that it has started;
    nothing of it is left afterwards. That takes bounded time, also when cancelled. Raises SandboxUnavailable.
    """
    request = json.dumps({"argv": list(argv), "cwd": cwd, "environment": dict(environ)}).encode()
    if len(request) > MAX_REQUEST:
        raise SandboxUnavailable(f"the program's arguments and environment take {len(request):,} bytes")
    process, control, program = _start(request)
    watched = trio.socket.from_stdlib_socket(control)
    try:
        async with trio.open_nursery() as nursery:
            heard, listening = trio.Event(), trio.CancelScope(shield=True)  # the last word comes after a cancellation
            nursery.start_soon(_hear, watched, program, heard, listening)
            try:
                yield program
            finally:
                with trio.CancelScope(shield=True):
                    await program.stdin.aclose()
                    with trio.move_on_after(GRACE_S):
                        await heard.wait()
                    watched.shutdown(trio.socket.SHUT_WR)
                    with trio.move_on_after(_END_S):
                        await heard.wait()
                listening.cancel()
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await trio.to_thread.run_sync(process.wait)  # not every kernel and container has handles on processes
            watched.close()
            for stream in (program.stdin, program.stdout, program.stderr):
                await trio.aclose_forcefully(stream)


async def _hear(
    control: trio.socket.SocketType, program: KeptProgram, heard: trio.Event, listening: trio.CancelScope
) -> None:
    """Take in what the keeper tells, until it is gone."""
    with listening:
        while message := await hear(control, _PACKET):
            if message["t"] == "ended":
                program.status = message["status"]
            else:
                program.problem = os.strerror(message["number"])
        heard.set()


def _start(request: bytes) -> tuple[subprocess.Popen[bytes], socket.socket, KeptProgram]:
    """Blocks for a few milliseconds."""
    if sys.platform != "linux":
        raise SandboxUnavailable(
            f"programs are kept on Linux only, and this is {sys.platform}; on Windows run vibe inside WSL 2, on macOS "
            "inside a Linux container"
        )
    started = start_attendant("vibe_workflows.sandbox.keeper", request, what="the keeper of the program")
    assert started.stdin is not None
    stream = trio.lowlevel.FdStream
    program = KeptProgram(stream(started.stdin), stream(started.stdout), stream(started.stderr))
    return started.process, started.control, program
