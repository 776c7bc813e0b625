"""What the loopback server saw and sent: requests, answers and closed connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.support.behaviours import Behaviour
from tests.support.neutral import Body, Conversation
from tests.support.wire_formats import format_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A request as it arrived. `headers` lack authorization and keys."""

    number: int  # from 1, in order of arrival
    connection: int
    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: Body
    raw: bytes = b""  # the body, byte for byte

    def conversation(self) -> Conversation:
        """What it says, read by the format of its path."""
        return format_of(self.path).read(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAnswer:
    """What a request was answered with. Of an Answer, usage and the ids of calls are those that were sent."""

    request: int
    behaviour: Behaviour
    whole: bool  # False: the client left before its end


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenClose:
    """The end of a connection; `request` is the one that was being answered, if any."""

    connection: int
    at: float
    by: Literal["client", "server"]
    request: int | None
