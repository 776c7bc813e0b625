"""From the request of a turn to a command line. What is said here to a program is part of a step's key (see
`description.PROMPTING_VERSION`).

A program is started anew for each turn: what was said before stands in its prompt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ..agents.prompts import SUBMIT_TOOL
from ..backends.message_parts import is_text, text_of_file
from ..errors import ContextTooLong, SetupError
from ..model import JSON, Message, ModelRequest, Role
from .description import FLAGS, MODEL, PLACES, PROMPT, SYSTEM, AgentCli, AgentMode

#: Of a prompt in JSON, which is how the keeper of the program gets all arguments and the environment together.
MAX_ARGUMENT_BYTES: Final = 96 * 1024
_MAX_SYSTEM_BYTES: Final = 16 * 1024  # as an argument; a longer one goes into the prompt

_AGAIN: Final = (
    "You have worked on this task before, in a session that you do not remember. What you changed in the project then "
    "is there, unless something else is said. This is what came after the task:"
)
_SCHEMA: Final = (
    "Your final message is read by a program. It has to be one JSON value that fits this JSON Schema, without anything "
    "before or after it:"
)
_NAMES: Final = {
    Role.ASSISTANT: "Your answer",
    Role.TOOL: "Result of a tool",
    Role.USER: "What was said to it",
    Role.SYSTEM: "Instructions",
}


class Invocation(Struct, frozen=True, kw_only=True):
    argv: tuple[str, ...]
    shown: tuple[str, ...]  # the same without what a turn's messages say anyway
    stdin: bytes


def invocation(agent: AgentCli, mode: AgentMode, request: ModelRequest) -> Invocation:
    """Raises ContextTooLong where the prompt does not fit into an argument, SetupError for what it cannot be given."""
    _, _, model = request.model.partition("/")
    texts = [message.text for message in request.messages if message.role is Role.SYSTEM]
    system, prompt = "\n\n".join(texts), _prompt(request)
    beside = any(SYSTEM in word for word in _words(agent.argv)) and len(json.dumps(system)) <= _MAX_SYSTEM_BYTES
    if system and not beside:
        system, prompt = "", f"{system}\n\n{prompt}"
    in_argument = any(PROMPT in word for word in _words(agent.argv))
    size = len(json.dumps(prompt)) if in_argument else 0
    if size > MAX_ARGUMENT_BYTES:
        raise ContextTooLong(
            f"{request.model}: `{agent.program}` takes its prompt as an argument, of {MAX_ARGUMENT_BYTES:,} characters "
            f"of ASCII at most, and it has {size:,} (others count as six); send less"
        )
    if "\0" in prompt or "\0" in system:
        raise SetupError(f"{request.model}: the prompt holds a NUL, which no program takes; leave it out")
    given = {PROMPT: prompt, SYSTEM: system, MODEL: model}
    return Invocation(
        argv=_filled(agent.argv, mode, given),
        shown=_filled(agent.argv, mode, {PROMPT: PROMPT, SYSTEM: SYSTEM if system else "", MODEL: model}),
        stdin=b"" if in_argument else prompt.encode("utf-8", "replace"),
    )


def _words(argv: Sequence[str | tuple[str, ...]]) -> list[str]:
    return [each for word in argv for each in ((word,) if isinstance(word, str) else word)]


def _filled(argv: Sequence[str | tuple[str, ...]], mode: AgentMode, given: Mapping[str, str]) -> tuple[str, ...]:
    found: list[str] = []
    for word in argv:
        if word == FLAGS:
            found += mode.flags
            continue
        words = (word,) if isinstance(word, str) else word
        if any(place in each and not given[place] for each in words for place in PLACES):
            continue
        found += [_put(each, given) for each in words]
    return tuple(found)


def _put(word: str, given: Mapping[str, str]) -> str:
    """One after the other, so that what is put in is not looked through again."""
    for place in PLACES:
        before, found, after = word.partition(place)
        if found:
            return _put(before, given) + given[place] + _put(after, given)
    return word


def _prompt(request: ModelRequest) -> str:
    task, *rest = [message for message in request.messages if message.role is not Role.SYSTEM]
    parts = [_with_files(task, request)]
    if rest:
        parts += [_AGAIN, *map(_told, rest)]
    if (schema := _schema(request)) is not None:
        parts.append(f"{_SCHEMA}\n\n{msgspec.json.encode(schema).decode()}")
    return "\n\n".join(parts)


def _schema(request: ModelRequest) -> dict[str, JSON] | None:
    """Of the answer; where another model began, that was given a tool to submit it with, it stands there."""
    submit = next((tool.parameters for tool in request.tools if tool.name == SUBMIT_TOOL), None)
    return submit if request.schema is None else request.schema


def _with_files(message: Message, request: ModelRequest) -> str:
    files = []
    for file in message.files:
        if not is_text(file):
            raise SetupError(
                f"{file.path}: {request.model} is given texts only, and this is {file.media_type}; leave it out of "
                "files=, and name its path in the prompt: the program reads the project by itself"
            )
        files.append(text_of_file(file, request.contents[file.digest]))
    head, rest = message.text[: message.context_chars], message.text[message.context_chars :]
    return "\n\n".join(filter(None, [head, *files, rest])) if files else message.text


def _told(message: Message) -> str:
    asked = [f"[asked for the tool {call.name}: {call.arguments}]" for call in message.tool_requests]
    return "\n".join([f"=== {_NAMES[message.role]} ===", message.text, *asked])
