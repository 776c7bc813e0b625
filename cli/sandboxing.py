"""The sandbox's helper process and its locked workers, for the time of one command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from vibe_workflows.engine.errors import SandboxError

if TYPE_CHECKING:
    from vibe_workflows.sandbox.checker import LockedChecker
    from vibe_workflows.sandbox.launcher import Zygote

T = TypeVar("T")


@contextmanager
def open_zygote() -> Iterator[Zygote]:
    """A helper process that forks locked children. Raises SandboxError where this system can have none."""
    from vibe_workflows.sandbox.errors import SandboxUnavailable
    from vibe_workflows.sandbox.launcher import start_zygote

    try:
        zygote = start_zygote()
        try:
            yield zygote
        finally:
            zygote.close()
    except SandboxUnavailable as error:
        raise SandboxError(str(error)) from error


def ask_checker(ask: Callable[[LockedChecker], Awaitable[T]]) -> T:
    """What locked workers say, to a command that runs no script. Raises SandboxError, and what `ask` raises."""
    with open_zygote() as zygote:
        import trio  # while the sandbox gets ready

        from vibe_workflows.sandbox.checker import open_checker

        async def main() -> T:
            async with open_checker(zygote) as checker:
                return await ask(checker)

        return trio.run(main)
