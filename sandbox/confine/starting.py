"""Starts a supervisor, and hands it what it needs: a control socket, three streams, and one JSON request."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import SandboxUnavailable
from ..launcher import interpreter_flags
from . import view
from .environment import command_environment
from .layers import ENVIRONMENT, NETWORK
from .mounts import HOME
from .paths import holds
from .policy import Confinement, ConfinementRefused
from .request import Request

#: The package under its name, but without its own imports: the supervisor needs no event loop.
_BOOTSTRAP: Final = """\
import sys, types
folder, *fds = sys.argv[1:]
for name, path in (
    ("vibe_workflows", ""), ("vibe_workflows.sandbox", folder), ("vibe_workflows.sandbox.confine", folder + "/confine")
):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [path]
from vibe_workflows.sandbox.confine.supervisor import main
main(*map(int, fds))
"""
_MAX_REQUEST: Final = 128 << 10


@dataclass(slots=True, kw_only=True)
class Started:
    """A running supervisor and this process's ends of its pipes and of its control socket. The caller owns all."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    stdin: int | None
    stdout: int
    stderr: int


def make_request(
    argv: list[str], *, cwd: Path, policy: Confinement, ours: Mapping[str, str], layers: frozenset[str]
) -> Request:
    """All that the supervisor needs to know. Raises ConfinementRefused for what cannot be confined."""
    root = view.project_root(policy)
    folder = os.path.realpath(cwd)
    if not argv or any("\0" in each for each in argv):
        raise ConfinementRefused("a command is a list of at least one text, without null characters")
    upper, lower = view.overlay_folders(policy, root)
    # What is no folder yet may be one in the upper layer.
    if not holds(root, folder) or not (upper or os.path.isdir(folder)):
        raise ConfinementRefused(f"{cwd} is no folder of the project {root}; commands run inside of it")
    environment = command_environment(ours, policy.environment)
    temporary = {} if ENVIRONMENT not in layers else {"HOME": HOME, "TMPDIR": "/tmp"}  # noqa: S108 - its own
    limits = policy.limits
    return Request(
        argv=argv,
        cwd=folder,
        environment={**environment, **temporary},
        root=root,
        upper=upper,
        lower=lower,
        linked=view.linked_paths(policy, root, lower),
        writable=policy.writable,
        protected=view.protected_paths(policy, root) if policy.writable else [],  # read-only, all of it is
        # What lies in the project is seen anyway; a read-only view of it would take its writing away.
        readable=[path for path in view.readable(policy, environment) if not holds(root, path)],
        system=[path for path in view.SYSTEM if os.path.lexists(path)],
        etc=[path for name in view.ETC if os.path.exists(path := f"/etc/{name}")],
        network=policy.network,
        layers=sorted(layers - {NETWORK} if policy.network else layers),
        umask=0o022,
        memory_bytes=limits.memory_bytes,
        processes=limits.processes,
        file_bytes=limits.file_bytes,
        scratch_bytes=limits.scratch_bytes,
        cpu_s=limits.cpu_s,
        open_files=limits.open_files,
        written_bytes=limits.written_bytes,
        written_files=limits.written_files,
    )


def start(request: Request, *, with_stdin: bool) -> Started:
    """Start a supervisor for `request`. Blocks for a few milliseconds. Raises SandboxUnavailable."""
    body = request.to_json()
    if len(body) > _MAX_REQUEST:
        raise ConfinementRefused(f"the command's arguments and environment take {len(body):,} bytes; use a file")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(body)
    far_stdin, stdin = os.pipe() if with_stdin else (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), None)
    stdout, far_stdout = os.pipe()
    stderr, far_stderr = os.pipe()
    far = (theirs.fileno(), far_stdin, far_stdout, far_stderr)
    folder = str(Path(__file__).resolve().parents[1])
    try:
        process = subprocess.Popen(
            [sys.executable, *interpreter_flags(), "-c", _BOOTSTRAP, folder, *map(str, far)],
            pass_fds=far,
            env=_supervisor_environment(request),
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
        raise SandboxUnavailable(f"the supervisor of the command did not start: {error}") from error
    finally:
        theirs.close()
        for fd in far[1:]:
            os.close(fd)
    return Started(process=process, control=ours, stdin=stdin, stdout=stdout, stderr=stderr)


def _supervisor_environment(request: Request) -> dict[str, str]:
    clean = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PYTHON_JIT": "0"}
    return clean if ENVIRONMENT in request.layers else {**os.environ, **clean}
