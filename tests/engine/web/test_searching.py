"""Searches, through each provider's own protocol on a loopback server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
import trio

from tests.support.web_server import WebReply, WebServer, client_tls, redirect
from vibe_workflows.engine.config_web import PROVIDERS
from vibe_workflows.engine.errors import ToolFailed
from vibe_workflows.engine.web.addresses import AllowedHosts
from vibe_workflows.engine.web.dialing import Dialer, SystemResolver
from vibe_workflows.engine.web.fetching import Fetcher
from vibe_workflows.engine.web.search import Result, Searcher

KEY = "k-4711-secret"
KEYS = {"BRAVE_API_KEY": KEY, "TAVILY_API_KEY": KEY}
FOUND: list[dict[str, Any]] = [
    {"title": "One &amp; <strong>two</strong>", "url": "https://a.example/1", "text": "A  snippet\u202e\x1b[1m\nmore"},
    {"title": None, "url": "https://b.example/2", "text": None},
    {"title": "no address", "url": "", "text": "left out"},
    {"title": "t" * 1_000, "url": "https://c.example/3", "text": "s" * 5_000},
]


def _json(value: Any) -> WebReply:
    return WebReply(msgspec.json.encode(value), headers={"Content-Type": "application/json"})


def _listed(snippet: str) -> list[dict[str, Any]]:
    return [{"title": each["title"], "url": each["url"], snippet: each["text"], "age": 3} for each in FOUND]


@pytest.fixture
def server() -> Iterator[WebServer]:
    routes = {
        "/brave": _json({"web": {"results": _listed("description")}, "type": "search"}),
        "/tavily": _json({"results": _listed("content"), "answer": None}),
        "/searxng/search": _json({"query": "q", "results": _listed("content")}),
    }
    with WebServer(routes) as started:
        yield started


def search(
    server: WebServer, provider: str, query: str = "a b&c=ä", count: int = 8, environ: Mapping[str, str] = KEYS
) -> list[Result]:
    named = PROVIDERS[provider]._replace(url=server.url(f"/{provider}"))
    fetcher = Fetcher(Dialer(AllowedHosts(), SystemResolver(), client_tls))
    return trio.run(Searcher(named, fetcher, environ).search, query, count)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_provider_gives_titles_urls_and_snippets_in_plain_text(server: WebServer, provider: str) -> None:
    one, two, three = search(server, provider)
    assert one == Result(title="One & two", url="https://a.example/1", snippet="A snippet [1m more")
    assert two == Result(title="", url="https://b.example/2", snippet="")
    assert (len(three.title), len(three.snippet)) == (300, 600)
    assert search(server, provider, count=1) == [one]


def test_each_provider_is_asked_as_it_wants_to_be(server: WebServer) -> None:
    for provider in PROVIDERS:
        search(server, provider, count=3)
    brave, tavily, searxng = server.requests
    assert (brave.method, brave.path) == ("GET", "/brave?q=a+b%26c%3D%C3%A4&count=3")
    assert brave.headers["x-subscription-token"] == KEY
    assert (tavily.method, tavily.path) == ("POST", "/tavily")
    assert msgspec.json.decode(tavily.body) == {"query": "a b&c=ä", "max_results": 3}
    assert tavily.headers["authorization"] == f"Bearer {KEY}"
    assert (searxng.method, searxng.path) == ("GET", "/searxng/search?q=a+b%26c%3D%C3%A4&format=json")
    assert "authorization" not in searxng.headers


@pytest.mark.parametrize("provider", ["brave", "tavily"])
@pytest.mark.parametrize("key", [None, "", " ", "two\r\nX-Evil: 1", "ключ"])
def test_without_a_usable_key_nothing_is_asked_and_its_variable_is_named(
    server: WebServer, provider: str, key: str | None
) -> None:
    name = PROVIDERS[provider].key_env
    with pytest.raises(ToolFailed, match=name) as failed:
        search(server, provider, environ={} if key is None else {name: key})
    assert server.connections == 0
    assert "Evil" not in failed.value.message


@pytest.mark.parametrize(
    ("provider", "reply", "message"),
    [
        ("brave", WebReply("no", status=401), "brave answers 401 Said; it does not take the key in BRAVE_API_KEY"),
        ("tavily", WebReply("", status=429), "it takes no more searches"),
        ("searxng", WebReply("", status=403), r"must allow JSON: `search: \{formats: \[html, json\]\}`"),
        ("searxng", WebReply("", status=500), "searxng answers 500"),
        ("brave", WebReply("<html>"), "did not answer in JSON"),
        ("brave", WebReply("[" * 100_000), "did not answer in JSON"),
        ("tavily", WebReply('{"results": 7}'), "did not answer in JSON"),
        ("brave", redirect("/elsewhere"), "brave answers 302"),
    ],
)
def test_what_a_provider_refuses_is_told_without_the_key(
    server: WebServer, provider: str, reply: WebReply, message: str
) -> None:
    server.routes[f"/{provider}" + ("/search" if provider == "searxng" else "")] = reply
    with pytest.raises(ToolFailed, match=message) as failed:
        search(server, provider)
    assert KEY not in failed.value.message
    assert len(server.requests) == 1  # a key follows no redirect


def test_a_provider_that_finds_nothing_gives_nothing(server: WebServer) -> None:
    server.routes["/brave"] = _json({"query": {}})
    assert search(server, "brave") == []
