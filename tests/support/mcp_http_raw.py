"""An MCP server over HTTP that speaks by hand, in a thread of this process; and one that it may lead requests to."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from mcp_types.version import LATEST_HANDSHAKE_VERSION


class RawHttpServer:
    """`headers` are those of all requests that came. Answers to calls hold `mark`, and come as `behaviour` says."""

    def __init__(self, mark: str, behaviour: str, elsewhere: str = "") -> None:
        self.mark, self.behaviour, self.elsewhere = mark, behaviour, elsewhere
        self.headers: list[Mapping[str, str]] = []
        self.asked_to_end = threading.Event()
        self.over = threading.Event()  # until then, an end is not answered
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/mcp"

    @contextmanager
    def running(self) -> Iterator[RawHttpServer]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_of: ClassVar[RawHttpServer]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self._answer(405, b"")

    def do_DELETE(self) -> None:
        self.server_of.asked_to_end.set()
        self.server_of.over.wait()
        self._answer(200, b"")

    def do_POST(self) -> None:
        ours = self.server_of
        ours.headers.append(dict(self.headers))
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number = message.get("id")
        match message.get("method"):
            case "initialize":
                about = {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": {"tools": {}}}
                answer = _message(number, {**about, "serverInfo": {"name": "raw", "version": "1"}})
                more = {"Mcp-Session-Id": "s1"} if ours.behaviour == "does not let go" else {}
                self._answer(200, answer, **more)
            case "tools/list":
                self._result(number, {"tools": [{"name": "call", "inputSchema": {"type": "object"}}]})
            case "tools/call":
                self._call(number)
            case _:
                self._answer(202, b"")

    def _call(self, number: Any) -> None:
        ours = self.server_of
        answer = {"content": [{"type": "text", "text": ours.mark}]}
        match ours.behaviour:
            case "redirects":
                self._answer(307, b"", Location=ours.elsewhere)
            case "compresses":
                self._answer(200, gzip.compress(_message(number, answer)), **{"Content-Encoding": "gzip"})
            case "answers at length":
                self._result(number, {**answer, "_meta": {"padding": "x" * (5 << 20)}})
            case "streams without end":
                line = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'
                events = b"".join(b"data: %s\n\n" % each for each in [*[line] * 12_000, _message(number, answer)])
                self._answer(200, events, **{"Content-Type": "text/event-stream"})
            case _:
                self._result(number, answer)

    def _result(self, number: Any, result: Any) -> None:
        self._answer(200, _message(number, result))

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            return  # the client has had enough


def _message(number: Any, result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
