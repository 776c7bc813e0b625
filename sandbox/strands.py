"""The coroutines that the scheduler runs beside those of the script."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import CoroutineType, coroutine
from typing import Any, TypeAlias

from .steps import Work

Strand: TypeAlias = Generator[Any, Any, Any] | Coroutine[Any, Any, Any]


@coroutine
def run_claimed(work: Work) -> Generator[Any, Any, Any]:
    """Await work that a fan-out has claimed."""
    return (yield work)


@coroutine
def wait_for(work: Any) -> Generator[Any, Any, Any]:
    """Await a step, a fan-out or a coroutine that a function of the script returned."""
    if isinstance(work, Work):
        work.claim(work.site)
        return (yield work)
    return (yield from work)


async def called(function: Callable[..., Any], *values: Any) -> Any:
    """What a function of the script gives in the end, be it sync or async, or returning a step."""
    result = function(*values)
    while is_awaitable(result):
        result = await wait_for(result)
    return result


def is_awaitable(value: object) -> bool:
    return isinstance(value, Work) or type(value) is CoroutineType
