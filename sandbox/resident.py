"""The memory of a child as its host sees it, for systems that do not limit it themselves."""

from __future__ import annotations

import os
import struct
import sys

#: How often the host looks. A child writes some 100 MB between two looks.
POLL_S = 0.05

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
#: libproc's rusage_info_v0: sixteen bytes, then ten numbers, the eighth of which is the physical footprint.
_RUSAGE_BYTES, _FOOTPRINT_AT = 96, 16 + 7 * 8


def resident_bytes(pid: int) -> int:
    """What `pid` holds of the machine's memory. Zero where it is gone, or the system does not tell."""
    try:
        return _darwin(pid) if sys.platform == "darwin" else _linux(pid)
    except (OSError, AttributeError, ValueError):
        return 0


def _linux(pid: int) -> int:
    with open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE


def _darwin(pid: int) -> int:
    import ctypes  # here: it takes milliseconds, which other systems need not spend

    # The footprint, not the resident size: it includes what the system has compressed.
    buffer = ctypes.create_string_buffer(_RUSAGE_BYTES)
    if ctypes.CDLL(None).proc_pid_rusage(ctypes.c_int(pid), ctypes.c_int(0), buffer) != 0:
        return 0
    return int(struct.unpack_from("=Q", buffer, _FOOTPRINT_AT)[0])
