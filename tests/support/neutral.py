"""What a request says whatever its format: for tests that compare it with what the engine stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from tests.support.behaviours import Answer, Call, Thought

Body: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFile:
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMessage:
    """One message. A result of a tool is one of its own, also where a format puts several into one message."""

    role: Literal["user", "assistant", "tool"]
    parts: tuple[str | SeenFile, ...] = ()  # in order; a format without parts has one text
    calls: tuple[Call, ...] = ()
    call_id: str | None = None  # of a tool's result
    thinking: tuple[Thought, ...] = ()

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def files(self) -> tuple[SeenFile, ...]:
        return tuple(part for part in self.parts if isinstance(part, SeenFile))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTool:
    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """All that shapes an answer. Arguments of calls are text: as it came, or of the object that a format carries."""

    model: str
    system: str = ""
    messages: tuple[SeenMessage, ...] = ()
    tools: tuple[SeenTool, ...] = ()
    schema: dict[str, Any] | None = None
    temperature: float | None = None


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


class WireFormat(Protocol):
    """One provider's format, from the server's side."""

    @property
    def path(self) -> str:
        """The end of the paths that it is served on."""
        ...

    def read(self, body: Body) -> Conversation: ...

    def whole(self, body: Body, answer: Answer) -> Body:
        """The answer to a request without `stream`. Answers are settled: with counted usage, and ids of calls."""
        ...

    def events(self, body: Body, answer: Answer) -> list[bytes]:
        """The events of a streamed answer; without a finish reason they just stop."""
        ...

    def beginning(self, body: Body, text: str, piece: int) -> list[bytes]:
        """The events of an answer that has said `text`, and is not at its end."""
        ...

    def error_body(self, status: int, message: str, kind: str | None, code: str | None) -> Body: ...

    def error_event(self, message: str, kind: str | None, code: str | None) -> bytes: ...
