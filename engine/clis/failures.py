"""From what a program says of its failure to the error that a step ends with, or tries again after.

There is nothing but text to go by. What is taken for one kind and is another costs a try, or a better message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..errors import AgentError, ContextTooLong, ProviderError, RateLimited, Refused, SetupError, StepFault, TurnLimit
from .description import AgentCli

#: In this order: who is not logged in is told so, whatever else the message has.
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "turns": ("max turns", "max_turns", "maxsessionturns", "maximum number of turns", "turn limit"),
    "login": (
        "/login", "not logged in", "please log in", "must log in", "login required", "invalid api key",
        "invalid x-api-key", "api key not", "missing api key", "no api key", "401", "unauthorized",
        "authentication_error", "authentication failed", "authentication required", "not authenticated",
        "failed to authenticate", "providerautherror", "auth method", "token has expired",
    ),
    "limit": (
        "rate limit", "rate_limit", "ratelimit", "too many requests", "429", "usage limit", "hit your limit",
        "quota", "resource_exhausted", "limit reached",
    ),
    "context": (
        "prompt is too long", "context window", "context length", "maximum context", "contextoverflow",
        "input is too long",
    ),
    "refused": ("refusal", "refused to", "content policy", "usage policy", "content_filter", "safety reasons"),
    "passing": (
        "overloaded", "529", "503", "502", "internal server error", "temporarily unavailable", "econnreset",
        "etimedout", "enotfound", "connection error", "stream disconnected", "socket hang up", "fetch failed",
    ),
}  # fmt: skip
KINDS: Final = tuple(_WORDS)
#: A number is no part of a longer one.
_SIGNS: Final = {
    kind: re.compile("|".join(rf"(?<!\d){word}(?!\d)" if word.isdigit() else re.escape(word) for word in words))
    for kind, words in _WORDS.items()
}

_AGAIN: Final = re.compile(
    r"(?:retry|try again|reset\w*|wait)[ -]{0,3}(?:after|in|for)?[ :]{0,3}(?:(\d{1,4}) ?m(?:in(?:ute)?s?)?,? ?)?"
    r"(\d{1,6}(?:\.\d{1,6})?) ?(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)?\b",
    re.IGNORECASE,
)
_UNITS: Final = {"m": 60.0, "h": 3600.0}
_MILLISECOND: Final = 0.001
_MAX_CHARS: Final = 2_000


def failure_of(agent: AgentCli, model: str, said: str, exit_code: int | None, how: str) -> StepFault:
    """`said` is what the program says of it, `how` how it ended."""
    said = " ".join(said.split())[:_MAX_CHARS] or "it says nothing of the reason"
    words = said.lower()
    kind = agent.exits.get(exit_code or 0) or next((kind for kind, signs in _SIGNS.items() if signs.search(words)), "")
    message = f"{model}: `{agent.program}` {how}: {said}"
    match kind:
        case "login":
            login = agent.login or "log in with the program itself"
            return SetupError(
                f"{message}. To log in: {login}. It gets the variables that `agents: {{{agent.name}: {{env: [...]}}}}` "
                "of your own config names, and no other key"
            )
        case "limit":
            return RateLimited(message, retry_after_s=_retry_after_s(said))
        case "turns":
            return TurnLimit(f"{message}; give it a narrower task, or raise its own limit")
        case "context":
            return ContextTooLong(message)
        case "refused":
            return Refused(message)
        case "passing":
            return ProviderError(message, retryable=True, retry_after_s=_retry_after_s(said))
        case _:
            return ProviderError(message)


def garbage(agent: AgentCli, model: str, what: str) -> AgentError:
    """It ended well, and nobody can read what it says."""
    return ProviderError(
        f"{model}: `{agent.program}` gave {what}. Its version may print something else than `agents: {{{agent.name}: "
        "{answer: ...}}` says; try it by hand"
    )


def _retry_after_s(said: str) -> float | None:
    found = _AGAIN.search(said)
    if found is None:
        return None
    minutes, number, unit = found.groups()
    unit = (unit or "s").lower()
    scale = _MILLISECOND if unit.startswith(("ms", "milli")) else _UNITS.get(unit[:1], 1.0)
    return float(minutes or 0) * 60 + float(number) * scale
