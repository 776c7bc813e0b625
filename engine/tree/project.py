"""One digest over all files of the project that a command may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio
from msgspec import Struct

from ..agents.tools.workspace import Workspace
from .cache import TreeCache
from .listing import view_of
from .records import FolderRecord, tree_digest
from .rules import ignored_paths
from .scan import Scan

_UNKNOWN: Mapping[str, FolderRecord] = {}
_NOTHING: Mapping[str, bytes | None] = {}


class TreeFiles(Struct, frozen=True, kw_only=True):
    """All that counts, by the folders' paths: "", or ending in a slash. Folders that cannot be listed are left out."""

    digest: str
    folders: Mapping[str, FolderRecord]


class ProjectTree:
    """The files of one workspace that git does not ignore, without version control and `.vibe/`.

    Counted are, of each, path, kind, the executable bit of its owner, and contents or a link's target. Secrets count as
    well: what no tool reads may still change what a command does. Folders count only through the files below them.
    `clock` gives seconds since the epoch, as file systems count them. Without a cache, only `known` is known at first.
    """

    def __init__(
        self,
        workspace: Workspace,
        cache: TreeCache | None,
        clock: Callable[[], float],
        known: Mapping[str, FolderRecord] = _UNKNOWN,
    ) -> None:
        self._workspace = workspace
        self._cache = cache
        self._clock = clock
        self._known = dict(known) if cache is None else None
        self._looking = trio.Lock()  # two at once would read the same files

    async def digest(self, over: Mapping[str, bytes | None] = _NOTHING) -> str:
        """BLAKE2b-256 in hex. `over` are contents by real path that count instead of what lies there; None: absent.

        Raises ToolFailed where there are too many files.
        """
        return tree_digest((await self._scan(over)).digests.items())

    async def files(self) -> TreeFiles:
        """The digest, and what it is the digest of. Raises as `digest`."""
        scan = await self._scan(_NOTHING)
        return TreeFiles(digest=tree_digest(scan.digests.items()), folders=scan.folders)

    async def _scan(self, over: Mapping[str, bytes | None]) -> Scan:
        async with self._looking:
            if self._known is None:
                self._known = await trio.to_thread.run_sync(self._load)
            scan = Scan(self._workspace, self._known, view_of(over), int(self._clock() * 1e9))
            await trio.to_thread.run_sync(scan.run)
            while asked := scan.undecided:
                decided = await ignored_paths(
                    self._workspace.checker, [(folder.rules, folder.paths) for folder in asked]
                )
                await trio.to_thread.run_sync(scan.go_on, asked, decided)
            if not over:
                await self._keep(scan.found)
            return scan

    def _load(self) -> dict[str, FolderRecord]:
        return self._cache.load() if self._cache is not None else {}

    async def _keep(self, found: dict[str, FolderRecord]) -> None:
        if self._cache is not None and found != self._known:
            await trio.to_thread.run_sync(self._cache.save, found)
        self._known = found
