"""Connects to a host: its name is resolved once, every address vetted, and exactly those are connected to."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv6Address, ip_address

import trio

from ..errors import ToolDenied, ToolFailed
from .addresses import AllowedHosts, refusal
from .urls import Address, Target, read_url

#: The addresses of a name, as text. Raises OSError.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

#: Names that are looked up at once: each takes a thread, for as long as the system cares to wait.
_LOOKUPS = 8
#: Of one address, before the next one is tried.
_CONNECT_S = 8.0
_ADDRESSES_TRIED = 4


class SystemResolver:
    """Names as this machine knows them."""

    def __init__(self) -> None:
        self._places = trio.CapacityLimiter(_LOOKUPS)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        found = await trio.to_thread.run_sync(
            _look_up, host, port, abandon_on_cancel=True, limiter=self._places
        )  # a thread that is abandoned keeps its place until the system gives up
        return list(dict.fromkeys(str(each[4][0]) for each in found))


def _look_up(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str | int, ...]]]:
    return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]  # type: ignore[list-item]


class Dialer:
    """Makes connections for requests. Raises ToolDenied for what is not connected to, ToolFailed for what fails."""

    def __init__(
        self, allowed: AllowedHosts, resolve: Resolve, tls: Callable[[], ssl.SSLContext], proxy: str = ""
    ) -> None:
        """`proxy` leads to public addresses, those of one's own network are near; the environment's is never asked."""
        self._allowed = allowed
        self._resolve = resolve
        self._make_tls = tls
        self._proxy = read_url(proxy) if proxy else None
        self._tls: ssl.SSLContext | None = None

    async def dial(self, target: Target, *, trusted: bool = False) -> trio.abc.Stream:
        """A connection for one request. `trusted`: the person named the address itself, wherever it may lie."""
        addresses = await self._addresses(target) if trusted else await self._vetted(target)
        stream = await self._connect(target, addresses)
        if target.scheme == "http":
            return stream
        return await self._secured(stream, target)

    async def _vetted(self, target: Target) -> Sequence[Address]:
        """The addresses of the target, none of which may be refused."""
        if reason := self._allowed.port_refusal(target):
            raise ToolDenied(f"{target.url}: {reason}")
        addresses = await self._addresses(target)
        inside = self._allowed.names(target)
        for address in addresses:
            if reason := refusal(address, inside=inside):
                raise ToolDenied(
                    f"{target.url}: {reason}, and pages are fetched from public ones only; a person can allow a host "
                    f"of their own network in their own config: `web: {{allow_hosts: ['{target.authority}']}}`"
                )
        return addresses

    async def _addresses(self, target: Target) -> Sequence[Address]:
        if target.literal is not None:
            return [target.literal]
        try:
            found = await self._resolve(target.host, target.port)
        except OSError as error:
            raise ToolFailed(f"{target.url}: the host is not found ({error.strerror or error})") from error
        if not found:
            raise ToolFailed(f"{target.url}: the host has no address")
        return [ip_address(text) for text in found]

    async def _connect(self, target: Target, addresses: Sequence[Address]) -> trio.SocketStream:
        why: object = "it does not answer"
        for address in addresses[:_ADDRESSES_TRIED]:
            with trio.move_on_after(_CONNECT_S):
                try:
                    return await self._reach(address, target.port)
                except OSError as error:
                    why = os.strerror(error.errno) if error.errno else error
                except ToolFailed as error:
                    why = error.message
        raise ToolFailed(f"{target.url}: no connection: {why}")

    async def _reach(self, address: Address, port: int) -> trio.SocketStream:
        if self._proxy is None or refusal(address, inside=False):
            return await _connect_to(address, port)
        from .tunnel import open_tunnel

        near = await self._addresses(self._proxy)
        stream = await _connect_to(near[0], self._proxy.port)
        try:
            await open_tunnel(stream, address, port)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    async def _secured(self, stream: trio.SocketStream, target: Target) -> trio.abc.Stream:
        if self._tls is None:
            self._tls = self._make_tls()
        secured = trio.SSLStream(stream, self._tls, server_hostname=target.host, https_compatible=True)
        try:
            await secured.do_handshake()
        except (trio.BrokenResourceError, ssl.SSLError, OSError) as error:
            await trio.aclose_forcefully(stream)
            raise ToolFailed(f"{target.url}: no secure connection: {_tls_problem(error)}") from error
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return secured


async def _connect_to(address: Address, port: int) -> trio.SocketStream:
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await sock.connect((str(address), port))  # numbers: nothing is looked up again
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


def _tls_problem(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, trio.BrokenResourceError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate does not hold: {cause.verify_message}"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause or "the server broke it off")


def system_tls() -> ssl.SSLContext:
    """Certificates are verified against those that this system trusts; where it has none, against certifi's."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or (paths.capath and os.listdir(paths.capath)) or context.cert_store_stats()["x509_ca"]):
        import certifi

        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
