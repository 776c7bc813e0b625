"""Which addresses a page may be fetched from: those of the public internet, and what the person named beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from .urls import DEFAULT_PORTS, Address, Target

#: Those of the web; any other is one that the person named.
PORTS = frozenset(DEFAULT_PORTS.values())

_Network = IPv4Network | IPv6Network

#: Of networks of one's own: a host that the person named may lie there.
_INSIDE: Mapping[_Network, str] = {
    IPv4Network("10.0.0.0/8"): "private",
    IPv4Network("172.16.0.0/12"): "private",
    IPv4Network("192.168.0.0/16"): "private",
    IPv4Network("127.0.0.0/8"): "loopback",
    IPv4Network("100.64.0.0/10"): "shared (carrier-grade NAT)",
    IPv4Network("198.18.0.0/15"): "benchmark",
    IPv6Network("::1/128"): "loopback",
    IPv6Network("fc00::/7"): "private",
}
#: Where no page lies, whoever names the host.
_NEVER: Mapping[_Network, str] = {
    IPv4Network("100.100.100.200/32"): "cloud metadata",
    IPv4Network("168.63.129.16/32"): "cloud metadata",
    IPv6Network("fd00:ec2::254/128"): "cloud metadata",
    IPv4Network("0.0.0.0/8"): "unspecified",
    IPv4Network("169.254.0.0/16"): "link-local (cloud metadata lies there)",
    IPv4Network("192.0.0.0/24"): "reserved",
    IPv4Network("192.0.2.0/24"): "reserved",
    IPv4Network("192.88.99.0/24"): "reserved",
    IPv4Network("198.51.100.0/24"): "reserved",
    IPv4Network("203.0.113.0/24"): "reserved",
    IPv4Network("224.0.0.0/4"): "multicast",
    IPv4Network("240.0.0.0/4"): "reserved",
    IPv6Network("::/128"): "unspecified",
    IPv6Network("fe80::/10"): "link-local",
    IPv6Network("ff00::/8"): "multicast",
    IPv6Network("2001::/32"): "Teredo",
    IPv6Network("2001::/23"): "reserved",
    IPv6Network("2001:db8::/32"): "reserved",
    IPv6Network("2002::/16"): "6to4",
    IPv6Network("3fff::/20"): "reserved",
}
_PUBLIC_V6 = IPv6Network("2000::/3")
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")


class AllowedHosts:
    """Hosts that the person named: `host`, for the usual ports, or `host:port`."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._entries = frozenset(map(_split, entries))

    def names(self, target: Target) -> bool:
        """Whether this host, at this port, may lie inside of a network of one's own."""
        port = None if target.port in PORTS else target.port
        return (target.host, port) in self._entries or (target.host, target.port) in self._entries

    def port_refusal(self, target: Target) -> str:
        """Why this port of the host is not connected to; empty where it is."""
        if target.port in PORTS or self.names(target):
            return ""
        return (
            f"only ports 80 and 443 are connected to, not {target.port}; a person can allow it in their own config: "
            f"`web: {{allow_hosts: ['{target.authority}']}}`"
        )


def refusal(address: Address, *, inside: bool) -> str:
    """Why nothing is fetched from this address; empty where it is. `inside`: the person named its host."""
    meant = _meant(address)
    for network, kind in _NEVER.items():
        if meant in network:
            return f"{address} is a {kind} address"
    for network, kind in _INSIDE.items():
        if meant in network:
            return "" if inside else f"{address} is a {kind} address"
    if isinstance(meant, IPv6Address) and meant not in _PUBLIC_V6:
        return f"{address} is no public address"
    return ""


def _meant(address: Address) -> Address:
    """The IPv4 address that is written inside of an IPv6 one, where the system would connect to that."""
    if isinstance(address, IPv6Address) and (address in _MAPPED or address in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _split(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return IPv6Address(host).compressed, int(rest[1:]) if rest else None
    host, colon, port = entry.partition(":")
    return host, int(port) if colon else None
