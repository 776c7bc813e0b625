"""Sends the first call of a fan-out ahead where its calls share a long prefix.

A provider's prompt cache holds a prefix once it has begun to answer one call with it. Calls that are sent before that
all pay for it in full.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import trio
from msgspec import Struct, field

from .model import ModelRequest, Role
from .time_limit import Paused

#: The shortest prefix that providers cache is 1,024 tokens with most.
LEAST_TOKENS: Final = 1024
#: Caches keep a prefix for five minutes after its last use; one less, since their clock began before ours.
WARM_S: Final = 240.0
_CHARS_PER_TOKEN: Final = 3.5

_encoder = msgspec.json.Encoder()


class Prefix(Struct, eq=False):
    """One prefix: until when it is warm, whether a call went ahead with it, and who waits for that."""

    warm_until: float = -math.inf
    led: bool = False
    waiting: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)

    async def enter(self, paused: Paused) -> bool:
        """Whether this call goes ahead; then `left` must follow. Others return when the prefix is warm."""
        while trio.current_time() >= self.warm_until:
            if not self.led:
                self.led = True
                return True
            # It ends: the call that went ahead does, within the time limit of its step.
            with paused():
                await self.waiting.park()
        return False

    def answered(self) -> None:
        """The first piece of an answer arrived, or an answer without pieces: from now on it is warm for a while."""
        self.warm_until = trio.current_time() + WARM_S
        self.waiting.unpark_all()

    def left(self) -> None:
        """The call that went ahead is over. If it warmed nothing, one of those who wait goes next."""
        self.led = False
        if trio.current_time() < self.warm_until:
            self.waiting.unpark_all()
        else:
            self.waiting.unpark()


class Prefixes:
    """The long prefixes of a run."""

    def __init__(self) -> None:
        self._known: dict[int, Prefix] = {}

    def of(self, request: ModelRequest) -> Prefix | None:
        """The prefix that a request shares with others, None where it has none that is worth a wait."""
        first = next((message for message in request.messages if message.context_chars), None)
        if first is None:
            return None
        system = [message.text for message in request.messages if message.role is Role.SYSTEM]
        tools = _encoder.encode((request.tools, request.schema))
        characters = sum(map(len, system)) + len(tools) + first.context_chars
        if characters < LEAST_TOKENS * _CHARS_PER_TOKEN:
            return None
        # Only the digest is kept, a context may be long. Two that collide cost one needless wait.
        digest = hash((request.model, *system, tools, first.text[: first.context_chars]))
        known = self._known.get(digest)
        if known is None:
            known = self._known[digest] = Prefix()
        return known
