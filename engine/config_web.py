"""Parsers of the config keys about the web: hosts that may lie inside, and who answers searches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from .config_values import address, mapping, names, shown
from .nearest import did_you_mean

_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class SearchProvider(NamedTuple):
    """`url` is where it answers; `key_env` is the environment variable that holds its key, "" where it needs none."""

    name: str
    url: str
    key_env: str


#: What is asked where the config names a provider alone. SearXNG has no address but one's own.
PROVIDERS = {
    "brave": SearchProvider("brave", "https://api.search.brave.com/res/v1/web/search", "BRAVE_API_KEY"),
    "tavily": SearchProvider("tavily", "https://api.tavily.com/search", "TAVILY_API_KEY"),
    "searxng": SearchProvider("searxng", "", ""),
}
_KEYS = ("provider", "url", "key_env")


def allow_hosts(value: object, text: bool) -> dict[str, None]:
    """Hosts as `wiki.corp.example`, `localhost:8000`, `10.0.0.5` or `[::1]:8080`."""
    found: dict[str, None] = {}
    for name in names(value, text):
        host = name.lower().removesuffix(".")
        match = _HOST.fullmatch(host)
        if match is None or (match[1] and not 0 < int(match[1]) < 65_536):
            raise ValueError(f"{shown(name)} is no host, such as `wiki.corp.example` or `localhost:8000`")
        if host.startswith("["):
            _require_ipv6(host[1:].partition("]")[0], name)
        found[host] = None
    return found


def _require_ipv6(address: str, name: str) -> None:
    from ipaddress import IPv6Address  # hardly anybody names one

    try:
        IPv6Address(address)
    except ValueError as error:
        raise ValueError(f"{shown(name)} holds no IPv6 address") from error


def proxy(value: object, text: bool) -> str:
    named = address(value, text)
    if not named.startswith("http://") or named.count("/") > 2:
        raise ValueError(f"an address such as `http://proxy.corp.example:3128` is needed, not {shown(value)}")
    return named


def search(value: object, text: bool) -> SearchProvider:
    held = mapping(value, text, {"provider": "searxng", "url": "http://localhost:8888"})
    for key in held:
        if key not in _KEYS:
            raise ValueError(f"unknown key `{key}`; {did_you_mean(str(key), _KEYS)}")
    name = held.get("provider")
    if not isinstance(name, str) or name not in PROVIDERS:
        raise ValueError(f"`provider` is one of {', '.join(PROVIDERS)}, not {shown(name)}")
    known = PROVIDERS[name]
    url = known.url if held.get("url") is None else address(held["url"], False)
    if not url:
        raise ValueError(f"`url` is missing: where your {name} answers, such as `http://localhost:8888`")
    return known._replace(url=url, key_env=_variable(held, known.key_env))


def _variable(held: Mapping[object, object], default: str) -> str:
    """The name of a variable, so that no key itself stands in a file."""
    named = held.get("key_env")
    if named is None:
        return default
    if not isinstance(named, str) or not _VARIABLE.fullmatch(named):
        raise ValueError("`key_env` is the name of an environment variable that holds the key, not the key itself")
    return named
