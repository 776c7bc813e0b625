"""One script's run: start it, listen, answer, watch the clock; in the end the child is gone."""

from __future__ import annotations

from typing import Protocol

import trio

from .ending import Ended, Misbehaved, ended_alone, in_full_memory, killed, memory_used_up
from .forker import Child
from .frames import Problem
from .inbound import Calls, Inbound, Splitter
from .ledger import Ledger
from .limits import ADDRESS_SPACE, HostLimits
from .outbox import Answers, Outbox, encode_start
from .resident import POLL_S, resident_bytes

_READ_BYTES = 256 << 10
_EXIT_S = 1.0


class ScriptLimits(Protocol):
    @property
    def tokens(self) -> int | None: ...
    @property
    def microusd(self) -> int | None: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def seconds(self) -> float | None: ...


class Start(Protocol):
    """The engine's `ScriptStart`, by shape."""

    @property
    def source(self) -> str: ...
    @property
    def filename(self) -> str: ...
    @property
    def args(self) -> str: ...
    @property
    def now(self) -> float: ...
    @property
    def seed(self) -> str: ...
    @property
    def has_model(self) -> bool: ...
    @property
    def limits(self) -> ScriptLimits: ...


async def converse(child: Child, start: Start, calls: Calls, limits: HostLimits) -> Ended:
    """Run `start` in a locked child that waits for it. The child is gone when this returns or raises."""
    conversation = _Conversation(child, start, calls, limits)
    try:
        await conversation.run()
    finally:
        conversation.answers.close()
        end = await child.release()
    if conversation.failure is not None:
        raise conversation.failure
    if conversation.ended is None:
        return ended_alone(end, limits.child)
    return in_full_memory(conversation.ended, end, limits.child)


class _Conversation:
    def __init__(self, child: Child, start: Start, calls: Calls, limits: HostLimits) -> None:
        self.ended: Ended | None = None
        self.failure: Exception | None = None
        self._child = child
        self._start = start
        self._limits = limits
        self._ledger = Ledger(limits)
        self._outbox = Outbox(child.socket, limits.unread_bytes)
        self.answers = Answers(self._outbox, self._ledger, self._misbehaved)
        # What the engine gets for limits is of the class that it gave.
        self._inbound = Inbound(calls, self.answers, self._ledger, limits, type(start.limits))
        self._scope = trio.CancelScope()
        self._last_heard = trio.current_time()

    async def run(self) -> None:
        """Set `ended` or `failure`; neither where the child ended without a word."""
        try:
            self._outbox.put(encode_start(self._start))
        except ValueError as error:
            self.ended = Ended(outcome="refused", problems=(Problem(line=1, column=0, message=str(error)),))
            return
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._outbox.write)
                nursery.start_soon(self._watch)
                if not self._child.layers.get(ADDRESS_SPACE):
                    nursery.start_soon(self._watch_memory)
                try:
                    self.ended = await self._listen()
                except Misbehaved as error:
                    self._misbehaved(error)
                except Exception as error:  # noqa: BLE001 - the engine's own: it leaves bare, not in the nursery's group
                    self.failure = error
                self._scope.cancel()

    async def _listen(self) -> Ended | None:
        splitter = Splitter(self._limits.received_bytes)
        take = self._inbound.take
        while data := await self._receive():
            ended, news = None, self._inbound.news
            for body in splitter.feed(data):
                ended = take(body)
                if self.ended is not None:  # the engine's reply overflowed what the child reads
                    return self.ended
            if ended is not None:
                return ended
            # Bytes of a frame that never gets whole, or frames without end that say nothing, are no sign of life.
            if self._inbound.news > news:
                self._last_heard = trio.current_time()
        with trio.move_on_after(_EXIT_S):
            await self._child.wait()
            return None
        return killed("protocol", "the script's process closed its connection without an end, and was killed")

    async def _receive(self) -> bytes:
        try:
            return await self._child.socket.recv(_READ_BYTES)
        except OSError:  # killed with bytes of ours unread
            return b""

    async def _watch(self) -> None:
        begun = trio.current_time()
        stall_s, wall_s = self._limits.stall_s, self._limits.wall_s
        while True:
            deadline = trio.current_time() + stall_s / 4
            if wall_s is not None:
                deadline = min(deadline, begun + wall_s)
            await trio.sleep_until(deadline)
            now = trio.current_time()
            if wall_s is not None and now - begun >= wall_s:
                self._kill("timeout", f"the script ran for more than {wall_s:g} s; raise the limit, or do less")
            elif self._outbox.unread:
                if now - self._outbox.last_taken >= stall_s and now - self.answers.last_sent >= stall_s:
                    self._kill("unresponsive", f"the script's process read no answer for {stall_s:g} s, and was killed")
            elif not self._ledger.engine_owes and now - max(self._last_heard, self.answers.last_sent) >= stall_s:
                self._kill(
                    "stalled",
                    f"the script did nothing for {stall_s:g} s though no answer was due; look for work without an end "
                    "between two calls, or raise sandbox.stall_s",
                )

    async def _watch_memory(self) -> None:
        while True:
            if resident_bytes(self._child.pid) > self._limits.child.memory_bytes:
                self._kill("memory", memory_used_up(self._limits.child))
            await trio.sleep(POLL_S)

    def _misbehaved(self, error: Misbehaved) -> None:
        self._kill(error.reason, error.message)

    def _kill(self, reason: str, message: str) -> None:
        self.ended = self.ended or killed(reason, message)
        self._scope.cancel()
