"""Starts a supervisor, and hands it what it needs: a control socket, three streams, and one JSON request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..attendant import CLEAN, MAX_REQUEST, Attendant, start_attendant
from . import view
from .environment import command_environment
from .layers import ENVIRONMENT, NETWORK
from .mounts import HOME
from .paths import holds
from .policy import Confinement, ConfinementRefused
from .request import Request


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


def start(request: Request, *, with_stdin: bool) -> Attendant:
    """Start a supervisor for `request`. Blocks for a few milliseconds. Raises SandboxUnavailable."""
    body = request.to_json()
    if len(body) > MAX_REQUEST:
        raise ConfinementRefused(f"the command's arguments and environment take {len(body):,} bytes; use a file")
    return start_attendant(
        "vibe_workflows.sandbox.confine.supervisor",
        body,
        what="the supervisor of the command",
        with_stdin=with_stdin,
        environ=CLEAN if ENVIRONMENT in request.layers else {**os.environ, **CLEAN},
    )
