"""Keeps this process's memory and environment from other processes of its user."""

from __future__ import annotations

import ctypes
import sys

_SET_DUMPABLE = 4


def hide_this_process() -> bool:
    """Make this process not dumpable: nobody without privileges reads its `/proc/PID/environ` or memory, or traces it.

    What it costs: no core dumps, no debugger or profiler of the same user can attach, and for an ordinary user its own
    files in /proc belong to root. It lasts until this process executes another program. False where there is no such
    thing, as on macOS.
    """
    if sys.platform != "linux":
        return False
    return int(ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)) == 0
