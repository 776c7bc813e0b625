"""What a child may use up, and what the host will hold on its behalf. What children know, too, is in `wire`."""

from __future__ import annotations

from typing import NamedTuple

from .wire import (
    ADDRESS_SPACE,
    ALL_LAYERS,
    LANDLOCK,
    MAX_CONTAINERS,
    MAX_FRAME,
    MAX_ID,
    MAX_JSON_DEPTH,
    MESSAGE_CHARS,
    MIB,
    PIDFD,
    PRIVILEGES,
    SECCOMP,
)

__all__ = [
    "ADDRESS_SPACE",
    "ALL_LAYERS",
    "LANDLOCK",
    "MAX_CONTAINERS",
    "MAX_FRAME",
    "MAX_ID",
    "MAX_JSON_DEPTH",
    "MIB",
    "PIDFD",
    "PRIVILEGES",
    "SECCOMP",
    "ChildLimits",
    "HostLimits",
]


class ChildLimits(NamedTuple):
    """Enforced by the kernel, on the child."""

    memory_bytes: int = 256 * MIB  # address space
    cpu_s: int = 30  # of its own CPU time, in all


class HostLimits(NamedTuple):
    """Enforced by the host, on what the child sends. A child that goes beyond one is killed."""

    child: ChildLimits = ChildLimits()
    wall_s: float | None = None
    stall_s: float = 60.0  # silence while the engine owes nothing
    calls: int = 100_000
    open_calls: int = 100_000  # the engine runs fewer at once; the rest wait with it
    open_bytes: int = 256 * MIB  # of their parameters, all of which the engine holds
    scopes: int = 1_000_000  # ids issued, branches included
    branches: int = 100_000  # of one scope
    scope_depth: int = 64
    logs: int = 20_000
    log_bytes: int = 32 * MIB
    message_chars: int = MESSAGE_CHARS
    received_bytes: int = 1024 * MIB
    unread_bytes: int = 128 * MIB  # answers that the child has not read
