"""What the model of one step is sent: the conversation, tools and answer schema, kept within the model's window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from ..backends.estimate import TOKENS_PER_REQUEST, data_tokens, tool_tokens
from ..errors import ContextTooLong
from ..model import Message, ModelInfo, ModelRequest, PromptMakeup, Shortened, Turn, Usage
from .conversation import Conversation, Shortening, opening
from .outputs import turn_chars
from .prompts import SUBMIT_TOOL
from .task import AgentTask
from .window import ContextWindow

TellShortened: TypeAlias = Callable[[Shortening], None]


class AgentContext:
    """Changes only by what is added to it and, where it would not fit, by shortening old tool outputs."""

    def __init__(self, task: AgentTask, info: ModelInfo, tell: TellShortened) -> None:
        self._task = task
        self._tell = tell
        self._conversation = Conversation(opening(task.system, task.context, task.prompt, task.files))
        self._ask(task.model, info)

    def use_model(self, model: str, info: ModelInfo) -> None:
        """Send what there is to another model from now on."""
        self._conversation.use_model(model)
        self._ask(model, info)

    def go_on(self, turns: Sequence[Turn]) -> None:
        """Take up the conversation of finished turns, with what they tell of the model's window."""
        self._conversation = Conversation.of_turns(turns, self.model)
        self._ask(self.model, self._info)
        for turn in turns:
            made = turn.makeup
            if turn.model != self.model:
                self._window = ContextWindow(self._info, self._task.max_tokens)
            elif made.conversation:
                size = made.system + made.tools + made.context + made.conversation + TOKENS_PER_REQUEST
                self._window.counted(size, turn.usage)

    def _ask(self, model: str, info: ModelInfo) -> None:
        self.model = model
        self._info = info
        self._window = ContextWindow(info, self._task.max_tokens)
        self._offer(info)

    def _offer(self, info: ModelInfo) -> None:
        tools = tuple([tool.spec for tool in self._task.tools])
        prepared, schema = self._task.schema, None
        self.submits = False
        if prepared is not None and self._native(info):
            schema = prepared.schema
        elif prepared is not None:
            tools = (*tools, prepared.submit_tool)
            self.submits = True
        self._tools = tools
        self._schema = schema
        self._tool_tokens = sum(map(tool_tokens, tools)) + (0 if schema is None else data_tokens(schema))

    def _native(self, info: ModelInfo) -> bool:
        """Whether the answer is asked for by the schema mode of the model, and not by the submit tool.

        It follows from the model and the conversation alone, so that who takes a conversation up asks in the same way.
        """
        if not info.native_schema or (self._task.tools and not info.schema_beside_tools):
            return False
        # A conversation that submitted once goes on so: providers want the tools of old calls in each request.
        return not self._conversation.requested(SUBMIT_TOOL)

    @property
    def answer_limit(self) -> int | None:
        """Tokens of one answer, where the model gives fewer than the task asks for."""
        most = self._info.max_output_tokens
        return most if most is not None and most < self._task.max_tokens else None

    @property
    def turn_chars(self) -> int:
        """Characters that the tool outputs of one message may have together."""
        return turn_chars(self._info)

    @property
    def makeup(self) -> PromptMakeup:
        return self._conversation.makeup(self._tool_tokens)

    # ------------------------------------------------------------ a call

    def request(self) -> ModelRequest:
        """The next request. Raises ContextTooLong where no estimate can be so wrong that it fits."""
        size = self._size
        if not self._window.fits(size):
            self._shorten(size)
            if self._window.hopeless(self._size):
                raise ContextTooLong(f"{self.model}: {self._too_long()}")
        task = self._task
        return ModelRequest(
            model=self.model,
            messages=self._conversation.messages,
            max_tokens=task.max_tokens,
            timeout_s=task.timeout_s,
            tools=self._tools,
            schema=self._schema,
            temperature=task.temperature,
            effort=task.effort,
            contents=dict(task.contents),
        )

    def refused(self, error: ContextTooLong) -> None:
        """The provider turned the request away. Returns where a shorter one can be made; else raises ContextTooLong."""
        size = self._size
        self._window.refused(size)
        if not self._shorten(size):
            raise ContextTooLong(f"{error.message}; {self._too_long()}") from error

    def answered(self, usage: Usage | None) -> None:
        """The request led to a turn, of which `pending_input` and `shortened` told."""
        self._window.counted(self._size, usage)
        self._conversation.sent()

    def pending_input(self) -> str:
        return self._conversation.pending_input()

    @property
    def shortened(self) -> tuple[Shortened, ...]:
        return self._conversation.shortened

    def extend(self, author: str, reply: Message, following: Iterable[Message]) -> None:
        """Take the reply of model `author` into the conversation, and what follows on it."""
        self._conversation.reply(reply, author)
        self._conversation.add(following)
        if author != self.model:  # another one took over while this reply was dealt with
            self._conversation.use_model(self.model)
        if any(request.name == SUBMIT_TOOL for request in reply.tool_requests):
            self._offer(self._info)

    # ------------------------------------------------------------ inside

    @property
    def _size(self) -> int:
        return self._conversation.tokens + self._tool_tokens + TOKENS_PER_REQUEST

    def _shorten(self, size: int) -> bool:
        fixed = size - self._conversation.tokens
        done = self._conversation.shorten(
            read_to=self._window.relaxed(size) - fixed, unread_to=self._window.filled(size) - fixed
        )
        if done.outputs:
            self._tell(done)
        return done.outputs > 0

    def _too_long(self) -> str:
        made = self.makeup
        listed = self._info.max_input_tokens
        window = "" if listed is None else f" where the model takes {listed:,}"
        return (
            f"the prompt has about {self._window.expected(self._size):,.0f} tokens{window}, and no tool output is left "
            f"to shorten: system {made.system:,}, tools {made.tools:,}, context and files {made.context:,}, "
            f"conversation {made.conversation:,}; and max_tokens={self._task.max_tokens:,} is kept for the answer. "
            "Send less, lower max_tokens=, or choose a model that takes more"
        )
