"""Asks the real kernel: one locked child for each system call number, which makes the call and tells what it got."""

from __future__ import annotations

import errno
from collections.abc import Iterable

import trio

from tests.support.sandbox import RecordingEngine, Script
from vibe_workflows.sandbox.conversation import converse
from vibe_workflows.sandbox.forker import Forker
from vibe_workflows.sandbox.limits import ALL_LAYERS, ChildLimits, HostLimits

LIMITS = HostLimits(child=ChildLimits(cpu_s=5), stall_s=60.0)
_AT_ONCE = 4
#: Arguments that no call does anything with: no file, no address, no length.
_CALL = """\
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
log("asks")
result = libc.syscall(*map(ctypes.c_long, (NUMBER, -1, 0, 0, 0, -1, 0)))
log(ctypes.get_errno() if result == -1 else 0)
"""

KILLED = "killed"
LET_THROUGH = "let through"
NOT_PROBED = "not probed"
DENIED = "denied"


async def sweep(forker: Forker, numbers: Iterable[int], *, layers: frozenset[str] = ALL_LAYERS) -> dict[int, str]:
    """KILLED by the filter, DENIED (EACCES), LET_THROUGH or NOT_PROBED, for each number.

    NOT_PROBED: the kernel's own answer to a probe's call from a process that has no probe (SIGILL or ENXIO).
    """
    found: dict[int, str] = {}
    slots = trio.CapacityLimiter(_AT_ONCE)

    async def one(number: int) -> None:
        async with slots:
            found[number] = await _ask(forker, number, layers)

    async with trio.open_nursery() as nursery:
        for number in numbers:
            nursery.start_soon(one, number)
    return found


async def _ask(forker: Forker, number: int, layers: frozenset[str]) -> str:
    engine = RecordingEngine()
    child = await forker.fork("native", LIMITS.child, layers=layers)
    ended = await converse(child, Script(source=_CALL.replace("NUMBER", str(number))), engine, LIMITS)
    assert engine.logs[:1] == ["asks"], ended
    if ended.reason == "violation":
        return KILLED
    if "SIGILL" in ended.message or engine.logs[1:] == [str(errno.ENXIO)]:
        return NOT_PROBED
    # A call that ends the process, such as exit, says nothing.
    return DENIED if engine.logs[1:] == [str(errno.EACCES)] else LET_THROUGH
