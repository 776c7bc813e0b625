"""What a child says of its own lock, before it reads a stranger's first byte; and the level that follows from it."""

from __future__ import annotations

import msgspec

from .level import Level
from .limits import LANDLOCK, SECCOMP


class LockedFrame(msgspec.Struct, frozen=True, tag_field="t", tag="locked", forbid_unknown_fields=True):
    """Each layer with a detail that is empty where it is not in force, and `no LAYER` with the reason."""

    layers: dict[str, str]


class UnlockedFrame(msgspec.Struct, frozen=True, tag_field="t", tag="unlocked", forbid_unknown_fields=True):
    """The child could not lock itself, and has ended."""

    message: str


_decoder = msgspec.json.Decoder(LockedFrame | UnlockedFrame)


def decode_report(body: bytes) -> LockedFrame | UnlockedFrame:
    report: LockedFrame | UnlockedFrame = _decoder.decode(body)
    return report


def level_of(layers: dict[str, str]) -> Level:
    if layers.get(SECCOMP):
        return Level.STRONG if layers.get(LANDLOCK) else Level.GOOD
    # Landlock alone leaves chmod, utime, signals (before ABI 6) and the kernel's whole surface.
    return Level.GOOD if layers.get("seatbelt") else Level.WEAK
