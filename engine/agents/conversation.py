"""The messages of one step, the turns that made them, and what of them a model is sent.

A turn's `input` holds the messages added since the turn before, its `output` the assistant's message. The conversation
is the inputs and outputs of all turns in order, where the output counts only if the turn's outcome is `stop` or
`tool_calls`: an answer that was cut off, filtered, empty or given up is kept in the trace and not shown again.

What a turn was sent is the conversation up to its input, but for two things, both of which its row tells:

* From a turn on whose `shortened` names a position of the conversation, the message there has the text given with it.
* Thinking and the ids of tool calls are a model's own. Of turns with another `model` than its own a turn is sent no
  thinking, since providers refuse another's signature, and their calls are named by their place among all calls of the
  conversation, `call00001` and so on: there are providers that take no other ids than such.

The order of messages is: system; one user message; then replies with the results of their tools, in the order of the
requests. The user message begins with the step's context, byte for byte, so that the steps of a fan-out share a prefix
that providers can cache. Context and prompt are one message because some chat templates refuse two of a role in a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..backends.estimate import files_tokens, message_tokens, text_tokens
from ..model import FilePart, Message, ModelReply, PromptMakeup, Role, Shortened, ToolRequest, Turn
from .outputs import shortened


def opening(system: str, context: str, prompt: str, files: tuple[FilePart, ...] = ()) -> list[Message]:
    """The messages before the first reply."""
    task = f"{context}\n\n{prompt}" if context else prompt
    messages = [Message(role=Role.SYSTEM, text=system)] if system else []
    return [*messages, Message(role=Role.USER, text=task, context_chars=len(context), files=files)]


class _Told(Struct, frozen=True, kw_only=True):
    """A message as it came, and the model that wrote it; "" for those that no model did."""

    message: Message
    author: str


class Shortening(Struct, frozen=True, kw_only=True):
    """Tool outputs that were shortened at once, and by how many characters."""

    outputs: int
    characters: int


class Conversation:
    """Grows at its end. What was sent once stays as it was, for the provider's cache, but for `shorten`."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._told: list[_Told] = []
        self._messages: list[Message] = []  # the same, as the model is sent them
        self._pending: list[Message] = []  # those that no finished turn holds yet, as they were added
        self._shortened: list[Shortened] = []  # since the last finished turn
        self._unread = 0  # from here on no reply of a model follows
        self._system = self._context = 0
        self.tokens = 0  # estimated, of all messages as they are sent
        for message in messages:
            self._append(message, "")
            if message.role is Role.SYSTEM:
                self._system = self.tokens
            elif message.context_chars or message.files:
                shared = message.text[: message.context_chars]
                self._context = text_tokens(shared) + files_tokens(message)
        self._pending += messages

    @property
    def messages(self) -> tuple[Message, ...]:
        """As the current model is sent them."""
        return tuple(self._messages)

    @property
    def shortened(self) -> tuple[Shortened, ...]:
        """What was shortened since the last finished turn, for the next one to tell."""
        return tuple(self._shortened)

    def makeup(self, tools: int) -> PromptMakeup:
        """Of a prompt of these messages and `tools` tokens of tools; costs the same however long it is."""
        return PromptMakeup(
            system=self._system,
            tools=tools,
            context=self._context,
            conversation=max(0, self.tokens - self._system - self._context),
        )

    def requested(self, tool: str) -> bool:
        """Whether a reply that is shown to models asks for this tool."""
        return any(request.name == tool for message in self._messages for request in message.tool_requests)

    @classmethod
    def of_turns(cls, turns: Sequence[Turn], model: str) -> Conversation:
        """As it stood after finished turns, for `model` to go on; the last answer is part of it where it counts."""
        first, *_ = turns
        conversation = cls(_read(first.input))
        for turn in turns:
            if turn is not first:
                conversation.add(_read(turn.input))
            for place in turn.shortened:
                conversation._put(place.message, replace(conversation._messages[place.message], text=place.text))
            conversation.sent()
            if turn.counts:
                conversation.reply(msgspec.json.decode(turn.output, type=Message), turn.model)
        conversation.use_model(model)
        return conversation

    def pending_input(self) -> str:
        """JSON of the messages that the next turn adds."""
        return messages_json(self._pending)

    def sent(self) -> None:
        """A turn finished whose input was `pending_input`, and which tells of `shortened`."""
        self._pending.clear()
        self._shortened.clear()

    def reply(self, message: Message, author: str) -> None:
        """Add the message of the model that was asked in the turn that just finished: its output."""
        self._append(message, author)
        self._unread = len(self._messages)

    def add(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._append(message, "")
            self._pending.append(message)

    def use_model(self, model: str) -> None:
        """Send the messages that there are as they are for this model."""
        calls = 0
        ids: dict[str, str] = {}  # of the last reply, where another model wrote it
        for position, told in enumerate(self._told):
            message = told.message
            if message.role is Role.ASSISTANT:
                own = told.author == model
                ids = {} if own else {call.id: f"call{calls + n:05}" for n, call in enumerate(message.tool_requests, 1)}
                calls += len(message.tool_requests)
                self._put(position, message if own else _foreign(message, ids))
            elif message.role is Role.TOOL and message.tool_call_id is not None:
                sent_id = ids.get(message.tool_call_id, message.tool_call_id)
                self._put(position, replace(self._messages[position], tool_call_id=sent_id))

    def shorten(self, *, read_to: float, unread_to: float) -> Shortening:
        """Replace tool outputs by their heads, oldest first, until all messages come to as few tokens.

        Those that a model has read already go until `read_to` is reached, those of the latest turn until `unread_to`.
        """
        outputs = characters = 0
        for position, message in enumerate(self._messages):
            if self.tokens <= (read_to if position < self._unread else unread_to):
                continue
            text = shortened(message.text) if message.role is Role.TOOL else None
            if text is None:
                continue
            outputs += 1
            characters += len(message.text) - len(text)
            self._put(position, replace(message, text=text))
            self._shortened.append(Shortened(message=position, text=text))
        return Shortening(outputs=outputs, characters=characters)

    def _append(self, message: Message, author: str) -> None:
        self._told.append(_Told(message=message, author=author))
        self._messages.append(message)
        self.tokens += message_tokens(message)

    def _put(self, position: int, message: Message) -> None:
        self.tokens += message_tokens(message) - message_tokens(self._messages[position])
        self._messages[position] = message


def _foreign(message: Message, ids: Mapping[str, str]) -> Message:
    """A reply as other models are sent it."""
    requests = tuple([replace(call, id=ids[call.id]) for call in message.tool_requests])
    return replace(message, tool_requests=requests, thinking=())


def assistant_message(reply: ModelReply, turn: int) -> Message:
    """What a reply adds to the conversation, with what could not be stored or sent back set right.

    Requests get an id of their own where theirs is missing or not unique, since results are matched by it. Half of a
    surrogate pair, which a cut stream leaves behind, becomes a question mark.
    """
    ids = [request.id for request in reply.tool_requests]
    requests = [
        ToolRequest(
            id=_encodable(request.id) if request.id and ids.count(request.id) == 1 else f"call_{turn}_{number}",
            name=_encodable(request.name),
            arguments=_encodable(request.arguments),
        )
        for number, request in enumerate(reply.tool_requests, 1)
    ]
    return Message(
        role=Role.ASSISTANT,
        text=_encodable(reply.text),
        tool_requests=tuple(requests),
        thinking=tuple([_encodable_block(block) for block in reply.thinking]),
    )


def _read(text: str) -> list[Message]:
    return msgspec.json.decode(text, type=list[Message])


def files_of(turns: Sequence[Turn]) -> tuple[FilePart, ...]:
    """The files that went along with the first one."""
    return tuple([file for turn in turns[:1] for message in _read(turn.input) for file in message.files])


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


def _encodable_block(block: dict[str, object]) -> dict[str, object]:
    """A block of thinking as it came, unless it holds half of a surrogate pair, which no store takes."""
    try:
        msgspec.json.encode(block)
    except UnicodeEncodeError:
        return msgspec.json.decode(_encodable(json.dumps(block, ensure_ascii=False)), type=dict[str, object])
    return block
