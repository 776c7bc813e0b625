"""Writes system call filters: rules in order, the first one that holds decides. Pure data, for any architecture."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .seccomp import Architecture

KILL_PROCESS: Final = 0x8000_0000
ERRNO: Final = 0x0005_0000  # | the error; 0 pretends success
NOTIFY: Final = 0x7FC0_0000
ALLOW: Final = 0x7FFF_0000

#: Tests of an argument. Only its lower 32 bits are seen: what the kernel takes as an int is tested whole.
EQUAL, AT_LEAST, ANY_BIT = 0x15, 0x35, 0x45

_LOAD, _RETURN = 0x20, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32 = 0x4000_0000


class Rules:
    """A filter being written. A foreign architecture, and the x32 table behind x86-64's, kill the process."""

    def __init__(self, arch: Architecture) -> None:
        self._code: list[tuple[int, int, int, int]] = [
            (_LOAD, 0, 0, _ARCH),
            (EQUAL, 1, 0, arch.audit),
            (_RETURN, 0, 0, KILL_PROCESS),
            (_LOAD, 0, 0, _NUMBER),
        ]
        if arch.x32:
            self.beyond(_X32, KILL_PROCESS)

    def beyond(self, number: int, verdict: int) -> None:
        """Give `verdict` for every call whose number is at least `number`."""
        self._code += [(AT_LEAST, 0, 1, number), (_RETURN, 0, 0, verdict)]

    def when(self, number: int, verdict: int, *tests: tuple[int, int, int]) -> None:
        """Give `verdict` for this call, if every `(argument, test, value)` holds."""
        length = 2 * len(tests) + 1 + bool(tests)
        self._code.append((EQUAL, 0, length, number))
        for at, (argument, test, value) in enumerate(tests):
            left = 2 * (len(tests) - at - 1) + 1
            self._code += [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), (test, 0, left, value)]
        self._code.append((_RETURN, 0, 0, verdict))
        if tests:  # the accumulator holds an argument where a test failed
            self._code.append((_LOAD, 0, 0, _NUMBER))

    def program(self, otherwise: int) -> bytes:
        code = [*self._code, (_RETURN, 0, 0, otherwise)]
        return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
