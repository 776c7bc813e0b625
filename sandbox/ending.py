"""How a script's process ended, in words for the person whose script it was."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from .forker import Exit
from .frames import Problem
from .limits import MIB, ChildLimits


class Misbehaved(Exception):
    """The child went beyond a limit or broke the wire format: it is killed. `reason` is one word for programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class ProtocolError(Misbehaved):
    """The child sent what no honest child sends."""

    def __init__(self, message: str) -> None:
        super().__init__("protocol", f"the script's process broke the protocol of the sandbox: {message}")


class Ended(Struct, frozen=True, kw_only=True):
    """The engine's `ScriptEnd`, by shape.

    `reason` of a kill: protocol, oversize, flood, stalled, unresponsive, timeout (by the host); cpu, memory, violation,
    crashed (by the kernel, or by itself).
    """

    outcome: str
    value: bytes = b""
    error_type: str = ""
    message: str = ""
    line: int = 0
    column: int = 0
    fault_type: str = ""
    fault_kind: str = ""
    fault_fields: Mapping[str, Any] = {}
    reason: str = ""
    problems: tuple[Problem, ...] = ()


def killed(reason: str, message: str) -> Ended:
    return Ended(outcome="killed", reason=reason, message=message)


def ended_alone(end: Exit, limits: ChildLimits) -> Ended:
    """The child is gone, by itself or by the kernel, and never said how its script ended."""
    status = end.status
    if status is None:
        return killed("crashed", "the sandbox's helper process was killed, and the script's with it; run it again")
    if status == -signal.SIGXCPU or (status == -signal.SIGKILL and end.cpu_s >= limits.cpu_s):
        return killed("cpu", _cpu(limits))
    if status == -signal.SIGKILL:
        return killed("memory", "the system killed the script's process, most likely because memory ran out")
    if status == -signal.SIGSYS:
        return killed("violation", "the script's process asked the system for what it may not have, and was killed")
    if _is_full(end, limits):
        return killed("memory", memory_used_up(limits))
    if status < 0:
        name = signal.Signals(-status).name
        return killed("crashed", f"the script's process crashed ({name}); very deeply nested data or iterators do that")
    return killed("crashed", f"the script's process ended without a result (exit code {status})")


def in_full_memory(ended: Ended, end: Exit, limits: ChildLimits) -> Ended:
    """`ended`, but for a script that raised MemoryError with its memory really full: that is the limit's doing.

    Asking for an absurd amount at once is an error of the script like any other.
    """
    if ended.error_type == "MemoryError" and not ended.fault_type and _is_full(end, limits):
        return killed("memory", memory_used_up(limits))
    return ended


def _is_full(end: Exit, limits: ChildLimits) -> bool:
    # The limit is on the address space, of which a good part is never resident.
    return end.peak_kib * 1024 >= limits.memory_bytes * 0.6


def memory_used_up(limits: ChildLimits) -> str:
    size = f"{limits.memory_bytes // MIB} MB"
    return f"the script used up its {size} of memory; hold less at once, or raise sandbox.memory_mb"


def _cpu(limits: ChildLimits) -> str:
    return (
        f"the script used more than {limits.cpu_s} s of CPU time of its own; look for an endless loop, "
        "or a pattern or number that takes forever, or raise sandbox.cpu_s"
    )
