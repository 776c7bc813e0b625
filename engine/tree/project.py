"""One digest over all files of the project that a command may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from ..agents.tools.workspace import Workspace
from .cache import TreeCache
from .listing import view_of
from .records import FolderRecord, tree_digest
from .rules import ignored_paths
from .scan import Scan

_NOTHING: Mapping[str, bytes | None] = {}


class ProjectTree:
    """The files of one workspace that git does not ignore, without version control and `.vibe/`.

    Counted are, of each, path, kind, the executable bit of its owner, and contents or a link's target. Secrets count as
    well: what no tool reads may still change what a command does. Folders count only through the files below them.
    `clock` gives seconds since the epoch, as file systems count them.
    """

    def __init__(self, workspace: Workspace, cache: TreeCache, clock: Callable[[], float]) -> None:
        self._workspace = workspace
        self._cache = cache
        self._clock = clock
        self._known: dict[str, FolderRecord] | None = None
        self._looking = trio.Lock()  # two at once would read the same files

    async def digest(self, over: Mapping[str, bytes | None] = _NOTHING) -> str:
        """BLAKE2b-256 in hex. `over` are contents by real path that count instead of what lies there; None: absent.

        Raises ToolFailed where there are too many files.
        """
        async with self._looking:
            if self._known is None:
                self._known = await trio.to_thread.run_sync(self._cache.load)
            scan = Scan(self._workspace, self._known, view_of(over), int(self._clock() * 1e9))
            await trio.to_thread.run_sync(scan.run)
            while asked := scan.undecided:
                decided = await ignored_paths(
                    self._workspace.checker, [(folder.rules, folder.paths) for folder in asked]
                )
                await trio.to_thread.run_sync(scan.go_on, asked, decided)
            if not over:
                await self._keep(scan.found)
            return tree_digest(scan.digests.items())

    async def _keep(self, found: dict[str, FolderRecord]) -> None:
        if found != self._known:
            await trio.to_thread.run_sync(self._cache.save, found)
        self._known = found
