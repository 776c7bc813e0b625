"""How well walls hold on this machine, in three words: for scripts (report.py) and for commands (confine/layers.py)."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """strong: every wall stands. good: one is missing, and what is left denies the outside. weak: it has known holes.

    Scripts are held strongly by the system call filter with Landlock behind it, and well by one of the two (or by what
    macOS has). Commands are held strongly by namespaces and the filter, with Landlock behind them where the kernel has
    it, and well by Landlock, the filter and the supervisor.
    """

    WEAK = "weak"
    GOOD = "good"
    STRONG = "strong"

    def meets(self, asked: str) -> bool:
        """Whether this is at least the level `asked` for."""
        ascending = tuple(Level)
        return ascending.index(self) >= ascending.index(Level(asked))
