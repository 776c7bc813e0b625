"""The one reading of a URL: what it gives is what is resolved, vetted, connected to and sent.

No second parser ever sees the text, so that none can read another host in it.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urljoin, urlsplit

from msgspec import Struct

from ..errors import ToolDenied, ToolFailed

Address = IPv4Address | IPv6Address

MAX_URL_CHARS = 4_096
DEFAULT_PORTS = {"http": 80, "https": 443}
_SHOWN_CHARS = 200
#: White space and controls, which some parsers drop and some send, and `\`, which some read as `/`.
_UNFIT = re.compile("[\x00-\x20\x7f-\xa0\\\\\\s\ud800-\udfff]")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_HOST_CHARS = 253
#: What a path and a query may hold as it is.
_KEPT = "%/:=&?~+!$,;'@()*[]"


class Target(Struct, frozen=True, kw_only=True):
    """Where a request goes. `host` is in ASCII and small letters; `literal` is its address where it is one."""

    scheme: str
    host: str
    port: int
    path: str  # with the query
    literal: Address | None

    @property
    def authority(self) -> str:
        """As the `Host` header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def read_url(text: str) -> Target:
    """Raises ToolDenied for what no page is fetched from, ToolFailed for what is no URL."""
    if len(text) > MAX_URL_CHARS:
        raise ToolDenied(f"a URL of {len(text):,} characters is too long; at most {MAX_URL_CHARS:,} are sent")
    shown = shown_url(text)
    if found := _UNFIT.search(text):
        raise ToolDenied(f"{shown}: a URL cannot hold the character {found[0]!a}; write it percent-encoded")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ToolFailed(f"{shown}: this is no URL ({error})") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise ToolDenied(f"{shown}: only http and https are fetched; give a URL that begins with https://")
    if "@" in parts.netloc:
        raise ToolDenied(f"{shown}: a URL with a user or a password is not fetched; leave out what stands before the @")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    port = int((authority and authority[2]) or DEFAULT_PORTS[parts.scheme])
    if authority is None or not 0 < port < 65_536:
        raise ToolFailed(f"{shown}: this is no URL (what stands for host and port is none)")
    host, literal = _read_host(authority[1], shown)
    return Target(
        scheme=parts.scheme,
        host=host,
        port=port,
        path=_escaped(parts.path or "/") + (f"?{_escaped(parts.query)}" if parts.query else ""),
        literal=literal,
    )


def redirected(target: Target, location: bytes) -> Target:
    """Where a `Location` header leads. Raises as `read_url`, and ToolDenied where it leaves https."""
    text = quote(location.strip().decode("latin-1"), safe=_KEPT + "#", encoding="latin-1")
    found = read_url(urljoin(target.url, text))
    if target.scheme == "https" and found.scheme != "https":
        raise ToolDenied(
            f"{shown_url(target.url)}: it redirects to {shown_url(found.url)}, which leaves https; fetch that URL "
            "yourself if plain http will do"
        )
    return found


def shown_url(text: str) -> str:
    """As a message quotes it: short, in printable ASCII, without user and password."""
    plain = ascii(text[: _SHOWN_CHARS + 1])[1:-1]
    plain = re.sub(r"//[^/?#]*@", "//", plain)
    return plain if len(plain) <= _SHOWN_CHARS else f"{plain[:_SHOWN_CHARS]}..."


def _escaped(text: str) -> str:
    return quote(text, safe=_KEPT)


def _read_host(name: str, shown: str) -> tuple[str, Address | None]:
    if not name:
        raise ToolFailed(f"{shown}: this URL names no host")
    if "%" in name:
        raise ToolDenied(f"{shown}: a host with `%` in it (an escape, or a zone) is not fetched")
    if name.startswith("["):
        try:
            address = IPv6Address(name[1:-1])
        except ValueError as error:
            raise ToolDenied(f"{shown}: its host is no IPv6 address") from error
        return address.compressed, address
    host = _ascii_host(name, shown)
    labels = host.split(".")
    if len(host) > _MAX_HOST_CHARS or not all(map(_LABEL.fullmatch, labels)):
        raise ToolDenied(f"{shown}: its host is no name that the web has")
    if not _NUMBER.fullmatch(labels[-1]):
        return host, None
    try:  # the only spelling that all readers agree on; the system would take many more
        return host, IPv4Address(host)
    except ValueError as error:
        raise ToolDenied(
            f"{shown}: an IPv4 address is written as four decimal numbers, such as 93.184.215.14"
        ) from error


def _ascii_host(name: str, shown: str) -> str:
    if name.isascii():
        return name.lower().removesuffix(".")
    import idna  # hardly any URL needs it

    if len(name) > _MAX_HOST_CHARS:
        raise ToolDenied(f"{shown}: its host is too long for a name")
    try:
        return idna.encode(name, uts46=True).decode().lower().removesuffix(".")
    except UnicodeError as error:
        raise ToolDenied(f"{shown}: its host is no international domain name") from error
