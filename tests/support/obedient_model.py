"""A model that does what its prompt says: `NAME: read a.txt & read b.txt; edit a.txt one two; write b.txt text`.

`;` ends a turn, and `&` stands between the calls of one. `say TEXT` is a turn with an answer, which is the last one
unless it is sent back. Else it answers with a digest of all that it was shown, so that an answer that is stale shows.
"""

from __future__ import annotations

import json

from tests.support.behaviours import Answer, Behaviour, Call
from tests.support.exchanges import SeenRequest
from tests.support.wire_formats import digest_of

#: What is asked for, with the tool that it is and the names of its arguments.
_TOOLS = {
    "read": ("read_file", ("path",)),
    "grep": ("grep", ("pattern",)),
    "edit": ("edit_file", ("path", "old", "new")),
    "write": ("write_file", ("path", "content")),
    "run": ("run_command", ("argv",)),
}
_SAY = "say "


def obey(request: SeenRequest) -> Behaviour:
    asked = request.conversation()
    prompt = next(message.text for message in asked.messages if message.role == "user")
    turn = sum(message.role == "assistant" for message in asked.messages)
    orders = orders_in(prompt)
    if turn < len(orders):
        said = said_in(prompt)
        return Answer(text=said[turn]) if turn in said else Answer(calls=orders[turn], finish="tool_calls")
    return Answer(text=f"{name_in(prompt)} done: {digest_of(asked)}")


def name_in(prompt: str) -> str:
    return prompt.partition(":")[0]


def orders_in(prompt: str) -> list[tuple[Call, ...]]:
    """The calls that a line of a prompt names, by turn, none where it says something; the last argument of one may have
    spaces in it.
    """
    return [
        () if turn.startswith(_SAY) else tuple(_call(each, f"call_{n}") for n, each in enumerate(turn.split(" & ")))
        for turn in _turns_in(prompt)
    ]


def said_in(prompt: str) -> dict[int, str]:
    """The answers that it names, by turn."""
    turns = enumerate(_turns_in(prompt))
    return {number: turn.removeprefix(_SAY) for number, turn in turns if turn.startswith(_SAY)}


def _turns_in(prompt: str) -> list[str]:
    lines = [line.partition(": ")[2].split("; ") for line in prompt.splitlines()]
    orders = next((line for line in lines if _is_order(line[0])), [])
    return [turn for turn in orders if _is_order(turn)]


def _is_order(text: str) -> bool:
    return text.partition(" ")[0] in _TOOLS or text.startswith(_SAY)


def _call(order: str, name: str) -> Call:
    verb, _, rest = order.partition(" ")
    tool, names = _TOOLS[verb]
    arguments: dict[str, object] = dict(zip(names, rest.split(" ", len(names) - 1), strict=True))
    if "argv" in arguments:
        arguments["argv"] = rest.split(" ")
    return Call(name=tool, arguments=json.dumps(arguments), id=name)
