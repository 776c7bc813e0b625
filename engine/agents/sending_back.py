"""Answers that do not count after all: what an agent is told then, and which of its turns were such."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..model import Message, Role, Turn
from . import prompts


def followed_by(message: Message, text: str, with_note: Callable[[str], str]) -> list[Message]:
    """What goes back to the author of an answer. `with_note` may add something to the end of it."""
    requests = message.tool_requests
    said = [text if request.name == prompts.SUBMIT_TOOL else prompts.NOT_RUN for request in requests] or [text]
    said[-1] = with_note(said[-1])
    if not requests:
        return [Message(role=Role.USER, text=said[0])]
    return [
        Message(role=Role.TOOL, text=each, tool_call_id=request.id)
        for request, each in zip(requests, said, strict=True)
    ]


def was_answer(turn: Turn, *, in_schema: bool) -> bool:
    """Whether a turn that another one followed gave an answer that was sent back."""
    if not turn.counts or turn.error:
        return False
    asked = [request.name for request in msgspec.json.decode(turn.output, type=Message).tool_requests]
    return not asked or (in_schema and prompts.SUBMIT_TOOL in asked)
