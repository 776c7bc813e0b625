"""What a chain of litellm's exceptions tells of the cause: the provider's codes and words, status and headers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import openai

from .litellm_replies import NoEvent
from .litellm_setup import masked

_SAID_CHARS: Final = 300


class Cause:
    """What a chain of exceptions tells: codes and words of the provider, status, headers."""

    def __init__(self, chain: tuple[BaseException, ...]) -> None:
        self.chain = chain
        self.body = next((body for body in map(_body, chain) if body), {})
        self.codes = {value for value in (self.body.get("code"), self.body.get("type")) if isinstance(value, str)}
        self.status = next((status for status in map(_status, chain) if status is not None), None)
        code = self.body.get("code")
        if self.status is None and isinstance(code, int) and 400 <= code < 600:
            self.status = code  # gateways put it into the error events of a stream

    def has(self, *kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in self.chain)

    def retry_after_s(self, now: float) -> float | None:
        """How long the provider asks to wait; `now` turns a date into seconds."""
        for link in self.chain:
            for headers in (getattr(link, "litellm_response_headers", None), getattr(_response(link), "headers", None)):
                wait_s = None if headers is None else _wait_of(headers, now)
                if wait_s is not None and math.isfinite(wait_s):
                    return max(0.0, wait_s)
        return None

    @property
    def no_event(self) -> NoEvent | None:
        return next((link for link in self.chain if isinstance(link, NoEvent)), None)

    @property
    def said(self) -> str:
        """The provider's own words, in brackets, or nothing."""
        message = self.body.get("message")
        text = message if isinstance(message, str) else self._innermost()
        text = " ".join(masked(text[: 10 * _SAID_CHARS]).split())
        text = text if len(text) <= _SAID_CHARS else text[: _SAID_CHARS - 1] + "…"
        return f" ({text})" if text else ""

    def _innermost(self) -> str:
        """The first message that is not litellm's wrapping of another one. A status error's has the address in it."""
        texts = [str(link) for link in self.chain if not isinstance(link, httpx.HTTPStatusError)]
        text = next((text for text in texts if text and not text.startswith("litellm.")), texts[0] if texts else "")
        while text.startswith("litellm."):
            text = text.partition(": ")[2]
        return text.partition(" To drop these, set")[0]  # advice for users of litellm, not of vibe


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies below it: litellm's `original_exception`, causes, contexts; each once."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        original = getattr(link, "original_exception", None)
        waiting += [original if isinstance(original, BaseException) else None, link.__cause__, link.__context__]


def _body(link: BaseException) -> dict[str, Any]:
    """The error object of the provider's answer, as every API that follows OpenAI or Anthropic shapes it."""
    body = getattr(link, "body", None)
    if isinstance(link, httpx.HTTPStatusError):
        try:
            body = link.response.json()
        except (ValueError, httpx.ResponseNotRead, httpx.StreamClosed, httpx.StreamConsumed):
            return {}
    if not isinstance(body, dict):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, dict) else body


def _status(link: BaseException) -> int | None:
    """The status of a real HTTP answer; litellm's own classes carry made-up ones."""
    if isinstance(link, httpx.HTTPStatusError):
        return link.response.status_code
    if isinstance(link, openai.APIStatusError) and type(link).__module__.startswith("openai"):
        return link.status_code
    return None


def _response(link: BaseException) -> Any:
    return getattr(link, "response", None)


def _wait_of(headers: Any, now: float) -> float | None:
    """`retry-after-ms`, or `retry-after` as seconds or as a date."""
    milliseconds, wait = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            return float(milliseconds) / 1000
        if wait is not None:
            return float(wait)
    except ValueError:
        pass
    try:
        return None if wait is None else parsedate_to_datetime(wait).timestamp() - now
    except ValueError:
        return None
