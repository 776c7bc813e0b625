"""Every way in which a model call fails: what the server does, in each format, and the error that it becomes.

Plain data. A test of the backend runs it through litellm, and one of the whole command from script to trace.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.behaviours import Answer, Behaviour, Drop, Fail, Hang, Raw, StreamError
from vibe_workflows.engine.errors import (
    ContextTooLong,
    ProviderError,
    RateLimited,
    Refused,
    SetupError,
    StepFault,
    Timeout,
)

BAD_REQUEST = "invalid_request_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One row. A format that cannot fail in this way has no behaviour."""

    name: str
    error: type[StepFault]
    retried: bool
    openai: Behaviour | None = None
    anthropic: Behaviour | None = None

    @property
    def kind(self) -> str:
        return self.error.kind

    def behaviour(self, form: str) -> Behaviour | None:
        """What the server does in `form`: "openai" or "anthropic"."""
        return {"openai": self.openai, "anthropic": self.anthropic}[form]

    @property
    def hangs(self) -> bool:
        """Whether the call only ends by its time limit."""
        return isinstance(self.openai, Hang)


def _alike(name: str, behaviour: Behaviour, error: type[StepFault], *, retried: bool) -> Failure:
    return Failure(name=name, error=error, retried=retried, openai=behaviour, anthropic=behaviour)


def _refused(status: int) -> Failure:
    return _alike(f"status {status}", Fail(status=status), SetupError, retried=False)


def _broken(status: int) -> Failure:
    return _alike(f"status {status}", Fail(status=status), ProviderError, retried=True)


HTML = "<html><body>busy</body></html>"
_TOO_LONG_OPENAI = "This model's maximum context length is 9 tokens"
_TOO_LONG_ANTHROPIC = "prompt is too long: 208310 tokens > 200000 maximum"

FAILURES: tuple[Failure, ...] = (
    # ---- too fast, and without credit
    _alike("status 429", Fail(status=429), RateLimited, retried=True),
    _alike("status 429 with Retry-After", Fail(status=429, headers={"Retry-After": "1"}), RateLimited, retried=True),
    Failure(
        name="a rate limit inside the stream",
        openai=StreamError(code="rate_limit_exceeded"),
        anthropic=StreamError(type="rate_limit_error"),
        error=RateLimited,
        retried=True,
    ),
    Failure(
        name="status 429 without credit",
        openai=Fail(status=429, type="insufficient_quota", code="insufficient_quota"),
        error=SetupError,
        retried=False,
    ),
    Failure(
        name="status 400 without credit",
        anthropic=Fail(status=400, message="Your credit balance is too low to access the Anthropic API."),
        error=SetupError,
        retried=False,
    ),
    _refused(402),
    # ---- in time
    _alike("no answer", Hang(), Timeout, retried=True),
    _alike("silence in mid-answer", Hang(text="partial answer"), Timeout, retried=True),
    _alike("status 408", Fail(status=408), Timeout, retried=True),
    _alike("status 504", Fail(status=504), Timeout, retried=True),
    Failure(
        name="a timeout inside the stream",
        anthropic=StreamError(type="timeout_error"),
        error=Timeout,
        retried=True,
    ),
    # ---- the prompt
    Failure(
        name="a context that is too long, by its code",
        openai=Fail(status=400, type=BAD_REQUEST, code="context_length_exceeded"),
        error=ContextTooLong,
        retried=False,
    ),
    Failure(
        name="a context that is too long",
        openai=Fail(status=400, message=_TOO_LONG_OPENAI),
        anthropic=Fail(status=400, message=_TOO_LONG_ANTHROPIC),
        error=ContextTooLong,
        retried=False,
    ),
    Failure(
        name="a context and an answer that together are too long",
        anthropic=Fail(
            status=400,
            message="input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, "
            "decrease input length or `max_tokens` and try again",
        ),
        error=ContextTooLong,
        retried=False,
    ),
    _alike("status 413", Fail(status=413), ContextTooLong, retried=False),
    Failure(
        name="a context that is too long, inside the stream",
        openai=StreamError(type=BAD_REQUEST, code="context_length_exceeded", text=""),
        anthropic=StreamError(type=BAD_REQUEST, message=_TOO_LONG_ANTHROPIC, text=""),
        error=ContextTooLong,
        retried=False,
    ),
    Failure(
        name="a prompt that the content policy refuses",
        openai=Fail(status=400, code="content_policy_violation"),
        anthropic=Fail(status=400, message="Output blocked by content filtering policy"),
        error=Refused,
        retried=False,
    ),
    Failure(
        name="a prompt that a content filter refuses",
        openai=Fail(status=400, code="content_filter"),
        error=Refused,
        retried=False,
    ),
    # ---- the setup
    _alike("status 400", Fail(status=400, message="temperature is above 2"), SetupError, retried=False),
    *(_refused(status) for status in (401, 403, 404, 422)),
    Failure(
        name="a key that is refused inside the stream",
        openai=StreamError(code="invalid_api_key", type=BAD_REQUEST),
        anthropic=StreamError(type="authentication_error"),
        error=SetupError,
        retried=False,
    ),
    Failure(
        name="a request that is refused inside the stream",
        openai=StreamError(type=BAD_REQUEST, text=""),
        anthropic=StreamError(type=BAD_REQUEST, text=""),
        error=SetupError,
        retried=False,
    ),
    # ---- the provider
    _alike("status 418", Fail(status=418), ProviderError, retried=False),
    *(_broken(status) for status in (409, 425, 500, 502, 503, 520, 529)),
    _alike(
        "an HTML page with status 502",
        Raw(body=HTML, content_type="text/html", status=502),
        ProviderError,
        retried=True,
    ),
    Failure(
        name="a server that is overloaded, inside the stream",
        openai=StreamError(type="server_error", message="overloaded"),
        anthropic=StreamError(type="overloaded_error", message="Overloaded"),
        error=ProviderError,
        retried=True,
    ),
    _alike("an error inside the stream", StreamError(), ProviderError, retried=True),
    _alike("an error as the first event", StreamError(text=""), ProviderError, retried=True),
    _alike("dropped before the headers", Drop(), ProviderError, retried=True),
    _alike("reset before the headers", Drop(reset=True), ProviderError, retried=True),
    _alike("dropped in mid-answer", Drop(text="partial answer"), ProviderError, retried=True),
    _alike("reset in mid-answer", Drop(text="partial answer", reset=True), ProviderError, retried=True),
    # ---- what is no answer
    _alike("a stream without an end", Answer(text="half an answ", finish=None), ProviderError, retried=True),
    Failure(
        name="a finish reason that tells of an error",
        openai=Answer(text="half an answ", finish="error"),
        error=ProviderError,
        retried=True,
    ),
    _alike("an empty stream", Raw(body=""), ProviderError, retried=True),
    _alike("malformed JSON in the stream", Raw(body="data: {not json\n\n"), ProviderError, retried=True),
    Failure(
        name="half an event",
        openai=Raw(body='data: {"id": "1", "choices": [{"index": 0, "delta": {"content": "hi'),
        anthropic=Raw(body='event: message_start\ndata: {"type": "message_start", "mess'),
        error=ProviderError,
        retried=True,
    ),
    Failure(
        name="JSON that is no event",
        openai=Raw(body='data: {"choices": [7]}\n\n'),
        anthropic=Raw(body='event: content_block_delta\ndata: {"type": "content_block_delta", "delta": 7}\n\n'),
        error=ProviderError,
        retried=True,
    ),
    _alike("a list instead of an event", Raw(body="data: [1]\n\n"), ProviderError, retried=True),
    _alike("an HTML page", Raw(body=HTML, content_type="text/html"), ProviderError, retried=True),
    _alike("an HTML page that says it is a stream", Raw(body=HTML), ProviderError, retried=True),
    _alike(
        "a JSON document instead of a stream",
        Raw(body='{"hello": "world"}', content_type="application/json"),
        ProviderError,
        retried=True,
    ),
    _alike(
        "malformed JSON instead of a stream",
        Raw(body='{"hello": ', content_type="application/json"),
        ProviderError,
        retried=True,
    ),
)
