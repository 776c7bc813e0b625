"""What a step has changed in its worktree: kept beside the snapshot, which nobody writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from ..errors import ToolFailed
from ..model import Observation
from ..ports import FileMade
from ..timeline.kept import kept_contents


class Changes:
    """By real path from the root."""

    def __init__(self) -> None:
        self._first: dict[str, bytes | None] = {}  # what lay there before the first change
        self._now: dict[str, bytes | None] = {}

    @property
    def files(self) -> Mapping[str, bytes | None]:
        """The files that are otherwise than the snapshot has them, or were so once; None: absent."""
        return MappingProxyType(self._now)

    @property
    def net(self) -> tuple[FileMade, ...]:
        """What became of each file that is not as it was before its first change, by path."""
        return tuple(
            FileMade(path=path, before=self._first[path], after=after)
            for path, after in sorted(self._now.items())
            if self._first[path] != after
        )

    def make(self, path: str, before: bytes | None, after: bytes | None) -> None:
        self._first.setdefault(path, before)
        self._now[path] = after


def stored_changes(observations: Iterable[Observation], contents: Callable[[str], bytes | None]) -> Changes:
    """What these observations of a worktree, which are in their order, have changed there.

    `contents` are those of files by digest. Raises ToolFailed where some are not kept any more.
    """
    made = [seen.change for seen in observations if seen.aside and seen.change is not None]
    changes = Changes()
    for change in made:
        try:
            changes.make(change.path, *(kept_contents(contents, side) for side in (change.before, change.after)))
        except ToolFailed as error:
            raise ToolFailed(f"{change.path}: {error.message}") from error
    return changes
