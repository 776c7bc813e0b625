"""What both ends of the wire agree on, what a child may use up, and what the host will hold on its behalf.

Children load this: NamedTuples, since the import of dataclasses takes a cold start 12 ms.
"""

from __future__ import annotations

from typing import NamedTuple

MIB = 1 << 20

#: Largest body of a frame, either way. Part of the wire format: the child refuses more, too.
MAX_FRAME = 16 * MIB
#: Deepest JSON that crosses the wire, so that nothing behind it meets a recursion limit.
MAX_JSON_DEPTH = 200
#: Arrays and objects in one frame: `[[],[],...]` costs the reader twenty times its size.
MAX_CONTAINERS = 500_000
#: Ids stay exact in every JSON reader.
MAX_ID = 1 << 53

LANDLOCK, SECCOMP, PRIVILEGES, PIDFD = "landlock", "seccomp", "privileges", "pidfd"
#: The layers of wall 2 that a fork request can switch off, to test what the rest holds.
ALL_LAYERS = frozenset({LANDLOCK, SECCOMP, PRIVILEGES, PIDFD})


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
    message_chars: int = 8_192
    received_bytes: int = 1024 * MIB
    unread_bytes: int = 128 * MIB  # answers that the child has not read
