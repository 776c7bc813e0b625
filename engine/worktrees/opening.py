"""How a worktree is opened: while nobody edits the project, and with the moment of that noted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec import Struct

from ..ports import Worktree, Worktrees
from ..timeline.project import Project


class Opened(Struct, frozen=True, kw_only=True):
    worktree: Worktree
    epoch: int  # of the snapshot


async def _nothing() -> None:
    return None


@asynccontextmanager
async def open_worktree(
    project: Project, worktrees: Worktrees, look: Callable[[], Awaitable[None]] = _nothing
) -> AsyncIterator[Opened]:
    """A snapshot of the project as it lies now. What `look` looks at in the project is the same as in the snapshot."""
    async with AsyncExitStack() as stack:
        async with project.lock.shared():
            await look()
            worktree = await stack.enter_async_context(worktrees.open())
            epoch = project.next_epoch()
        yield Opened(worktree=worktree, epoch=epoch)
