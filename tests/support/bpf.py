"""Runs a BPF program as the kernel does."""

from __future__ import annotations

import struct


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """Run a BPF program as the kernel does."""
    data = struct.pack(
        "=iIQ6Q", number - (1 << 32) if number >= 1 << 31 else number, arch, 0, *(arguments + (0,) * 6)[:6]
    )
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = 0
    while True:
        operation, if_true, if_false, operand = code[at]
        at += 1
        match operation:
            case 0x20:
                accumulator = int(struct.unpack_from("=I", data, operand)[0])
            case 0x06:
                return int(operand)
            case 0x15 | 0x35 | 0x45:
                holds = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: bool(accumulator & operand)}
                at += if_true if holds[operation] else if_false
            case _:
                raise AssertionError(f"no such operation: {operation:#x}")
