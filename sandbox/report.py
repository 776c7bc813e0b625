"""What a child says of its own lock, before it reads a stranger's first byte; and the level that follows from it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from .limits import LANDLOCK, SECCOMP


class Level(StrEnum):
    """How well the walls hold on this machine.

    strong: the system call filter, and Landlock behind it. good: one of them is missing, and what is left denies the
    outside on its own. weak: what is left has known holes.
    """

    WEAK = "weak"
    GOOD = "good"
    STRONG = "strong"

    def meets(self, asked: str) -> bool:
        """Whether this is at least the level `asked` for."""
        ascending = tuple(Level)
        return ascending.index(self) >= ascending.index(Level(asked))


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
