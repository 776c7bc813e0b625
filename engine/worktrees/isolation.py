"""The parts that steps in worktrees are made with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from ..model import StepId
from ..ports import Tool, Worktrees

if TYPE_CHECKING:
    from ..git import Differ
    from ..model import Step

#: The tools of a worktree at that place, with these files otherwise.
ToolsAt: TypeAlias = Callable[[str, Mapping[str, bytes | None]], Iterable[Tool]]
#: The tools that look at the project's repository, for a project with these files otherwise.
ToolsOfRepository: TypeAlias = Callable[[Mapping[str, bytes | None]], Iterable[Tool]]


class Isolation(Struct, frozen=True, kw_only=True):
    """Of one project."""

    worktrees: Worktrees
    tools: ToolsAt
    of_repository: ToolsOfRepository
    contents: Callable[[str], bytes | None]  # of files at some time, by digest
    step: Callable[[StepId], Step | None]
    differ: Differ
    tree: Callable[[], Awaitable[str]]  # the digest of all files of the project as it lies
