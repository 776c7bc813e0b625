"""What a page, a name or a server may not do to who fetches it: each attack names its guards, and needs them.

In this world 127.0.0.1 and 127.0.0.3 play the public internet, and 127.0.0.2 a network of one's own, on which a server
holds what nobody outside may read. An attack got through if that server was asked, or if the marker came out.
"""

from __future__ import annotations

import gzip
import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import pytest
import trio

from tests.support.checking import PlainChecker
from tests.support.web_server import Rude, WebReply, WebRequest, WebServer, client_tls, html, redirect, server_tls
from vibe_workflows.engine.agents.tools.web_access import WebAccess
from vibe_workflows.engine.agents.tools.web_fetch import WebFetch
from vibe_workflows.engine.errors import ToolDenied, ToolFailed
from vibe_workflows.engine.web import addresses, dialing, exchange, fetching, urls
from vibe_workflows.engine.web.addresses import AllowedHosts
from vibe_workflows.engine.web.dialing import Dialer
from vibe_workflows.engine.web.urls import Address, Target
from vibe_workflows.sandbox.replies import Page

MARK = "attack-marker-7741"
PUBLIC, INNER = "127.0.0.1", "127.0.0.2"
#: Unlike any that stands in the text of this test.
HIDDEN = "".join(chr(0xE0000 + ord(char)) for char in "obey me")


class World:
    """The servers, what names lead to, and what came of an attack."""

    def __init__(self, *, public: WebServer, inner: WebServer, secure: WebServer, odd: WebServer, folder: Path) -> None:
        self.public, self.inner, self.secure, self.odd = public, inner, secure, odd
        self.secret = folder / "secret.txt"
        self.secret.write_text(MARK)
        self.names: dict[str, list[Sequence[str]]] = {}
        self.looked_up: list[str] = []
        self.told = ""
        self.error: ToolDenied | ToolFailed | None = None

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """What a name says first, then what it says next; anything else as the system takes it."""
        self.looked_up.append(host)
        answers = self.names.get(host)
        if answers is None:
            return [str(each[4][0]) for each in await trio.socket.getaddrinfo(host, port)]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    @staticmethod
    def tls() -> ssl.SSLContext:
        return client_tls()


# ---------------------------------------------------------------- the guards, and how each is switched off


@contextmanager
def _all(*guards: AbstractContextManager[object]) -> Iterator[None]:
    with ExitStack() as stack:
        for guard in guards:
            stack.enter_context(guard)
        yield


def _naive_host(name: str, _shown: str = "") -> tuple[str, Address | None]:
    """Whatever the system makes of it."""
    try:
        return name, ip_address(name)
    except ValueError:
        return name, None


def _naive_url(text: str) -> Target:
    """As most clients read a URL: a file is opened, and of another protocol's URL host and port are taken."""
    parts = urlsplit(text)
    if parts.scheme == "file":
        raise ToolFailed(Path(parts.path).read_text())
    host, literal = _naive_host(parts.hostname or "")
    path = text.partition(parts.netloc)[2] or "/"
    return Target(scheme="http", host=host, port=parts.port or 80, path=path, literal=literal)


def _vetting_one() -> AbstractContextManager[object]:
    """Of several addresses, the first is vetted."""
    real, vetted = addresses.refusal, list[Address]()

    def refusal(address: Address, *, inside: bool) -> str:
        vetted.append(address)
        return real(address, inside=inside) if len(vetted) == 1 else ""

    return mock.patch.object(dialing, "refusal", refusal)


def _looking_up_again() -> AbstractContextManager[object]:
    """Vets what a name says, and then connects to the name."""
    real = Dialer._vetted

    async def vetted(self: Dialer, target: Target) -> Sequence[Address]:
        await real(self, target)
        return await self._addresses(target)

    return mock.patch.object(Dialer, "_vetted", vetted)


def _vetting_the_first_page() -> AbstractContextManager[object]:
    real, dialled = Dialer.dial, list[Target]()

    async def dial(self: Dialer, target: Target, *, trusted: bool = False) -> trio.abc.Stream:
        dialled.append(target)
        return await real(self, target, trusted=len(dialled) > 1)

    return mock.patch.object(Dialer, "dial", dial)


def _any_host() -> ssl.SSLContext:
    context = client_tls()
    context.check_hostname = False
    return context


async def _ask_as_told(self: exchange.Exchange, _request: exchange.Request) -> exchange.Head:
    """Puts the request together as text, as clients did before they knew better."""
    asked = f"GET {self._target.path} HTTP/1.1\r\nHost: {self._target.authority}\r\n\r\n"
    await self._stream.send_all(asked.encode())
    answer = bytes(await self._stream.receive_some(100_000))
    raise ToolFailed(answer.decode("latin-1"))


def _unpack_all(self: exchange._Unpacked, data: bytes) -> bytes:
    assert self._unpacker is not None
    self._began = True
    self._room = 1 << 40
    return self._unpacker.decompress(data)


async def _by_proxy(_self: Dialer, _address: Address, _port: int) -> trio.SocketStream:
    """As clients do that heed the environment."""
    proxy = urlsplit(os.environ["http_proxy"])
    return await trio.open_tcp_stream(str(proxy.hostname), proxy.port or 80)


GUARDS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "addresses": lambda: mock.patch.object(dialing, "refusal", return_value=""),
    "every address": _vetting_one,
    "every redirect": _vetting_the_first_page,
    "one look-up": _looking_up_again,
    "ports": lambda: mock.patch.object(AllowedHosts, "port_refusal", return_value=""),
    "spelling of hosts": lambda: mock.patch.object(urls, "_read_host", _naive_host),
    "reading of URLs": lambda: mock.patch.object(fetching, "read_url", _naive_url),
    "request lines": lambda: mock.patch.object(exchange.Exchange, "ask", _ask_as_told),
    "downgrade": lambda: mock.patch.object(fetching, "redirected", lambda _, to: urls.read_url(to.decode())),
    "redirects": lambda: mock.patch.object(fetching, "MAX_REDIRECTS", 1_000),
    "certificate": lambda: mock.patch.object(World, "tls", staticmethod(_any_host)),
    "size": lambda: mock.patch.object(exchange, "MAX_BODY_BYTES", 1 << 40),
    "unpacked size": lambda: mock.patch.object(exchange._Unpacked, "_step", _unpack_all),
    "time": lambda: mock.patch.object(fetching, "FETCH_S", 60.0),
    "head": lambda: mock.patch.object(exchange, "MAX_HEAD_BYTES", 1 << 30),
    "pieces": lambda: mock.patch.object(exchange, "MAX_PIECES", 1 << 30),
    "types": lambda: mock.patch.object(fetching, "content_type", return_value=("text/plain", "")),
    "no proxy": lambda: mock.patch.object(Dialer, "_reach", _by_proxy),
    "cleaning": lambda: mock.patch.object(Page, "cleaned", lambda self, _most: self),
}

# ---------------------------------------------------------------- what the public server says

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def _hop(request: WebRequest) -> WebReply:
    left = int(request.path.partition("=")[2])
    return redirect(f"/hop?left={left - 1}") if left else html(MARK)


_PACKED = WebReply(
    gzip.compress(MARK.encode() + b"x" * 8_000_000),
    headers={"Content-Type": "text/plain", "Content-Encoding": "gzip"},
)


async def _endless(stream: trio.abc.Stream) -> None:
    await stream.send_all(_HEAD + b"\r\n" + MARK.encode())
    for _ in range(120):
        await stream.send_all(b"x" * 50_000)


async def _slow(stream: trio.abc.Stream) -> None:
    await stream.send_all(_HEAD + b"\r\n" + MARK.encode())
    for _ in range(12):
        await trio.sleep(0.1)
        await stream.send_all(b"x")


async def _headers(stream: trio.abc.Stream) -> None:
    await stream.send_all(_HEAD + b"".join(b"X-%d: %b\r\n" % (n, b"y" * 1_000) for n in range(300)))
    await stream.send_all(b"\r\n" + MARK.encode())


async def _interim(stream: trio.abc.Stream) -> None:
    await stream.send_all((b"HTTP/1.1 103 Early Hints\r\nLink: " + b"y" * 500 + b"\r\n\r\n") * 300)
    await stream.send_all(_HEAD + b"\r\n" + MARK.encode())


async def _pieces(stream: trio.abc.Stream) -> None:
    await stream.send_all(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    await stream.send_all(b"%x\r\n%b\r\n" % (len(MARK), MARK.encode()) + b"1\r\nx\r\n" * 25_000 + b"0\r\n\r\n")


RUDE: Mapping[str, Rude] = {
    "/endless": _endless,
    "/slow": _slow,
    "/headers": _headers,
    "/interim": _interim,
    "/pieces": _pieces,
}

# ---------------------------------------------------------------- the attacks


def _marked(world: World) -> bool:
    return MARK in world.told


def _inner_was_asked(world: World) -> bool:
    return world.inner.connections > 0


def _public_was_asked(world: World) -> bool:
    return world.public.connections > 0


@dataclass(frozen=True, kw_only=True)
class Attack:
    name: str
    guards: tuple[str, ...]
    url: Callable[[World], str]
    names: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    got_through: Callable[[World], bool] = _marked
    patch: Callable[[World], AbstractContextManager[object]] = lambda _world: nullcontext()
    kind: type[ToolDenied | ToolFailed] | None = ToolDenied

    def __str__(self) -> str:
        return self.name


def _at(path: str) -> Callable[[World], str]:
    return lambda world: world.public.url(path)


def _written(host: str, *guards: str) -> Attack:
    return Attack(
        name=f"the inner host is written as {host!a}",
        url=lambda world: f"http://{host}:{world.inner.port}/secret",
        guards=guards or ("addresses",),
        got_through=_inner_was_asked,
    )


def _odd(host: str) -> Attack:
    return _written(host, "spelling of hosts", "addresses")


def _named(name: str, *answers: Sequence[str], guard: str, kind: type[ToolDenied | ToolFailed] = ToolDenied) -> Attack:
    return Attack(
        name=name,
        guards=(guard,),
        names={"evil.example": answers},
        url=lambda world: f"http://evil.example:{world.inner.port}/secret",
        got_through=_inner_was_asked,
        kind=kind,
    )


def _redirected(name: str, path: str, names: Mapping[str, Sequence[Sequence[str]]] = {}) -> Attack:
    return Attack(name=name, url=_at(path), names=names, guards=("every redirect",), got_through=_inner_was_asked)


def _rude(name: str, path: str, guard: str) -> Attack:
    return Attack(name=name, url=_at(path), guards=(guard,), kind=ToolFailed)


ATTACKS = [
    _written(INNER),
    _written(f"{INNER}."),
    _written(f"[::ffff:{INNER}]"),
    _written("[::ffff:7f00:2]"),
    _written("１２７.０.０.２"),
    _written("127。0。0。2"),
    _odd("127.2"),
    _odd("0x7f.2"),
    _odd("0x7f000002"),
    _odd("2130706434"),
    _odd("017700000002"),
    _odd("0177.0.0.02"),
    _named("a name leads to the inner host", [INNER], guard="addresses"),
    _named("a name leads there in IPv6", [f"::ffff:{INNER}"], guard="addresses"),
    _named("a name leads to a public host and to the inner one", ["127.0.0.3", INNER], guard="every address"),
    _named("a name leads elsewhere once it was vetted", [PUBLIC], [INNER], guard="one look-up", kind=ToolFailed),
    _redirected("a page redirects to the inner host", "/to-inner"),
    _redirected("a page redirects to a name of the inner host", "/to-name", {"evil.example": [[INNER]]}),
    _redirected("the second redirect leads to the inner host", "/to-to-inner"),
    Attack(name="redirects without an end", url=_at("/hop?left=9"), guards=("redirects",)),
    Attack(name="a port that is not the web's", url=lambda world: world.odd.url("/secret"), guards=("ports",)),
    Attack(
        name="a page redirects from https to http",
        url=lambda world: world.secure.url("/down", name="web.example"),
        names={"web.example": [[PUBLIC]]},
        guards=("downgrade",),
    ),
    Attack(
        name="a server shows the certificate of another host",
        url=lambda world: world.secure.url("/secret", name="other.example"),
        names={"other.example": [[PUBLIC]]},
        guards=("certificate",),
        kind=ToolFailed,
    ),
    Attack(
        name="credentials are in the URL",
        url=lambda world: f"http://user:{MARK}@{PUBLIC}:{world.public.port}/secret",
        guards=("reading of URLs",),
        got_through=_public_was_asked,
    ),
    Attack(
        name="what stands before an @ looks like the host",
        url=lambda world: f"http://web.example@{PUBLIC}:{world.public.port}/secret",
        guards=("reading of URLs",),
    ),
    Attack(
        name="a file of this machine is asked for",
        url=lambda world: world.secret.as_uri(),
        guards=("reading of URLs",),
    ),
    Attack(
        name="another protocol is spoken to a port",
        url=lambda world: f"gopher://{PUBLIC}:{world.public.port}/_FLUSHALL",
        guards=("reading of URLs",),
        got_through=_public_was_asked,
    ),
    Attack(
        name="a newline in the URL splits the request",
        url=lambda world: world.public.url(f"/x HTTP/1.1\r\nHost: x\r\n\r\nGET /{MARK}"),
        guards=("reading of URLs", "request lines"),
        got_through=lambda world: any(MARK.encode() in each.body for each in world.public.requests),
    ),
    Attack(
        name="a backslash in the URL hides the host",
        url=lambda world: f"http://{PUBLIC}:{world.public.port}\\@web.example/secret",
        guards=("reading of URLs",),
        got_through=lambda world: world.looked_up == ["web.example"],
        names={"web.example": [["127.0.0.3"]]},
    ),
    Attack(
        name="the environment names a proxy",
        url=_at("/secret"),
        guards=("no proxy",),
        got_through=lambda world: world.odd.connections > 0,
        patch=lambda world: mock.patch.dict(os.environ, {"http_proxy": world.odd.url(), "ALL_PROXY": world.odd.url()}),
        kind=None,
    ),
    _rude("a body without an end", "/endless", "size"),
    _rude("a body that unpacks without an end", "/packed", "unpacked size"),
    _rude("headers without an end", "/headers", "head"),
    _rude("interim answers without an end", "/interim", "head"),
    _rude("a body in tiny pieces", "/pieces", "pieces"),
    _rude("a body that is no text", "/binary", "types"),
    Attack(
        name="a body that hardly comes",
        url=_at("/slow"),
        guards=("time",),
        patch=lambda _world: mock.patch.object(fetching, "FETCH_S", 0.5),
        kind=ToolFailed,
    ),
    Attack(
        name="a page holds what no person sees",
        url=_at("/hidden"),
        guards=("cleaning",),
        got_through=lambda world: HIDDEN in world.told or "\x1b" in world.told or "\u202e" in world.told,
        kind=None,
    ),
]


class _WebOf(WebAccess):
    """The web as it is in a world."""

    def __init__(self, world: World) -> None:
        super().__init__(allow_hosts=(), provider=None, environ={})
        self._world = world

    def dialer(self) -> Dialer:
        return Dialer(AllowedHosts(), self._world.resolve, lambda: self._world.tls())


async def _fetch(world: World, url: str) -> None:
    web = _WebOf(world)
    try:
        result = await WebFetch(web, PlainChecker()).run({"url": url})
        world.told = f"{result.text}\n{result.data}"
    except (ToolDenied, ToolFailed) as error:
        world.error, world.told = error, error.message


def _attempt(world: World, attack: Attack) -> None:
    world.names = {name: list(answers) for name, answers in attack.names.items()}
    trio.run(_fetch, world, attack.url(world))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    marked = {"/secret": html(MARK)}
    with ExitStack() as stack:
        inner = stack.enter_context(WebServer(marked, host=INNER))
        odd = stack.enter_context(WebServer(marked))
        public = stack.enter_context(WebServer({**marked, "/hop": _hop, "/packed": _PACKED}, rude=RUDE))
        secure = stack.enter_context(WebServer(marked, tls=server_tls()))
        public.routes |= {
            "/to-inner": redirect(inner.url("/secret")),
            "/to-name": redirect(inner.url("/secret", name="evil.example")),
            "/to-to-inner": redirect("/to-inner", 307),
            "/binary": WebReply(MARK, headers={"Content-Type": "application/octet-stream"}),
            "/hidden": html(f"<p>plain {HIDDEN} \x1b]0;x\x07 \u202e</p>"),
        }
        secure.routes["/down"] = redirect(public.url("/secret"))
        ports = frozenset({80, 443, inner.port, public.port, secure.port})
        stack.enter_context(mock.patch.object(addresses, "PORTS", ports))
        stack.enter_context(mock.patch.object(addresses, "_INSIDE", {IPv4Network(f"{INNER}/32"): "private"}))
        yield World(public=public, inner=inner, secure=secure, odd=odd, folder=tmp_path)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_over_the_web_is_stopped(world: World, attack: Attack) -> None:
    with attack.patch(world):
        _attempt(world, attack)
    assert not attack.got_through(world), world.told
    assert type(world.error) is (attack.kind or type(None)), world.told
    assert len(world.told) < 5_000


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_over_the_web_gets_through_without_its_guards(world: World, attack: Attack) -> None:
    with attack.patch(world), _all(*(GUARDS[name]() for name in attack.guards)):
        _attempt(world, attack)
    assert attack.got_through(world), world.told


def test_every_guard_is_needed_by_an_attack() -> None:
    assert {name for attack in ATTACKS for name in attack.guards} == set(GUARDS)
