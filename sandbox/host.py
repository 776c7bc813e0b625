"""Runs scripts in locked processes: the engine's `ScriptHost`, by shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .checker import LockedChecker
from .conversation import Start, converse
from .ending import Ended
from .forker import Child, Forker, open_forker
from .inbound import Calls
from .launcher import Zygote
from .level import Level
from .limits import ALL_LAYERS, HostLimits
from .report import level_of


class SandboxHost:
    """Use through `open_host`. Runs may overlap; each has a process of its own."""

    def __init__(self, forker: Forker, spare: Child, limits: HostLimits, layers: frozenset[str]) -> None:
        self._forker = forker
        # Locked and waiting: it has told the level of this machine, and the first run starts at once.
        self._spare: Child | None = spare
        self._limits = limits
        self._asked_layers = layers
        self._layers = spare.layers
        self.checker = LockedChecker(forker, layers=layers)

    @property
    def level(self) -> Level:
        """By the layers that the first child got when it locked itself."""
        return level_of(self._layers)

    @property
    def layers(self) -> dict[str, str]:
        """The layers in words: empty for one that is not in force, and `no LAYER` with the reason."""
        return dict(self._layers)

    async def run(self, start: Start, calls: Calls) -> Ended:
        """Run one script; returns when its process is gone.

        Raises what `calls` raises, after the process was killed, and SandboxUnavailable where none can be had; never
        anything on behalf of the script. Cancelled, it kills the process first.
        """
        child, self._spare = self._spare, None
        if child is None:
            child = await self._forker.fork("script", self._limits.child, layers=self._asked_layers)
        return await converse(child, start, calls, self._limits)


@asynccontextmanager
async def open_host(
    zygote: Zygote, limits: HostLimits | None = None, *, layers: frozenset[str] = ALL_LAYERS
) -> AsyncIterator[SandboxHost]:
    """A host on `zygote` for the length of the block, which kills what is left at its end. One at a time per zygote.

    Raises SandboxUnavailable. The caller closes the zygote.
    """
    limits = limits or HostLimits()
    async with open_forker(zygote) as forker:
        spare = await forker.fork("script", limits.child, layers=layers)
        yield SandboxHost(forker, spare, limits, layers)
