"""Fetches a page: a GET, and the redirects that it leads to, each of them vetted like the first."""

from __future__ import annotations

import trio
from msgspec import Struct

from ..errors import ToolDenied, ToolFailed
from ..version import VERSION
from .dialing import Dialer
from .exchange import Exchange, Head, Request
from .pages import content_type
from .urls import Target, read_url, redirected

#: Of one fetch, all of its redirects together.
FETCH_S = 30.0
MAX_REDIRECTS = 5
#: Fetches at the same time, in one run: each may hold a page twice.
_AT_ONCE = 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
AGENT = ("User-Agent", f"vibe-workflows/{VERSION}")
_PAGE = Request(
    headers=(
        AGENT,
        ("Accept", "text/markdown, text/html, application/xhtml+xml, application/json, text/*;q=0.9, */*;q=0.5"),
        ("Accept-Encoding", "gzip, deflate"),
    )
)


class Fetched(Struct, frozen=True, kw_only=True):
    """A page as it came. `url` is where it lay in the end; `charset` is what its header says, if anything."""

    url: str
    status: int
    content_type: str
    charset: str
    body: bytes


class Answered(Struct, frozen=True, kw_only=True):
    head: Head
    body: bytes


class Fetcher:
    """Raises ToolDenied for what no request is sent to, ToolFailed for what does not come."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._places = trio.CapacityLimiter(_AT_ONCE)

    async def page(self, url: str) -> Fetched:
        """The page at a URL that a stranger may have chosen."""
        target = read_url(url)
        async with self._places:
            with trio.move_on_after(FETCH_S):
                return await self._follow(target)
        raise _too_slow(target)

    async def ask(self, url: str, request: Request) -> Answered:
        """The answer of a server that the person named: it may lie anywhere, and no redirect of it is followed."""
        target = read_url(url)
        async with self._places:
            with trio.move_on_after(FETCH_S):
                async with await self._dialer.dial(target, trusted=True) as stream:
                    exchange = Exchange(stream, target)
                    head = await exchange.ask(request)
                    return Answered(head=head, body=await exchange.body(head))
        raise _too_slow(target)

    async def _follow(self, target: Target) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            found = await self._get(target)
            if isinstance(found, Fetched):
                return found
            target = found
        raise ToolDenied(f"{target.url}: reached by more than {MAX_REDIRECTS} redirects, and not followed further")

    async def _get(self, target: Target) -> Fetched | Target:
        """The page, or where it lies instead."""
        async with await self._dialer.dial(target) as stream:
            exchange = Exchange(stream, target)
            head = await exchange.ask(_PAGE)
            if head.status in _REDIRECTS and "location" in head.headers:
                return redirected(target, head.headers["location"])
            if not 200 <= head.status < 300:
                raise ToolFailed(f"{target.url}: the server answers {head.status} {head.reason}".rstrip())
            kind, charset = content_type(target, head)
            body = await exchange.body(head)
            return Fetched(url=target.url, status=head.status, content_type=kind, charset=charset, body=body)


def _too_slow(target: Target) -> ToolFailed:
    return ToolFailed(f"{target.url}: not here within {FETCH_S:g} s")
