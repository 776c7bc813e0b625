"""What the patterns are handed, looked at before it is used: each message says what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def listed(who: str, what: str, values: Iterable[T]) -> Iterable[T]:
    """`values`, if they are what a loop may go through. Raises TypeError."""
    if hasattr(values, "__await__"):
        raise TypeError(f"{who}: these {what} are not in yet; write {who}(await parallel(...), ...)")
    if isinstance(values, dict):
        raise TypeError(
            f"{who}: the {what} are a list, not a dict; hand over the list in it, such as found['items'], or "
            f"list(found.values())"
        )
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{who}: the {what} are a list, not one text; write [text], or text.splitlines()")
    if hasattr(values, "__aiter__"):
        raise TypeError(f"{who}: the {what} are a list; write {who}([each async for each in ...], ...)")
    if not hasattr(values, "__iter__"):
        raise TypeError(f"{who}: the {what} are a list, not a value of type {kind(values)}")
    return values


def settled(who: str, what: str, value: T) -> T:
    """`value`, if it is no step or coroutine that has yet to run. Raises TypeError."""
    if hasattr(value, "__await__"):
        close(value)
        raise TypeError(f"{who}: {what} has not run; write {who}(await parallel([...]), ...)")
    return value


def given(who: str, which: str, value: T) -> T:
    """What a function of the caller gave, if that is no coroutine. Raises TypeError."""
    if hasattr(value, "__await__"):
        close(value)
        raise TypeError(f"{who}: {which} has to be a plain function, not an async one; await what it needs before")
    return value


def whole(who: str, what: str, value: int, least: int) -> int:
    """`value`, if it is a whole number, and not too small. Raises TypeError and ValueError."""
    if type(value) is not int:
        raise TypeError(f"{who}: {what}; it is a whole number, not a value of type {kind(value)}")
    if value < least:
        raise ValueError(f"{who}: {what}; it is at least {least}, not {value}")
    return value


def close(value: Any) -> None:
    """End a coroutine that nobody will await; the message about it is ours."""
    if hasattr(value, "close"):
        value.close()


def kind(value: object) -> str:
    return type(value).__name__
