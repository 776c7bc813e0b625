"""A web server on loopback, in a thread of its own: it answers by path, as politely or as rudely as a test wants."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import trio

_TLS = Path(__file__).with_name("tls")
#: Signs for web.example; no system trusts it.
AUTHORITY = _TLS / "authority.pem"
_STARTED_S = 10.0


@dataclass(frozen=True)
class WebRequest:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class WebReply:
    body: bytes | str = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain; charset=utf-8"})

    @property
    def raw(self) -> bytes:
        body = self.body.encode() if isinstance(self.body, str) else self.body
        lines = [f"HTTP/1.1 {self.status} Said", *(f"{name}: {value}" for name, value in self.headers.items())]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode() + body


#: Speaks on the connection itself, and may take its time.
Rude: TypeAlias = Callable[[trio.abc.Stream], Awaitable[None]]
Route: TypeAlias = WebReply | Rude | Callable[[WebRequest], WebReply]


def html(body: str, **headers: str) -> WebReply:
    return WebReply(body, headers={"Content-Type": "text/html; charset=utf-8", **headers})


def redirect(to: str, status: int = 302) -> WebReply:
    return WebReply(status=status, headers={"Location": to})


def server_tls() -> ssl.SSLContext:
    """With a certificate for web.example."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_TLS / "web_example.pem")
    return context


def client_tls() -> ssl.SSLContext:
    """As the product makes it, with the authority above in place of the system's."""
    return ssl.create_default_context(cafile=AUTHORITY)


class WebServer:
    """`with WebServer({"/": html("...")}) as server:` serves until the end of the block. `requests` is what came.

    A route that takes a request gives a reply; `rude` ones write to the connection themselves.
    """

    def __init__(
        self,
        routes: Mapping[str, WebReply | Callable[[WebRequest], WebReply]] | None = None,
        *,
        rude: Mapping[str, Rude] | None = None,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.routes = dict(routes or {})
        self.rude = dict(rude or {})
        self.requests: list[WebRequest] = []
        self.connections = 0
        self.host = host
        self.port = 0
        self._tls = tls
        self._started = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main,), daemon=True)

    def url(self, path: str = "/", *, name: str = "") -> str:
        return f"{'https' if self._tls else 'http'}://{name or self.host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def __enter__(self) -> WebServer:
        self._thread.start()
        assert self._started.wait(_STARTED_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        trio.from_thread.run_sync(self._scope.cancel, trio_token=self._token)
        self._thread.join(_STARTED_S)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as self._scope:
            (listener,) = await trio.open_tcp_listeners(0, host=self.host)
            self.port = listener.socket.getsockname()[1]
            self._started.set()
            if self._tls is None:
                await trio.serve_listeners(self._answer, [listener])
            else:
                await trio.serve_listeners(self._answer, [trio.SSLListener(listener, self._tls)])

    async def _answer(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        try:
            request = await _read(stream)
            self.requests.append(request)
            path = request.path.partition("?")[0]
            if path in self.rude:
                await self.rude[path](stream)
            else:
                route = self.routes.get(path, WebReply("nothing here", status=404))
                reply = route if isinstance(route, WebReply) else route(request)
                await stream.send_all(reply.raw)
        except (trio.BrokenResourceError, trio.ClosedResourceError, EOFError):
            pass  # the client had enough
        finally:
            await trio.aclose_forcefully(stream) if self._tls else await stream.aclose()


async def _read(stream: trio.abc.Stream) -> WebRequest:
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some(65_536)
        if not more:
            raise EOFError
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += await stream.receive_some(65_536)
    method, path, _ = first.split(" ")
    return WebRequest(method=method, path=path, headers=headers, body=bytes(body))
