"""The port `Store` on SQLite: a queue of records, and the one task that commits them in groups."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import trio
from msgspec import Struct

from ..errors import StoreError
from ..island import Island, IslandClosed
from ..ports import Record
from .failures import store_error
from .origin import StoreOrigins
from .prepare import NewStore, prepare
from .reader import SqliteReader, StoreNotReady, open_reader
from .writer import Writer

#: How long a lazy record waits for a transaction to ride along with.
_LAZY_S = 0.05

#: Records of one transaction, give or take a post: other processes wait for its end.
_MAX_BATCH = 5000

#: How long the records still queued may take when the store closes, in real time.
_CLOSE_S = 10.0


@contextlib.asynccontextmanager
async def open_store(
    path: Path,
    island: Island,
    *,
    origins: StoreOrigins,
    wall_clock: Callable[[], float] = time.time,
    new_id: Callable[[], str] = secrets.token_hex,
    busy_timeout_s: float = 15.0,
) -> AsyncIterator[SqliteStore]:
    """The store at `path` for the block, made if there is none. On leaving, what was posted is committed.

    If a commit fails, the block is cancelled, since callbacks would be waited for in vain, and the StoreError raised.
    Raises StoreError where the store cannot be opened, read or written.
    """
    path = path.absolute()  # noqa: ASYNC240 - asks for the working directory, no more
    new = NewStore(created_at=wall_clock(), id=new_id)
    reader, warning = await _open_reader(path, origins, new, busy_timeout_s)
    with contextlib.closing(reader):
        problem = origins.problem(reader.store_id(), path)
        async with _open_writer(path, island, busy_timeout_s) as writer:
            # Once more, before the writer: the last one to close removes SQLite's files beside the store, if it can.
            with contextlib.closing(reader):
                store = SqliteStore(path, island, writer, reader, reusable=problem is None, warning=warning or problem)
                held: BaseException | None = None
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(store._commit_until_closed)
                    try:
                        with store._scope:
                            yield store
                    except BaseException as error:  # noqa: BLE001 - raised below; the nursery would wrap it
                        held = error
                    store._close()
                if held is not None:
                    raise held
                if store._failure is not None:
                    raise store._failure


async def _open_reader(
    path: Path, origins: StoreOrigins, new: NewStore, busy_timeout_s: float
) -> tuple[SqliteReader, str | None]:
    try:
        return open_reader(path), None
    except StoreNotReady:
        pass
    warning = await trio.to_thread.run_sync(lambda: prepare(path, origins, new, busy_timeout_s=busy_timeout_s))
    return open_reader(path), warning


@contextlib.asynccontextmanager
async def _open_writer(path: Path, island: Island, busy_timeout_s: float) -> AsyncIterator[Writer]:
    try:
        with trio.CancelScope(shield=True):  # bounded by SQLite's own time limit
            writer = await island.run(Writer.open, path, busy_timeout_s)
    except Exception as error:
        raise store_error(path, error) from error
    try:
        yield writer
    finally:
        with trio.CancelScope(shield=True):  # likewise; an open connection would keep the interpreter from ending
            try:
                await island.run(writer.close)
            except IslandClosed:
                await trio.to_thread.run_sync(writer.abandon)


class _Post(Struct):
    records: Sequence[Record]
    then: Callable[[], None] | None
    lazy: bool
    settled: trio.Event | None  # for one who waits: set when `durable` is final
    durable: bool = False


class SqliteStore:
    """The port `Store`. Made by `open_store`; belongs to the trio thread."""

    def __init__(
        self, path: Path, island: Island, writer: Writer, reader: SqliteReader, *, reusable: bool, warning: str | None
    ) -> None:
        self.path = path
        #: What the user should know of the store's origin.
        self.warning = warning
        self._island = island
        self._writer = writer
        self._reader = reader
        self._reusable = reusable
        self._scope = trio.CancelScope()
        self._queue: deque[_Post] = deque()
        self._hurry = False  # something in the queue is not lazy
        self._wake = trio.Event()
        self._close_by: float | None = None
        # Invariant: once set, nothing is queued or committed any more.
        self._failure: StoreError | None = None

    @property
    def reader(self) -> SqliteReader:
        return self._reader

    @property
    def reusable(self) -> bool:
        return self._reusable

    def post(self, records: Sequence[Record], then: Callable[[], None] | None = None, *, lazy: bool = False) -> None:
        """As the port. Raises StoreError once a commit has failed or the store is closed; `then` must not raise."""
        self._enqueue(_Post(records, then, lazy, None))

    async def commit(self, records: Sequence[Record]) -> None:
        """As the port. Raises StoreError."""
        settled = trio.Event()
        post = _Post(records, None, lazy=False, settled=settled)
        self._enqueue(post)
        await settled.wait()
        if not post.durable:
            self._raise_failure()

    def _enqueue(self, post: _Post) -> None:
        self._raise_failure()
        if self._close_by is not None:
            raise StoreError(f"store {self.path}: it is closed; please report it")
        self._queue.append(post)
        self._hurry = self._hurry or not post.lazy
        self._wake.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise StoreError(self._failure.message) from self._failure

    def _close(self) -> None:
        self._close_by = time.monotonic() + _CLOSE_S
        self._wake.set()

    # ------------------------------------------------------------ the committer

    async def _commit_until_closed(self) -> None:
        """Takes all that waits, commits it in one transaction, tells those who wait, in order; and again.

        Shielded: whoever cleans up after a cancellation still has to commit. A transaction is bounded by SQLite's own
        time limit, the rest by `_CLOSE_S` from the moment of closing.
        """
        with trio.CancelScope(shield=True):
            while await self._has_work() and self._failure is None:
                posts = self._take()
                try:
                    if self._close_by is not None and time.monotonic() > self._close_by:
                        raise StoreError(f"store {self.path}: the disk is too slow; the last records were not written")
                    await self._island.run(self._writer.write, [record for post in posts for record in post.records])
                except Exception as error:  # noqa: BLE001 - whatever it was, its records are lost, and so is the order
                    self._fail(posts, error)
                else:
                    _settle(posts)

    async def _has_work(self) -> bool:
        """Wait for something to commit. False: the store closes, and nothing is left."""
        while not self._queue:
            if self._close_by is not None:
                return False
            await self._sleep()
        with trio.move_on_after(_LAZY_S):
            while not self._hurry and self._close_by is None:
                await self._sleep()
        return True

    async def _sleep(self) -> None:
        self._wake = trio.Event()
        await self._wake.wait()

    def _take(self) -> list[_Post]:
        posts: list[_Post] = []
        size = 0
        while self._queue and size < _MAX_BATCH:
            posts.append(self._queue.popleft())
            size += len(posts[-1].records)
        self._hurry = bool(self._queue)
        return posts

    def _fail(self, posts: list[_Post], error: Exception) -> None:
        self._failure = store_error(self.path, error)
        self._failure.__cause__ = error
        for post in (*posts, *self._queue):
            if post.settled is not None:
                post.settled.set()
        self._queue.clear()
        self._scope.cancel()


def _settle(posts: list[_Post]) -> None:
    for post in posts:
        post.durable = True
        if post.settled is not None:
            post.settled.set()
        if post.then is not None:
            post.then()
