"""litellm's exceptions as ours. The type is set here, where the cause is known, and nowhere read off a message.

litellm hides causes: one InternalServerError(500) stands for a refused connection, a dropped socket and malformed JSON
alike, and an error in mid-stream is always a MidStreamFallbackError. So the whole chain of causes is looked at.
"""

from __future__ import annotations

import json
import ssl
from typing import Final

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
from ..pacing import SLOWER
from .litellm_causes import Cause, chain_of
from .litellm_replies import StreamFailed
from .litellm_setup import AnthropicError, litellm, reads_as_too_long

_NO_MONEY: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"}
)
_NO_KEY: Final = frozenset({"invalid_api_key", "authentication_error", "permission_error"})
_NO_MODEL: Final = frozenset({"model_not_found", "not_found_error"})
_TOO_LONG: Final = frozenset({"context_length_exceeded", "request_too_large"})
_FILTERED: Final = frozenset({"content_policy_violation", "content_filter"})
_TOO_FAST: Final = frozenset({"rate_limit_exceeded", "rate_limit_error", "requests", "tokens"})
_TOO_SLOW: Final = frozenset({"timeout_error"})
_NOT_TAKEN: Final = frozenset({"invalid_request_error"})
_TIMEOUTS: Final = (TimeoutError, litellm.Timeout, openai.APITimeoutError, httpx.TimeoutException)
_UNREACHABLE: Final = (httpx.ConnectError, httpx.ProxyError, ConnectionRefusedError)
_DROPPED: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, ConnectionResetError)


class Place(Struct, frozen=True, kw_only=True):
    """Where a call went, for messages: never with a key, a path or a user name in it."""

    model: str
    provider: str
    host: str
    key: str  # the name of what holds the key
    anthropic: bool = False  # whether it speaks as Anthropic's API does

    def __str__(self) -> str:
        return f"{self.model} ({self.provider}{f' at {self.host}' if self.host else ''})"


def typed_error(error: Exception, place: Place, *, timeout_s: float, now: float, answering: bool) -> StepFault:
    """The error of one call, by its cause. `now` turns a Retry-After date into seconds.

    `answering`: whether the answer had begun; before, what is no failure of the network is one of the setup.
    """
    cause = Cause(tuple(chain_of(error)))
    if place.anthropic and cause.status in (None, 400) and cause.body.get("type") == "invalid_request_error":
        cause = Cause((*cause.chain, *_read_by_litellm(cause, place)))
    if cause.status in (408, 504) or cause.codes & _TOO_SLOW:
        said = cause.status or "in its answer"
        return Timeout(f"{place}: reported a timeout on its side ({said}); try again later", retryable=True)
    if cause.has(*_TIMEOUTS):
        return Timeout(
            f"{place}: no answer within {timeout_s:g} s; raise `timeout`, or try again later", retryable=True
        )
    found = _by_code(cause, place, now) or _by_meaning(cause, place, now)
    if found is None and cause.status is None:
        found = (_refused_in_answer if answering else _not_asked)(cause, place) or _by_class(cause, place)
    return found or _provider_error(cause, place, now)


def _read_by_litellm(cause: Cause, place: Place) -> tuple[BaseException, ...]:
    """litellm's error for a refused request. It knows the words of Anthropic's API, which has no codes to tell why,
    but only in an answer with a status, and not where others host it."""
    error = AnthropicError(status_code=400, message=str(cause.body.get("message")))
    try:
        litellm.exception_type(model=place.model, original_exception=error, custom_llm_provider="anthropic")
    except Exception as read:  # noqa: BLE001 - this is how it gives its reading
        return (read,)
    return ()


def _by_code(cause: Cause, place: Place, now: float) -> StepFault | None:
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


def _by_meaning(cause: Cause, place: Place, now: float) -> StepFault | None:
    """By litellm's reading where only the text tells, else by the status of a real answer."""
    if cause.has(litellm.ContextWindowExceededError) or (
        cause.status == 400 and reads_as_too_long(str(cause.body.get("message")))
    ):
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


def _by_class(cause: Cause, place: Place) -> StepFault | None:
    """By litellm's class, where there was no answer with a status."""
    if cause.has(litellm.AuthenticationError, litellm.PermissionDeniedError):
        return _no_key(place)
    if cause.has(ssl.SSLCertVerificationError):
        return SetupError(f"{place}: its certificate does not verify; check api_base, or set SSL_CERT_FILE")
    if cause.has(litellm.NotFoundError):
        return _no_model(cause, place)
    if cause.has(litellm.UnsupportedParamsError):
        return SetupError(f"{place}: the model does not take a parameter{cause.said}; leave it out of the step")
    return None


def _refused_in_answer(cause: Cause, place: Place) -> StepFault | None:
    return _not_taken(cause, place) if cause.codes & _NOT_TAKEN else None


def _not_asked(cause: Cause, place: Place) -> StepFault | None:
    """For what litellm found missing before it sent anything: a package, credentials, an address."""
    if cause.has(OSError, httpx.HTTPError, litellm.UnsupportedParamsError, litellm.NotFoundError):
        return None
    if cause.has(ImportError):
        return SetupError(f"{place}: litellm needs a package that is not installed{cause.said}; install it")
    if cause.has(litellm.AuthenticationError):
        return SetupError(f"{place}: credentials are missing, or are none{cause.said}; check {place.key}")
    if cause.has(litellm.BadRequestError, litellm.UnprocessableEntityError):
        return _not_taken(cause, place)
    if cause.has(ValueError) or any(type(link) is openai.OpenAIError for link in cause.chain):
        return SetupError(f"{place}: the call could not be made{cause.said}; check {place.key}, and its address")
    return None


def _no_key(place: Place) -> SetupError:
    # Without the provider's words: they are where keys get echoed.
    return SetupError(f"{place}: the key was not accepted; check {place.key}, and that it may use this model")


def _no_model(cause: Cause, place: Place) -> SetupError:
    return SetupError(f"{place}: no such model there{cause.said}; check the model's name, and api_base if one is set")


def _not_taken(cause: Cause, place: Place) -> SetupError:
    return SetupError(f"{place}: the request was refused{cause.said}; change the step, or choose another model")


def _too_long(cause: Cause, place: Place) -> AgentError:
    return ContextTooLong(f"{place}: the prompt is too long{cause.said}; send less, or choose a model that takes more")


def _refused(cause: Cause, place: Place) -> AgentError:
    return Refused(f"{place}: the provider's content policy refused the prompt{cause.said}; change the prompt")


def _rate_limited(cause: Cause, place: Place, now: float) -> AgentError:
    wait_s = cause.retry_after_s(now)
    asked = "" if wait_s is None else f", and asks to wait {wait_s:g} s"
    text = f"{place}: the provider limits the rate of calls{asked}{cause.said}{SLOWER}"
    return RateLimited(text, retry_after_s=wait_s)


def _provider_error(cause: Cause, place: Place, now: float) -> AgentError:
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
    return ProviderError(f"{place}: {what}", retryable=retryable, retry_after_s=cause.retry_after_s(now))


def _transient(status: int | None) -> bool:
    return status is not None and (status >= 500 or status in (408, 409, 425, 429))
