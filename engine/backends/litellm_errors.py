"""litellm's exceptions as ours. The type is set here, where the cause is known, and nowhere read off a message.

litellm hides causes: one InternalServerError(500) stands for a refused connection, a dropped socket and malformed JSON
alike, and an error in mid-stream is always a MidStreamFallbackError. So the whole chain of causes is looked at.
"""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import openai
from msgspec import Struct

from ..errors import (
    AgentError,
    ContextTooLong,
    ProviderError,
    RateLimited,
    Refused,
    SetupError,
    StepFault,
    Timeout,
)
from .litellm_replies import NoEvent, StreamFailed
from .litellm_setup import litellm, masked

_SAID_CHARS: Final = 300
_NO_MONEY: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"}
)
_NO_KEY: Final = frozenset({"invalid_api_key", "authentication_error", "permission_error"})
_NO_MODEL: Final = frozenset({"model_not_found", "not_found_error"})
_TOO_LONG: Final = frozenset({"context_length_exceeded", "request_too_large"})
_FILTERED: Final = frozenset({"content_policy_violation", "content_filter"})
_TOO_FAST: Final = frozenset({"rate_limit_exceeded", "rate_limit_error", "requests", "tokens"})
_TOO_SLOW: Final = frozenset({"timeout_error"})
_TIMEOUTS: Final = (TimeoutError, litellm.Timeout, openai.APITimeoutError, httpx.TimeoutException)
_UNREACHABLE: Final = (httpx.ConnectError, httpx.ProxyError, ConnectionRefusedError)
_DROPPED: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, ConnectionResetError)


class Place(Struct, frozen=True, kw_only=True):
    """Where a call went, for messages: never with a key, a path or a user name in it."""

    model: str
    provider: str
    host: str
    key: str  # the name of what holds the key

    def __str__(self) -> str:
        return f"{self.model} ({self.provider}{f' at {self.host}' if self.host else ''})"


def typed_error(error: Exception, place: Place, *, timeout_s: float, now: float, answering: bool) -> StepFault:
    """The error of one call, by its cause. `now` turns a Retry-After date into seconds.

    `answering`: whether the answer had begun; before, what is no failure of the network is one of the setup.
    """
    chain = tuple(_chain(error))
    cause = _Cause(chain)
    if cause.status in (408, 504) or cause.codes & _TOO_SLOW:
        said = cause.status or "in its answer"
        return Timeout(f"{place}: reported a timeout on its side ({said}); try again later", retryable=True)
    if cause.has(*_TIMEOUTS):
        return Timeout(
            f"{place}: no answer within {timeout_s:g} s; raise `timeout`, or try again later", retryable=True
        )
    found = _by_code(cause, place, now) or _by_meaning(cause, place, now)
    if found is None and cause.status is None:
        found = _by_class(cause, place) if answering else _by_class(cause, place) or _not_asked(cause, place)
    return found or _provider_error(cause, place, now)


class _Cause:
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


def _by_code(cause: _Cause, place: Place, now: float) -> StepFault | None:
    """Codes of the provider's error body are exact where litellm guesses from text."""
    if cause.codes & _NO_MONEY or cause.status == 402:
        return SetupError(f"{place}: the account has no credit left{cause.said}; top it up, or choose another model")
    if cause.codes & _TOO_LONG or cause.status == 413:
        return _too_long(cause, place)
    if cause.codes & _FILTERED:
        return _refused(cause, place)
    if cause.codes & _TOO_FAST and cause.status in (None, 429):
        return _rate_limited(cause, place, now)
    if cause.codes & _NO_KEY and cause.status is None:
        return _no_key(place)
    if cause.codes & _NO_MODEL and cause.status is None:
        return _no_model(cause, place)
    return None


def _by_meaning(cause: _Cause, place: Place, now: float) -> StepFault | None:
    """By litellm's reading where only the text tells, else by the status of a real answer."""
    if cause.has(litellm.ContextWindowExceededError):
        return _too_long(cause, place)
    if cause.has(litellm.ContentPolicyViolationError):
        return _refused(cause, place)
    match cause.status:
        case 401 | 403:
            return _no_key(place)
        case 404:
            return _no_model(cause, place)
        case 429:
            return _rate_limited(cause, place, now)
        case 400 | 422:
            return _not_taken(cause, place)
        case None if cause.has(litellm.RateLimitError):
            return _rate_limited(cause, place, now)
    return None


def _by_class(cause: _Cause, place: Place) -> StepFault | None:
    """By litellm's class, where there was no answer with a status."""
    if cause.has(litellm.AuthenticationError, litellm.PermissionDeniedError):
        return _no_key(place)
    if cause.has(ssl.SSLCertVerificationError):
        return SetupError(f"{place}: its certificate does not verify; check api_base, or set SSL_CERT_FILE")
    if cause.has(litellm.NotFoundError):
        return _no_model(cause, place)
    if cause.has(litellm.UnsupportedParamsError):
        return SetupError(f"{place}: the model does not take a parameter{cause.said}; leave it out of the step")
    if cause.has(litellm.BadRequestError, litellm.UnprocessableEntityError):
        return _not_taken(cause, place)
    return None


def _not_asked(cause: _Cause, place: Place) -> StepFault | None:
    """For what litellm found missing before it sent anything: a package, credentials, an address."""
    if cause.has(OSError, httpx.HTTPError, json.JSONDecodeError):
        return None
    if cause.has(ImportError):
        return SetupError(f"{place}: litellm needs a package that is not installed{cause.said}; install it")
    if cause.has(ValueError) or any(type(link) is openai.OpenAIError for link in cause.chain):
        return SetupError(f"{place}: the call could not be made{cause.said}; check {place.key}, and its address")
    return None


def _no_key(place: Place) -> SetupError:
    # Without the provider's words: they are where keys get echoed.
    return SetupError(f"{place}: the key was not accepted; check {place.key}, and that it may use this model")


def _no_model(cause: _Cause, place: Place) -> SetupError:
    return SetupError(f"{place}: no such model there{cause.said}; check the model's name, and api_base if one is set")


def _not_taken(cause: _Cause, place: Place) -> SetupError:
    return SetupError(f"{place}: the request was refused{cause.said}; change the step, or choose another model")


def _too_long(cause: _Cause, place: Place) -> AgentError:
    return ContextTooLong(f"{place}: the prompt is too long{cause.said}; send less, or choose a model that takes more")


def _refused(cause: _Cause, place: Place) -> AgentError:
    return Refused(f"{place}: the provider's content policy refused the prompt{cause.said}; change the prompt")


def _rate_limited(cause: _Cause, place: Place, now: float) -> AgentError:
    wait_s = _retry_after_s(cause.chain, now)
    asked = "" if wait_s is None else f", and asks to wait {wait_s:g} s"
    text = f"{place}: the provider limits the rate of calls{asked}{cause.said}; lower --concurrency if this persists"
    return RateLimited(text, retry_after_s=wait_s)


def _provider_error(cause: _Cause, place: Place, now: float) -> AgentError:
    retryable = True
    if cause.status is not None:
        retryable = _transient(cause.status)
        what = f"answered {cause.status}{cause.said}"
    elif cause.no_event is not None:
        what = str(cause.no_event)
    elif cause.has(*_UNREACHABLE):
        what = "could not be reached; is the server up, and api_base right?"
    elif cause.has(*_DROPPED):
        what = "dropped the connection before the answer was complete"
    elif cause.has(json.JSONDecodeError):
        what = "sent something that is no JSON instead of an answer"
    elif cause.has(openai.OpenAIError, StreamFailed):  # litellm's own errors are below the first
        what = f"failed{cause.said}"
    else:
        retryable = False
        what = f"was not understood: {type(cause.chain[0]).__name__}{cause.said}"
    return ProviderError(f"{place}: {what}", retryable=retryable, retry_after_s=_retry_after_s(cause.chain, now))


def _transient(status: int | None) -> bool:
    return status is not None and (status >= 500 or status in (408, 409, 425, 429))


# ---------------------------------------------------------------- looking into exceptions


def _chain(error: BaseException) -> Iterator[BaseException]:
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


def _retry_after_s(chain: tuple[BaseException, ...], now: float) -> float | None:
    for link in chain:
        for headers in (getattr(link, "litellm_response_headers", None), getattr(_response(link), "headers", None)):
            wait_s = None if headers is None else _wait_of(headers, now)
            if wait_s is not None and math.isfinite(wait_s):
                return max(0.0, wait_s)
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
