"""Fetching from a real server: redirects, packings, encodings, and the servers that fail."""

from __future__ import annotations

import gzip
import os
import threading
import zlib
from collections.abc import Iterator, Sequence

import pytest
import trio

from tests.support.web_server import WebReply, WebRequest, WebServer, client_tls, html, redirect, server_tls
from vibe_workflows.engine.errors import ToolDenied, ToolFailed
from vibe_workflows.engine.web.addresses import AllowedHosts
from vibe_workflows.engine.web.dialing import Dialer, SystemResolver, system_tls
from vibe_workflows.engine.web.exchange import MAX_BODY_BYTES, Request
from vibe_workflows.engine.web.fetching import Fetched, Fetcher


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer({"/": html("<p>Hello</p>")}) as started:
        yield started


async def _loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def fetch(server: WebServer, path: str = "/", *, name: str = "", url: str = "") -> Fetched:
    allowed = AllowedHosts([f"{host}:{server.port}" for host in ("127.0.0.1", "web.example", "other.example")])
    fetcher = Fetcher(Dialer(allowed, _loopback, client_tls))
    return trio.run(fetcher.page, url or server.url(path, name=name))


def test_a_page_comes_with_its_type_and_encoding(server: WebServer) -> None:
    page = fetch(server)
    assert (page.status, page.content_type, page.charset, page.body) == (200, "text/html", "utf-8", b"<p>Hello</p>")
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("GET", "/", b"")
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["user-agent"].startswith("vibe-workflows/")
    assert not {"cookie", "authorization", "referer", "accept-language"} & set(request.headers)


def test_redirects_are_followed_and_the_last_url_is_told(server: WebServer) -> None:
    for number, status in enumerate((301, 302, 303, 307, 308)):
        server.routes[f"/{number}"] = redirect(f"{number + 1}?x=1", status)
    server.routes["/5"] = html("there")
    page = fetch(server, "/0#frag")
    assert (page.url, page.body) == (server.url("/5?x=1"), b"there")
    assert server.paths == ["/0", "/1?x=1", "/2?x=1", "/3?x=1", "/4?x=1", "/5?x=1"]


@pytest.mark.parametrize(
    ("packing", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("identity", bytes),
    ],
)
def test_what_is_packed_is_unpacked(server: WebServer, packing: str, pack: object) -> None:
    body = os.urandom(200_000)
    assert callable(pack)
    server.routes["/"] = WebReply(pack(body), headers={"Content-Encoding": packing, "Content-Type": "text/plain"})
    assert fetch(server).body == body


@pytest.mark.parametrize("length", [MAX_BODY_BYTES, MAX_BODY_BYTES + 1])
def test_a_page_has_at_most_five_megabytes_packed_or_not(server: WebServer, length: int) -> None:
    kind = {"Content-Type": "text/plain"}
    server.routes["/plain"] = WebReply(b"x" * length, headers=kind)
    server.routes["/packed"] = WebReply(gzip.compress(b"x" * length), headers={**kind, "Content-Encoding": "gzip"})
    for path in ("/plain", "/packed"):
        if length > MAX_BODY_BYTES:
            with pytest.raises(ToolFailed, match="more than 5,000,000 bytes"):
                fetch(server, path)
        else:
            assert len(fetch(server, path).body) == length


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (WebReply("gone", status=404), "the server answers 404 Said"),
        (WebReply("down", status=503), "the server answers 503"),
        (WebReply("", status=304), "the server answers 304"),
        (
            WebReply(b"%PDF", headers={"Content-Type": "application/pdf"}),
            "it is application/pdf; only text",
        ),
        (WebReply(b"x", headers={"Content-Type": "image/png; charset=utf-8"}), "it is image/png"),
        (WebReply(b"x", headers={"Content-Type": "\x7f?"}), "no type of the page that makes sense"),
        (WebReply(b"x", headers={"Content-Encoding": "br"}), "packed as 'br', which is not unpacked here"),
        (WebReply(b"x", headers={"Content-Encoding": "gzip, gzip"}), "packed as 'gzip, gzip'"),
        (WebReply(b"nonsense", headers={"Content-Encoding": "gzip"}), "cannot be unpacked"),
        (WebReply(gzip.compress(b"x" * 999)[:-9], headers={"Content-Encoding": "gzip"}), "ends in the middle"),
    ],
)
def test_what_cannot_be_read_is_told(server: WebServer, reply: WebReply, message: str) -> None:
    server.routes["/"] = reply
    with pytest.raises(ToolFailed, match=message):
        fetch(server)


@pytest.mark.parametrize(
    ("kind", "readable"),
    [
        *(("text/css", True), ("application/json", True), ("application/geo+json", True), ("image/svg+xml", True)),
        *(("application/xhtml+xml", True), ("application/zip", False), ("audio/ogg", False), ("", True)),
    ],
)
def test_text_is_told_by_its_type(server: WebServer, kind: str, readable: bool) -> None:
    server.routes["/"] = WebReply("x", headers={"Content-Type": kind} if kind else {})
    if readable:
        assert fetch(server).content_type == (kind or "text/plain")
    else:
        with pytest.raises(ToolFailed, match=kind):
            fetch(server)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"", "ended the connection before its answer was whole|broke the connection off"),
        (b"nonsense\r\n\r\n", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "ended the connection before its answer was whole"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nshort", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "does not speak|without an answer"),
    ],
)
def test_a_server_that_does_not_keep_to_the_protocol_is_told(server: WebServer, said: bytes, message: str) -> None:
    async def rude(stream: trio.abc.Stream) -> None:
        if said:
            await stream.send_all(said)

    server.rude["/"] = rude
    with pytest.raises(ToolFailed, match=message):
        fetch(server)


def test_a_body_without_a_length_ends_with_the_connection(server: WebServer) -> None:
    async def old(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold")

    server.rude["/"] = old
    assert fetch(server).body == b"old"


def test_tls_is_verified_for_the_host_in_the_url_while_the_address_is_the_vetted_one() -> None:
    with WebServer({"/": html("secure")}, tls=server_tls()) as server:
        page = fetch(server, name="web.example")
        assert (page.url, page.body) == (server.url(name="web.example"), b"secure")
        assert server.requests[0].headers["host"] == f"web.example:{server.port}"
        with pytest.raises(ToolFailed, match=r"certificate does not hold: .*other\.example"):
            fetch(server, name="other.example")
        with pytest.raises(ToolFailed, match="certificate does not hold"):
            fetch(server)
    assert len(server.requests) == 1


def test_the_systems_authorities_do_not_hold_for_the_tests_certificate() -> None:
    with WebServer({"/": html("secure")}, tls=server_tls()) as server:
        fetcher = Fetcher(Dialer(AllowedHosts([f"web.example:{server.port}"]), _loopback, system_tls))
        with pytest.raises(ToolFailed, match="certificate does not hold"):
            trio.run(fetcher.page, server.url(name="web.example"))
        assert server.requests == []


def test_a_host_that_nobody_knows_and_a_port_where_nobody_listens_are_told() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    async def nowhere(host: str, port: int) -> Sequence[str]:
        return []

    for resolve in (unknown, nowhere):
        with pytest.raises(ToolFailed, match=r"http://a\.example/: the host (is not found|has no address)"):
            trio.run(Fetcher(Dialer(AllowedHosts(), resolve, client_tls)).page, "http://a.example/")
    with WebServer() as server:
        pass
    with pytest.raises(ToolFailed, match="no connection: Connection refused"):
        fetch(server)


def test_the_next_address_is_tried_where_one_does_not_answer(server: WebServer) -> None:
    async def two(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    fetcher = Fetcher(Dialer(AllowedHosts([f"web.example:{server.port}"]), two, client_tls))
    assert trio.run(fetcher.page, server.url(name="web.example")).body == b"<p>Hello</p>"


def test_the_system_knows_its_own_name_and_a_page_there_is_denied() -> None:
    assert set(trio.run(SystemResolver(), "localhost", 80)) <= {"127.0.0.1", "::1"}
    with pytest.raises(ToolDenied, match=r"loopback address.*allow_hosts: \['localhost'\]"):
        trio.run(Fetcher(Dialer(AllowedHosts(), SystemResolver(), system_tls)).page, "http://localhost/")


def test_a_denied_redirect_is_not_asked_for(server: WebServer) -> None:
    server.routes["/away"] = redirect("http://169.254.169.254/latest/meta-data/")
    with pytest.raises(ToolDenied, match=r"169\.254\.169\.254 is a link-local"):
        fetch(server, "/away")
    server.routes["/weird"] = redirect("ftp://example.org/")
    with pytest.raises(ToolDenied, match="only http and https"):
        fetch(server, "/weird")


def test_what_is_cancelled_leaves_no_connection_behind(server: WebServer) -> None:
    asked, hung_up = threading.Event(), threading.Event()

    async def silent(stream: trio.abc.Stream) -> None:
        asked.set()
        if await stream.receive_some(1) == b"":
            hung_up.set()

    async def main() -> None:
        fetcher = Fetcher(Dialer(AllowedHosts([f"127.0.0.1:{server.port}"]), _loopback, client_tls))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetcher.page, server.url("/silent"))
            assert await trio.to_thread.run_sync(asked.wait, 10)
            nursery.cancel_scope.cancel()

    server.rude["/silent"] = silent
    trio.run(main)
    assert hung_up.wait(10)


def test_the_answer_of_a_named_server_is_not_redirected(server: WebServer) -> None:
    def away(_request: WebRequest) -> WebReply:
        return redirect("/other")

    server.routes["/"] = away
    fetcher = Fetcher(Dialer(AllowedHosts(), _loopback, client_tls))
    answered = trio.run(fetcher.ask, server.url(), Request(method="POST", body=b"{}"))
    assert answered.head.status == 302
    assert [(request.method, request.path, request.body) for request in server.requests] == [("POST", "/", b"{}")]


# ---------------------------------------------------------------- a proxy


async def _proxied(stream: trio.abc.Stream, to: int, asked: list[bytes]) -> None:
    """What a proxy does with a tunnel, once it was asked for one."""
    await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
    async with await trio.open_tcp_stream("127.0.0.1", to) as server, trio.open_nursery() as nursery:

        async def back() -> None:
            async for data in server:
                await stream.send_all(data)
            nursery.cancel_scope.cancel()

        nursery.start_soon(back)
        async for data in stream:
            asked.append(bytes(data))
            await server.send_all(data)


def _by_proxy(proxy: WebServer, url: str, allowed: Sequence[str] = (), address: str = "93.184.215.14") -> Fetched:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return [address]

    return trio.run(Fetcher(Dialer(AllowedHosts(allowed), resolve, client_tls, proxy.url().rstrip("/"))).page, url)


def test_a_proxy_is_asked_for_the_vetted_address_and_tls_is_the_servers_own() -> None:
    asked: list[bytes] = []
    with (
        WebServer({"/": html("secure")}, tls=server_tls()) as server,
        WebServer(rude={"93.184.215.14:443": lambda stream: _proxied(stream, server.port, asked)}) as proxy,
    ):
        page = _by_proxy(proxy, "https://web.example/")
        assert page.body == b"secure"
        assert [(request.method, request.path) for request in proxy.requests] == [("CONNECT", "93.184.215.14:443")]
        assert server.requests[0].headers["host"] == "web.example"
        assert b"GET /" not in b"".join(asked)
        with pytest.raises(ToolFailed, match="certificate does not hold"):
            _by_proxy(proxy, "https://other.example/")


def test_a_proxy_is_not_asked_for_what_is_denied_nor_for_ones_own_network(server: WebServer) -> None:
    with WebServer() as proxy:
        with pytest.raises(ToolDenied, match="private address"):
            _by_proxy(proxy, "https://web.example/", address="10.0.0.1")
        allowed = [f"web.example:{server.port}"]
        assert _by_proxy(proxy, server.url(name="web.example"), allowed, "127.0.0.1").body == b"<p>Hello</p>"
        assert proxy.connections == 0


def test_a_proxy_that_refuses_or_is_none_is_told(server: WebServer) -> None:
    async def rude(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"nonsense\r\n\r\n")

    with WebServer({"93.184.215.14:80": WebReply("no", status=403)}, rude={"93.184.215.14:443": rude}) as proxy:
        with pytest.raises(ToolFailed, match=r"`web.proxy` names answers 403 when it is asked for 93\.184\.215\.14:80"):
            _by_proxy(proxy, "http://web.example/")
        with pytest.raises(ToolFailed, match="does not answer as a proxy"):
            _by_proxy(proxy, "https://web.example/")
