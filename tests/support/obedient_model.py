"""A model that does what its prompt says: `NAME: read a.txt & read b.txt; edit a.txt one two; write b.txt text`.

`;` ends a turn, and `&` stands between the calls of one. Then it answers with a digest of all that it was shown, so
that an answer that is stale shows.
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
}


def obey(request: SeenRequest) -> Behaviour:
    asked = request.conversation()
    prompt = next(message.text for message in asked.messages if message.role == "user")
    turn = sum(message.role == "assistant" for message in asked.messages)
    orders = orders_in(prompt)
    if turn < len(orders):
        return Answer(calls=orders[turn], finish="tool_calls")
    return Answer(text=f"{name_in(prompt)} done: {digest_of(asked)}")


def name_in(prompt: str) -> str:
    return prompt.partition(":")[0]


def orders_in(prompt: str) -> list[tuple[Call, ...]]:
    """The calls that a line of a prompt names, by turn; the last argument of one may have spaces in it."""
    lines = [line.partition(": ")[2].split("; ") for line in prompt.splitlines()]
    orders = next((line for line in lines if line[0].partition(" ")[0] in _TOOLS), [])
    turns = [turn.split(" & ") for turn in orders if turn.partition(" ")[0] in _TOOLS]
    return [tuple(_call(order, f"call_{number}") for number, order in enumerate(turn)) for turn in turns]


def _call(order: str, name: str) -> Call:
    verb, _, rest = order.partition(" ")
    tool, names = _TOOLS[verb]
    arguments = dict(zip(names, rest.split(" ", len(names) - 1), strict=True))
    return Call(name=tool, arguments=json.dumps(arguments), id=name)
