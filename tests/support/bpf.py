"""Classic BPF as the kernel runs it for seccomp: what it refuses to load, and what a program says of a system call."""

from __future__ import annotations

import struct
from collections.abc import Sequence

#: sizeof(struct seccomp_data): number, architecture, instruction pointer, six arguments.
_DATA_BYTES = 64
_MOST_INSTRUCTIONS = 4096

_LOAD_WORD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x05, 0x06
_TESTS = {
    0x15: lambda left, right: left == right,
    0x25: lambda left, right: left > right,
    0x35: lambda left, right: left >= right,
    0x45: lambda left, right: left & right != 0,
}


class Refused(ValueError):
    """The kernel would not load this program."""


class Program:
    """A filter for seccomp. Raises Refused where the kernel's checker would answer EINVAL."""

    def __init__(self, code: bytes) -> None:
        if len(code) % 8:
            raise Refused("instructions are of eight bytes")
        self._code = list(struct.iter_unpack("=HBBI", code))
        if not 0 < len(self._code) <= _MOST_INSTRUCTIONS:
            raise Refused(f"{len(self._code)} instructions")
        for at, instruction in enumerate(self._code):
            self._check(at, *instruction)
        if self._code[-1][0] != _RETURN:
            raise Refused("it does not end with a verdict")

    def _check(self, at: int, operation: int, if_true: int, if_false: int, operand: int) -> None:
        last = len(self._code) - 1
        if operation == _LOAD_WORD:
            if operand % 4 or operand >= _DATA_BYTES:
                raise Refused(f"{at}: it reads at {operand}, outside of seccomp_data")
        elif operation in _TESTS or operation == _JUMP:
            furthest = operand if operation == _JUMP else max(if_true, if_false)
            if at + 1 + furthest > last:
                raise Refused(f"{at}: it jumps past its end")
        elif operation not in (_AND, _RETURN):
            raise Refused(f"{at}: operation {operation:#x} is none of those a filter here may use")

    def verdict(self, audit: int, number: int, arguments: Sequence[int] = ()) -> int:
        """What it returns for a call with `number` as the 32 bits in the register, and arguments of 64 bits."""
        words = [*arguments, 0, 0, 0, 0, 0, 0][:6]
        data = struct.pack("=IIQ6Q", number, audit, 0x7FFF_1234_5678, *words)
        accumulator = at = 0
        while True:
            operation, if_true, if_false, operand = self._code[at]
            at += 1
            if operation == _RETURN:
                return int(operand)
            if operation == _LOAD_WORD:
                accumulator = int(struct.unpack_from("=I", data, operand)[0])
            elif operation == _AND:
                accumulator &= operand
            elif operation == _JUMP:
                at += operand
            else:
                at += if_true if _TESTS[operation](accumulator, operand) else if_false
