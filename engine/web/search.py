"""Searches of the web through the provider that the person named, with the key that lies in their environment."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from urllib.parse import quote_plus

import msgspec
from msgspec import Struct

from ..config_web import SearchProvider
from ..errors import ToolFailed
from .exchange import Head, Request
from .fetching import AGENT, Fetcher

_TITLE_CHARS, _SNIPPET_CHARS, _URL_CHARS = 300, 600, 2_000
_TAG = re.compile(r"<[^<>]{0,100}>")
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]+"
)
_JSON = ("Accept", "application/json")


class Result(Struct, frozen=True, kw_only=True):
    title: str
    url: str
    snippet: str


class _Found(Struct, frozen=True):
    """One result, as all of them tell it: Brave says `description`, the others `content`."""

    url: str = ""
    title: str | None = None
    description: str | None = None
    content: str | None = None


class _Listed(Struct, frozen=True):
    results: list[_Found] = []


class _Brave(Struct, frozen=True):
    web: _Listed | None = None


class Searcher:
    """Raises ToolFailed where the provider gives no results that can be read."""

    def __init__(self, provider: SearchProvider, fetcher: Fetcher, environ: Mapping[str, str]) -> None:
        self._provider = provider
        self._fetcher = fetcher
        self._environ = environ

    async def search(self, query: str, count: int) -> list[Result]:
        url, request = self._asked(query, count)
        answered = await self._fetcher.ask(url, request)
        if answered.head.status != 200:
            raise ToolFailed(self._refused(answered.head))
        return [_result(each) for each in self._listed(answered.body) if each.url][:count]

    def _asked(self, query: str, count: int) -> tuple[str, Request]:
        provider, key = self._provider, self._key()
        match provider.name:
            case "brave":
                token = [("X-Subscription-Token", key)] if key else []
                return f"{provider.url}?q={quote_plus(query)}&count={count}", Request(headers=(AGENT, _JSON, *token))
            case "tavily":
                bearer = [("Authorization", f"Bearer {key}")] if key else []
                kind = ("Content-Type", "application/json")
                body = msgspec.json.encode({"query": query, "max_results": count})
                return provider.url, Request(method="POST", headers=(AGENT, _JSON, kind, *bearer), body=body)
            case "searxng":
                bearer = [("Authorization", f"Bearer {key}")] if key else []
                url = f"{provider.url}/search?q={quote_plus(query)}&format=json"
                return url, Request(headers=(AGENT, _JSON, *bearer))
            case _ as other:
                raise AssertionError(f"no provider {other!r}")  # the config names only those above

    def _key(self) -> str:
        """Read for each request, and kept nowhere."""
        name = self._provider.key_env
        if not name:
            return ""
        key = self._environ.get(name, "").strip()
        if not key:
            raise ToolFailed(
                f"web_search: {self._provider.name} needs a key, and the environment variable {name} is not set; set "
                "it, or name another one in your own config: `web: {search: {key_env: NAME}}`"
            )
        if not key.isascii() or not key.isprintable():
            raise ToolFailed(f"web_search: what is in {name} is no key: it holds characters that no header takes")
        return key

    def _listed(self, body: bytes) -> list[_Found]:
        try:
            if self._provider.name == "brave":
                found = msgspec.json.decode(body, type=_Brave).web
                return found.results if found is not None else []
            return msgspec.json.decode(body, type=_Listed).results
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ToolFailed(f"web_search: {self._provider.name} did not answer in JSON that can be read") from error

    def _refused(self, head: Head) -> str:
        said = f"web_search: {self._provider.name} answers {head.status} {head.reason}".rstrip()
        if self._provider.name == "searxng" and head.status == 403:
            return f"{said}; its settings must allow JSON: `search: {{formats: [html, json]}}`"
        if head.status in (401, 403):
            return f"{said}; it does not take the key in {self._provider.key_env or 'the config'}"
        if head.status == 429:
            return f"{said}; it takes no more searches for now"
        return said


def _result(found: _Found) -> Result:
    return Result(
        title=_plain(found.title or "", _TITLE_CHARS),
        url=_UNFIT.sub("", found.url)[:_URL_CHARS],
        snippet=_plain(found.description or found.content or "", _SNIPPET_CHARS),
    )


def _plain(text: str, most: int) -> str:
    """One line without tags, entities and what cannot be seen."""
    text = html.unescape(_TAG.sub("", text[: 20 * most]))
    line = " ".join(_UNFIT.sub(" ", text).split())
    return line if len(line) <= most else line[: most - 1] + "…"
