"""The messages of one step and the turns that made them.

A turn's `input` holds the messages added since the turn before, its `output` the assistant's message. The conversation
is the inputs and outputs of all turns in order, where the output counts only if the turn's outcome is `stop` or
`tool_calls`: an answer that was cut off, filtered or empty is kept in the trace and not shown to the model again.

The order of messages is: system; one user message; then replies with the results of their tools, in the order of the
requests. The user message begins with the step's context, byte for byte, so that the steps of a fan-out share a prefix
that providers can cache. Context and prompt are one message because some chat templates refuse two of a role in a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ..model import FilePart, Message, ModelReply, Role, ToolRequest, Turn


def opening(system: str, context: str, prompt: str, files: tuple[FilePart, ...] = ()) -> list[Message]:
    """The messages before the first reply."""
    task = f"{context}\n\n{prompt}" if context else prompt
    messages = [Message(role=Role.SYSTEM, text=system)] if system else []
    return [*messages, Message(role=Role.USER, text=task, context_chars=len(context), files=files)]


class Conversation:
    """Grows only at its end: what was sent once stays as it was, for the provider's cache and for the trace."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = list(messages)
        self._told = 0  # how many messages the inputs and outputs of finished turns hold already

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    @classmethod
    def of_turns(cls, turns: Iterable[Turn]) -> Conversation:
        """As it stood after finished turns; the last one's answer is part of it where it counts."""
        conversation = cls(())
        for turn in turns:
            conversation.add(msgspec.json.decode(turn.input, type=tuple[Message, ...]))
            conversation.sent()
            if turn.counts:
                conversation.reply(msgspec.json.decode(turn.output, type=Message))
        return conversation

    def pending_input(self) -> str:
        """JSON of the messages that the next turn adds."""
        return messages_json(self._messages[self._told :])

    def sent(self) -> None:
        """A turn finished whose input was `pending_input`."""
        self._told = len(self._messages)

    def reply(self, message: Message) -> None:
        """Add the assistant's message of the turn that just finished: its output."""
        self._messages.append(message)
        self._told += 1

    def add(self, messages: Iterable[Message]) -> None:
        self._messages.extend(messages)


def assistant_message(reply: ModelReply, turn: int) -> Message:
    """What a reply adds to the conversation, with what could not be stored or sent back set right.

    Requests get an id of their own where theirs is missing or not unique, since results are matched by it. Half of a
    surrogate pair, which a cut stream leaves behind, becomes a question mark.
    """
    ids = [request.id for request in reply.tool_requests]
    requests = tuple(
        ToolRequest(
            id=_encodable(request.id) if request.id and ids.count(request.id) == 1 else f"call_{turn}_{number}",
            name=_encodable(request.name),
            arguments=_encodable(request.arguments),
        )
        for number, request in enumerate(reply.tool_requests, 1)
    )
    return Message(role=Role.ASSISTANT, text=_encodable(reply.text), tool_requests=requests, thinking=reply.thinking)


def messages_json(messages: Iterable[Message]) -> str:
    return msgspec.json.encode([_plain(message) for message in messages]).decode()


def message_json(message: Message) -> str:
    """Of one message, without what it does not have. Reads back as a `Message`."""
    return msgspec.json.encode(_plain(message)).decode()


def _plain(message: Message) -> dict[str, object]:
    plain: dict[str, object] = {"role": message.role.value, "text": message.text}
    if message.context_chars:
        plain["context_chars"] = message.context_chars
    if message.files:
        plain["files"] = message.files
    if message.thinking:
        plain["thinking"] = message.thinking
    if message.tool_requests:
        plain["tool_requests"] = message.tool_requests
    if message.tool_call_id is not None:
        plain["tool_call_id"] = message.tool_call_id
    return plain


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
