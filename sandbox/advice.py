"""What a script's own error is told with: the next move, where Python's message has none."""

from __future__ import annotations

from json import JSONDecodeError
from typing import Final

from .attributes import OF_NONE

_NOT_AWAITABLE: Final = "can't be used in 'await' expression"
_AWAITABLE: Final = "only steps, parallel(), pipeline() and your own async functions can be awaited"
_NO_EXCEPTION: Final = "exceptions must derive from BaseException"
#: How a problem with a result ends, and what to return instead.
_IN_PLACE: Final = (
    ("is a Step", "`await` it"),
    ("is a coroutine", "`await` it"),
    ("is a set", "return sorted(...) of it"),
    ("is a frozenset", "return sorted(...) of it"),
    ("is a function", "call it, and return what it gives"),
    ("is a datetime", "return its isoformat()"),
    ("which JSON cannot hold", "return None in its place"),
)


def with_advice(error: Exception, message: str) -> str:
    """`message` is that of an error that no primitive raised."""
    match error:
        case TypeError():
            return _of_type(message)
        case KeyError() if " " not in message:  # the key alone, in quotes
            return f"no key {message}"
        case RecursionError():
            return f"{message}; a function calls itself without an end"
        case JSONDecodeError():
            return f"{message}; the text is no JSON: agent(..., schema={{...}}) gives a value instead"
    return message


def _of_type(message: str) -> str:
    if message.endswith(_NOT_AWAITABLE):
        if message.startswith("object PhaseBlock "):
            return "phase(...) is not awaited: write it without `await`"
        return f"{message}; {_AWAITABLE}"
    if message == _NO_EXCEPTION:
        return 'what is raised must be an exception: raise ValueError("...")'
    if message.startswith("'NoneType' object is not "):
        return f"{message}; {OF_NONE}"
    return message


def advice_on_result(problem: str) -> str:
    """What to return in place of what is no JSON."""
    for ending, advice in _IN_PLACE:
        if problem.endswith(ending):
            return advice
    return "a workflow returns strings, numbers, lists, dicts or None"
