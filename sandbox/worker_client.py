"""The host's half of a talk with a locked worker: one request and its reply, within limits of time and memory."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator

import trio

from .ending import Misbehaved
from .forker import Child
from .inbound import Splitter
from .limits import ADDRESS_SPACE, MAX_FRAME, MIB, ChildLimits
from .replies import lie
from .resident import resident_bytes

#: Of the worker's CPU time, a request; on a busy machine that may take it longer.
REQUEST_S = 2.0
_REQUEST_WALL_S = 20.0
_TICK_S = 0.1
LIFETIME = ChildLimits(cpu_s=600)


async def ask(child: Child, body: bytes, what: str, limit_s: float) -> bytes:
    """One request and its reply, within the limits of time; the child is of no more use where this raises."""
    begun_cpu, begun = cpu_used(child.pid), trio.current_time()
    with trio.move_on_after(_REQUEST_WALL_S):
        await _send(child, body)
        splitter = Splitter(MAX_FRAME + 4)
        while True:
            data = None
            with trio.move_on_after(_TICK_S):
                data = await _receive(child)
            if data is None:
                if cpu_used(child.pid) - begun_cpu > limit_s:
                    break
                if not child.layers.get(ADDRESS_SPACE) and resident_bytes(child.pid) > LIFETIME.memory_bytes:
                    raise ValueError(_too_much_memory(what))
            elif not data:
                raise ValueError(await _how_it_died(child, what))
            else:
                replies = list(_frames(splitter, data, what))
                if len(replies) > 1 or (replies and splitter.waiting):
                    raise lie(what, "it gave more than one reply")
                if replies:
                    return replies[0]
            if trio.current_time() - begun > _REQUEST_WALL_S:
                break
    raise ValueError(f"{what} takes more than {limit_s:g} s to evaluate; make it simpler")


def _frames(splitter: Splitter, data: bytes, what: str) -> Iterator[bytes]:
    try:
        yield from splitter.feed(data)
    except Misbehaved as error:
        raise ValueError(f"{what}: its evaluation went wrong: {error.message}") from None


async def _send(child: Child, body: bytes) -> None:
    rest = memoryview(len(body).to_bytes(4, "little") + body)
    try:
        while rest:
            rest = rest[await child.socket.send(rest) :]
    except OSError:
        pass  # it is gone; reading says so


async def _receive(child: Child) -> bytes:
    try:
        return await child.socket.recv(256 << 10)
    except OSError:
        return b""


async def _how_it_died(child: Child, what: str) -> str:
    end = await child.release()
    if end.peak_kib * 1024 > LIFETIME.memory_bytes * 0.6:
        return _too_much_memory(what)
    return f"{what} brought down the process that evaluated it (status {end.status}); make it simpler"


def _too_much_memory(what: str) -> str:
    return f"{what} takes more than {LIFETIME.memory_bytes // MIB} MB to evaluate; make it simpler"


async def ready(idle: list[Child]) -> Child | None:
    """A worker that waits for a request. One that speaks unasked, or is gone, would answer the next one wrongly."""
    while idle:
        child = idle.pop()
        poll = select.poll()
        poll.register(child.socket.fileno(), select.POLLIN)
        if not poll.poll(0):
            return child
        await child.release()
    return None


def cpu_used(pid: int) -> float:
    """CPU seconds of another process. Zero where the system does not tell, or the process is gone."""
    if sys.platform != "linux":
        return 0.0
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the clock id that clock_getcpuclockid(3) makes
    except OSError:
        return 0.0
