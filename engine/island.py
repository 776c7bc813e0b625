"""The island: one asyncio loop in a thread of its own, for the libraries that need one (aiosqlite, litellm).

Trio owns the process; exactly one island serves it, since such libraries bind to the first loop that they see.
What goes from the loop to trio goes through one ordered queue with one wake-up a burst, and likewise back.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, TrioToken

from .errors import InternalError

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: With Python's 5 ms, trio's heartbeat is late by as much whenever the loop is busy.
_SWITCH_INTERVAL_S = 0.0005

#: How long calls that are still open when the island closes may take to end.
_GRACE_S = 5.0

_current_call: contextvars.ContextVar[_Call[Any]] = contextvars.ContextVar("island_call")


class IslandClosed(InternalError):
    """The asyncio thread has ended. A call that was under way may or may not have had its effect."""


class IslandCancelled(InternalError):
    """Asyncio cancelled a call that trio did not ask to cancel."""


@contextlib.asynccontextmanager
async def open_island(*, grace_s: float = _GRACE_S) -> AsyncIterator[Island]:
    """The island for the block. It starts at once and is waited for by its first call, not here.

    On leaving, calls still open are cancelled and given `grace_s` to end; a thread that hangs beyond is left alone.
    """
    island = Island(trio.lowlevel.current_trio_token(), grace_s)
    thread = threading.Thread(target=island._main_of_thread, name="vibe-island", daemon=True)
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    thread.start()
    try:
        yield island
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2 * grace_s):
            await island._close()
        # Invariant: a thread that said goodbye ends in microseconds. The time limit is for the hanging one.
        thread.join(timeout=1.0)
        sys.setswitchinterval(switch_interval)


class Island:
    """Runs coroutine functions on the asyncio loop for trio tasks. Made by `open_island`."""

    def __init__(self, token: TrioToken, grace_s: float) -> None:
        self._token = token
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopping = False
        self._gone = trio.Event()
        # Invariant: an armed queue has a wake-up on its way. To the loop it is armed until the loop runs.
        self._to_loop: deque[Callable[[], object]] = deque()
        self._to_loop_armed = True
        self._to_trio: deque[Callable[[], object]] = deque()
        self._to_trio_armed = False
        # Invariant: once dead, no call is added, and every call that was added is finished.
        self._calls: set[_Call[Any]] = set()
        self._dead = False
        self._cause: BaseException | None = None

    async def run(self, afn: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """`await afn(*args, **kwargs)` on the loop, in the caller's context variables.

        Cancelled, it cancels the asyncio task and waits for its end: what the call held is released when this returns.
        Raises what the call raises, IslandCancelled where asyncio itself cancelled it, IslandClosed if the thread dies.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        call = _Call(self, trio.lowlevel.current_task(), lambda: afn(*args, **kwargs))
        self._send(call.start, call)
        await trio.lowlevel.wait_task_rescheduled(call.abort)
        return call.outcome()

    def post(self, fn: Callable[..., object], *args: object) -> None:
        """From a coroutine under `run`: have the trio thread call `fn(*args)`, in order, before that `run` returns.

        If `fn` raises, the call is cancelled and its `run` raises that. Posts of a cancelled or ended call are dropped.
        """
        call = _current_call.get(None)
        if call is None:
            raise InternalError("Island.post was called outside of a call of Island.run; please report it")
        if not call.finished:
            self._post(lambda: call.deliver(fn, args))

    # ------------------------------------------------------------ in the trio thread

    def _send(self, fn: Callable[[], object], call: _Call[Any] | None = None) -> None:
        with self._lock:
            if self._dead:
                raise IslandClosed("the asyncio thread has ended; please report it") from self._cause
            if call is not None:
                self._calls.add(call)
            self._to_loop.append(fn)
            if self._to_loop_armed:
                return
            self._to_loop_armed = True
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # closed just now: its thread is about to finish every call
            self._loop.call_soon_threadsafe(self._drain_to_loop)

    def _send_if_alive(self, fn: Callable[[], object]) -> None:
        with contextlib.suppress(IslandClosed):  # the thread has finished every call
            self._send(fn)

    def _drain_to_trio(self) -> None:
        with self._lock:
            self._to_trio_armed = False
            batch = list(self._to_trio)
            self._to_trio.clear()
        for fn in batch:
            fn()

    async def _close(self) -> None:
        self._send_if_alive(self._request_stop)
        await self._gone.wait()

    # ------------------------------------------------------------ in the loop's thread

    def _main_of_thread(self) -> None:
        try:
            with asyncio.Runner() as runner:
                try:
                    runner.run(self._serve())
                except BaseException as error:
                    self._cause = error  # known before the runner cancels what is left, and so is this:
                    self._stopping = True
                    raise
        except BaseException as error:  # noqa: BLE001 - kept for those who wait, and for those who come
            self._cause = self._cause or error
        finally:
            self._stopping = True
            with self._lock:
                self._dead = True
                calls = list(self._calls)
            for call in calls:
                call.finish(asyncio.CancelledError())
            self._post(self._gone.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._drain_to_loop()
        await self._stop.wait()
        self._stopping = True
        open_tasks = [call.task for call in self._calls if call.task is not None]
        for task in open_tasks:
            task.cancel()
        if open_tasks:
            await asyncio.wait(open_tasks, timeout=self._grace_s)

    def _request_stop(self) -> None:
        assert self._stop is not None
        self._stop.set()

    def _drain_to_loop(self) -> None:
        with self._lock:
            self._to_loop_armed = False
            batch = list(self._to_loop)
            self._to_loop.clear()
        for fn in batch:
            fn()

    def _post(self, fn: Callable[[], object]) -> None:
        with self._lock:
            self._to_trio.append(fn)
            if self._to_trio_armed:
                return
            self._to_trio_armed = True
        with contextlib.suppress(trio.RunFinishedError):  # nobody waits any more
            self._token.run_sync_soon(self._drain_to_trio)

    def _finished(self, call: _Call[Any]) -> None:
        if self._stopping and isinstance(call.error, asyncio.CancelledError):
            call.error = IslandClosed("the asyncio thread ended during a call; please report it")
            call.error.__cause__ = self._cause
        with self._lock:
            self._calls.discard(call)
        self._post(lambda: trio.lowlevel.reschedule(call.waiter))


class _Call(Generic[_T]):
    """One `run`: made in the trio thread, worked on in the loop's thread, finished there exactly once."""

    def __init__(self, island: Island, waiter: Task, afn: Callable[[], Awaitable[_T]]) -> None:
        self._island = island
        self._afn = afn
        self._context = contextvars.copy_context()
        self._value: _T | None = None
        self._post_error: Exception | None = None
        self.waiter = waiter
        self.task: asyncio.Task[None] | None = None
        self.error: BaseException | None = None
        self.raise_cancel: RaiseCancelT | None = None  # set once trio wants it cancelled
        self.finished = False

    # ------------------------------------------------------------ in the loop's thread

    def start(self) -> None:
        if self._island._stopping:  # a task begun now would not be waited for
            self.finish(asyncio.CancelledError())
            return
        self.task = asyncio.get_running_loop().create_task(self._body(), context=self._context)
        self.task.add_done_callback(self._done)

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def _body(self) -> None:
        _current_call.set(self)
        try:
            self._value = await self._afn()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to the task that waits
            self.error = error
        except BaseException as error:  # noqa: BLE001 - SystemExit would stop the loop, then end vibe as if it were done
            self.error = InternalError(f"{error!r} came out of a call on the asyncio thread; please report it")
            self.error.__cause__ = error

    def _done(self, task: asyncio.Task[None]) -> None:
        self.finish(asyncio.CancelledError() if task.cancelled() else self.error)

    def finish(self, error: BaseException | None) -> None:
        if not self.finished:
            self.finished = True
            self.error = error
            self.task = None
            self._island._finished(self)

    # ------------------------------------------------------------ in the trio thread

    def abort(self, raise_cancel: RaiseCancelT) -> Abort:
        """Trio's cancellation. The task goes on waiting, until asyncio's task has ended."""
        self.raise_cancel = raise_cancel
        self._island._send_if_alive(self.cancel)
        return Abort.FAILED

    def deliver(self, fn: Callable[..., object], args: tuple[object, ...]) -> None:
        if self.raise_cancel is not None or self._post_error is not None:
            return
        try:
            fn(*args)
        except Exception as error:  # noqa: BLE001 - it belongs to the task that waits
            self._post_error = error
            self._island._send_if_alive(self.cancel)

    def outcome(self) -> _T:
        error = self._post_error or self.error
        self.error = self._post_error = None  # or the traceback and this call would hold each other
        try:
            if error is None:
                return self._value  # type: ignore[return-value]  # set, since the body ended without an error
            if not isinstance(error, asyncio.CancelledError):
                raise error
            if self.raise_cancel is not None:
                self.raise_cancel()
            raise IslandCancelled("asyncio cancelled a call that vibe still waits for; please report it") from error
        finally:
            del error
