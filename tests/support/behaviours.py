"""What the loopback server can do to a request: a closed set of behaviours, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Usage as the server reports it."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call; `arguments` is sent as it is, so that it may be broken JSON."""

    name: str
    arguments: str = "{}"
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A completion. `finish` None ends the stream without a finish reason, as a broken gateway does."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = "stop"
    usage: Tokens | Literal["counted"] | None = "counted"
    piece: int = 16  # characters a chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """An HTTP error with an OpenAI error body."""

    status: int
    message: str = "it did not work"
    type: str = "server_error"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Any body, with status 200: malformed JSON, an HTML page, half an event."""

    body: str
    content_type: str = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Sends `text` in pieces, then `events` as they are, then is silent until the client leaves.

    With neither it sends nothing at all, not even headers.
    """

    text: str = ""
    events: str = ""
    piece: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Sends `text` in pieces, then closes the connection in mid-answer; before the headers when empty."""

    text: str = ""
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamError:
    """Sends `text` in pieces, then an error event inside the stream."""

    text: str = "partial"
    message: str = "the model crashed"
    type: str = "server_error"
    code: str | None = None


Behaviour: TypeAlias = Answer | Fail | Raw | Hang | Drop | StreamError


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A request as it arrived. `headers` lack authorization and keys."""

    number: int  # from 1, in order of arrival
    connection: int
    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenClose:
    """The end of a connection; `request` is the one that was being answered, if any."""

    connection: int
    at: float
    by: Literal["client", "server"]
    request: int | None
