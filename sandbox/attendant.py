"""Starts a small process that stands between this one and a program: it is told what to do, and tells what came of it.

It begins fresh, without this process's memory and environment, with a control socket and three streams.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from .errors import SandboxUnavailable
from .launcher import interpreter_flags

#: The package under its name, but without its own imports: such a process needs no event loop.
_BOOTSTRAP: Final = """\
import sys, types
from importlib import import_module
module_name, folder, *fds = sys.argv[1:]
for name, path in (
    ("vibe_workflows", ""), ("vibe_workflows.sandbox", folder), ("vibe_workflows.sandbox.confine", folder + "/confine")
):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [path]
import_module(module_name).main(*map(int, fds))
"""
#: All of the environment that it needs.
CLEAN: Final[Mapping[str, str]] = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PYTHON_JIT": "0"}
MAX_REQUEST: Final = 128 << 10


@dataclass(slots=True, kw_only=True)
class Attendant:
    """It runs. The caller owns all of this: the process, and this one's ends of its streams and its control socket."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    stdin: int | None
    stdout: int
    stderr: int


def start_attendant(
    module: str, request: bytes, *, what: str, with_stdin: bool = True, environ: Mapping[str, str] = CLEAN
) -> Attendant:
    """Run `module`'s `main(control, stdin, stdout, stderr)` in a fresh process, with `request` on its socket.

    `what` names it in errors. Blocks for a few milliseconds. Raises SandboxUnavailable.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(request)
    far_stdin, stdin = os.pipe() if with_stdin else (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), None)
    stdout, far_stdout = os.pipe()
    stderr, far_stderr = os.pipe()
    far = (theirs.fileno(), far_stdin, far_stdout, far_stderr)
    folder = str(Path(__file__).resolve().parent)
    try:
        process = subprocess.Popen(
            [sys.executable, *interpreter_flags(), "-c", _BOOTSTRAP, module, folder, *map(str, far)],
            pass_fds=far,
            env=environ,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C at the terminal is the engine's to handle
        )
    except OSError as error:
        ours.close()
        for fd in (stdin, stdout, stderr):
            if fd is not None:
                os.close(fd)
        raise SandboxUnavailable(f"{what} did not start: {error}") from error
    finally:
        theirs.close()
        for fd in far[1:]:
            os.close(fd)
    ours.setblocking(False)
    return Attendant(process=process, control=ours, stdin=stdin, stdout=stdout, stderr=stderr)


async def hear(control: trio.socket.SocketType, most: int) -> dict[str, Any]:
    """Its next message, of at most so many bytes; empty when it is gone."""
    try:
        data = await control.recv(most)
    except ConnectionError:
        data = b""
    found: dict[str, Any] = json.loads(data) if data else {}
    return found
