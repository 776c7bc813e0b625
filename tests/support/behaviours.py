"""What the loopback server can do to a request, in whatever format it came: a closed set of behaviours, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Usage as the server reports it. `cached` and `written` are parts of `prompt`, `reasoning` of `completion`."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call; `arguments` is sent as it is, so that it may be broken JSON."""

    name: str
    arguments: str = "{}"
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """What a model thought before it answered. OpenAI's format has no place for a signature.

    With `redacted`, Anthropic's format has that instead of a text, and OpenAI's has nothing.
    """

    text: str = ""
    signature: str = "c2lnbmVk"
    redacted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A completion. `finish` None ends the stream without a finish reason, as a broken gateway does.

    `finish` in OpenAI's words is translated for other formats, and anything else is sent as it is.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinking: tuple[Thought, ...] = ()
    finish: str | None = "stop"
    usage: Tokens | Literal["counted"] | None = "counted"
    piece: int = 16  # characters a chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """An HTTP error with an error body; `type` None is what the format says at such a status."""

    status: int
    message: str = "it did not work"
    type: str | None = None
    code: str | None = None  # which Anthropic's format does not have
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Any body: malformed JSON, an HTML page, half an event."""

    body: str
    content_type: str = "text/event-stream"
    status: int = 200


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
    """Sends `text` in pieces, then an error event inside the stream; `type` None is that of a server error."""

    text: str = "partial"
    message: str = "the model crashed"
    type: str | None = None
    code: str | None = None


Behaviour: TypeAlias = Answer | Fail | Raw | Hang | Drop | StreamError
