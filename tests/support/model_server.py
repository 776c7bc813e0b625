"""A model server on loopback: real HTTP, the formats of OpenAI and of Anthropic, and every way to fail.

`/v1/chat/completions` and `/v1/messages` serve the same behaviours, each in its format. In a test, take the fixture
`model_server` (tests/support/model_server_plugin.py). As a process of its own:

    python -m tests.support.model_server --port 0 --log seen.jsonl [--behave '{"Fail": {"status": 429}}' ...]

prints its URL as the first line, and appends one JSON object per request, answer and closed connection to the log.
A behaviour for a request is taken from the queue (`behave`), else from `handler`, else it is a deterministic answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import msgspec
import trio

from tests.support.behaviours import Answer, Behaviour, Drop, Fail, Hang, Raw, StreamError
from tests.support.exchanges import SeenClose, SeenRequest, SentAnswer
from tests.support.http_connection import BadRequest, ClientGone, Connection, HttpRequest
from tests.support.perform import perform
from tests.support.wire_formats import default_answer, format_of, settled

#: Ends a wait for what will never come. Long, because importing litellm on a busy machine is.
PATIENCE_S = 90.0
#: For a client that is done; the kernel tells of its end at once.
LEAVING_S = 10.0
_KINDS: dict[str, type[Behaviour]] = {kind.__name__: kind for kind in (Answer, Fail, Raw, Hang, Drop, StreamError)}


class ModelServer:
    """Runs in a thread of its own between `start` and `stop`; every method may be called from any thread."""

    def __init__(self, *, port: int = 0, log: Path | None = None, latency_s: float = 0.0) -> None:
        self.latency_s = latency_s
        self.handler: Callable[[SeenRequest], Behaviour | None] | None = None
        self.requests: list[SeenRequest] = []
        self.answers: list[SentAnswer] = []  # in the order in which they ended
        self.closes: list[SeenClose] = []
        self.open_connections: set[int] = set()
        self.errors: list[BaseException] = []
        self._port = port
        self._log = log
        self._log_file: IO[str] | None = None
        self._queue: deque[Behaviour] = deque()
        self._changed = threading.Condition()
        self._connections = 0
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._open: asyncio.Event | None = None

    # ------------------------------------------------------------ for tests

    @property
    def url(self) -> str:
        """The base address of either format."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def port(self) -> int:
        return self._port

    def behave(self, *behaviours: Behaviour) -> None:
        """Queue behaviours for the next requests, one each."""
        with self._changed:
            self._queue.extend(behaviours)

    def forget(self) -> None:
        """Take back the behaviours that no request came for."""
        with self._changed:
            self._queue.clear()

    def hold(self) -> None:
        """Let requests arrive, and answer none before `release`."""
        self._on_loop(asyncio.Event.clear)

    def release(self) -> None:
        self._on_loop(asyncio.Event.set)

    def wait_requests(self, count: int, timeout_s: float = PATIENCE_S) -> list[SeenRequest]:
        """Block until `count` requests arrived; all that did."""
        self._wait(lambda: len(self.requests) >= count, f"{count} requests", timeout_s)
        return list(self.requests)

    def wait_answers(self, count: int, timeout_s: float = PATIENCE_S) -> list[SentAnswer]:
        """Block until `count` answers ended, whole or not; all that did."""
        self._wait(lambda: len(self.answers) >= count, f"{count} answers", timeout_s)
        return list(self.answers)

    def wait_closed(self, count: int = 1, timeout_s: float = PATIENCE_S) -> list[SeenClose]:
        """Block until `count` connections ended; all that did."""
        self._wait(lambda: len(self.closes) >= count, f"{count} closed connections", timeout_s)
        return list(self.closes)

    def wait_left(self, timeout_s: float = LEAVING_S) -> None:
        """Block until no client has a connection here: one that is still open was forgotten."""
        self._wait(lambda: not self.open_connections, "all clients to leave", timeout_s)

    async def until_requests(self, count: int) -> list[SeenRequest]:
        """`wait_requests` for a trio test on the real clock."""
        return await trio.to_thread.run_sync(self.wait_requests, count, abandon_on_cancel=True)

    async def until_answers(self, count: int) -> list[SentAnswer]:
        """`wait_answers` for a trio test on the real clock."""
        return await trio.to_thread.run_sync(self.wait_answers, count, abandon_on_cancel=True)

    async def until_closed(self, count: int = 1) -> list[SeenClose]:
        """`wait_closed` for a trio test on the real clock."""
        return await trio.to_thread.run_sync(self.wait_closed, count, abandon_on_cancel=True)

    def _wait(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, timeout_s):
                seen = f"{len(self.requests)} requests, {len(self.closes)} closed connections"
                raise AssertionError(f"waited {timeout_s} s for {what}; seen: {seen}; errors: {self.errors}")

    # ------------------------------------------------------------ life

    def start(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="model-server", daemon=True)
        self._thread.start()
        if not self._started.wait(PATIENCE_S):
            raise AssertionError("the server did not start")
        return self

    def stop(self) -> None:
        """Close every connection and join the thread."""
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stopping.set)
        if self._thread is not None:
            self._thread.join(PATIENCE_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _on_loop(self, act: Callable[[asyncio.Event], None]) -> None:
        loop, gate = self._loop, self._open
        assert loop is not None
        assert gate is not None
        done = threading.Event()
        loop.call_soon_threadsafe(act, gate)
        loop.call_soon_threadsafe(done.set)
        done.wait(PATIENCE_S)

    async def _serve(self) -> None:
        self._loop, self._stopping, self._open = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._open.set()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._attend(Connection(reader, writer)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", self._port, backlog=4096, limit=1 << 20)
        self._port = server.sockets[0].getsockname()[1]
        if self._log is not None:
            self._log_file = self._log.open("a", encoding="utf-8")
        self._started.set()
        await self._stopping.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        if self._log_file is not None:
            self._log_file.close()

    # ------------------------------------------------------------ one connection

    async def _attend(self, connection: Connection) -> None:
        self._connections += 1
        number = self._connections
        by: Literal["client", "server"] = "client"
        answering: SeenRequest | None = None
        with self._changed:
            self.open_connections.add(number)
        try:
            while (request := await connection.read_request()) is not None:
                answering = self._record(number, request)
                kept = await connection.attended(self._answer(connection, answering))
                answering = None
                if not kept:
                    by = "server"
                    break
        except ClientGone:
            pass
        except (BadRequest, Exception) as error:
            by = "server"
            self.errors.append(error)
        except asyncio.CancelledError:
            by = "server"
            connection.abort()
            raise
        finally:
            await connection.close()
            self._record_close(number, by, answering)

    def _record(self, connection: int, request: HttpRequest) -> SeenRequest:
        with self._changed:
            seen = SeenRequest(
                number=len(self.requests) + 1,
                connection=connection,
                at=time.time(),
                method=request.method,
                path=request.path,
                headers=dict(request.headers),
                body=request.body,
                raw=request.raw,
            )
            self.requests.append(seen)
            self._write({"seen": "request", **asdict(replace(seen, raw=b"")), "raw": ""})  # it is in "body"
            self._changed.notify_all()
            return seen

    def _record_answer(self, request: SeenRequest, behaviour: Behaviour, *, whole: bool) -> None:
        with self._changed:
            self.answers.append(SentAnswer(request=request.number, behaviour=behaviour, whole=whole))
            sent = {type(behaviour).__name__: asdict(behaviour)}
            self._write({"seen": "answer", "request": request.number, "behaviour": sent, "whole": whole})
            self._changed.notify_all()

    def _record_close(self, connection: int, by: Literal["client", "server"], request: SeenRequest | None) -> None:
        number = None if request is None else request.number
        with self._changed:
            seen = SeenClose(connection=connection, at=time.time(), by=by, request=number)
            self.open_connections.discard(connection)
            self.closes.append(seen)
            self._write({"seen": "close", **asdict(seen)})
            self._changed.notify_all()

    def _write(self, line: dict[str, object]) -> None:
        if self._log_file is not None:
            self._log_file.write(json.dumps(line) + "\n")
            self._log_file.flush()

    # ------------------------------------------------------------ one answer

    def _choose(self, request: SeenRequest) -> Behaviour:
        with self._changed:
            if self._queue:
                return self._queue.popleft()
        chosen = self.handler(request) if self.handler is not None else None
        return default_answer(request.conversation()) if chosen is None else chosen

    async def _answer(self, connection: Connection, request: SeenRequest) -> bool:
        """Answer one request; whether the connection lives on."""
        try:
            form = format_of(request.path)
        except LookupError:
            await connection.send_json(404, {"error": {"message": f"no such path: {request.path}"}})
            return True
        behaviour = self._choose(request)
        if isinstance(behaviour, Answer):
            behaviour = settled(behaviour, request.conversation())
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        assert self._open is not None
        await self._open.wait()
        whole = False
        try:
            kept = await perform(connection, form, request.body, behaviour)
            whole = True
        finally:
            self._record_answer(request, behaviour, whole=whole)
        return kept


def behaviour_from(text: str) -> Behaviour:
    """`{"Fail": {"status": 429}}` as a behaviour."""
    [(name, fields)] = json.loads(text).items()
    kind: type[Behaviour] = _KINDS[name]
    return msgspec.convert(fields, kind)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="A model server on loopback, for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--behave", type=behaviour_from, action="append", default=[], metavar="JSON")
    options = parser.parse_args(argv)
    server = ModelServer(port=options.port, log=options.log, latency_s=options.latency)
    server.behave(*options.behave)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with server:
        print(server.url, flush=True)
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
