"""The files of the project, as the timeline reads and writes them. Every write obeys the rules of the editing tools."""

from __future__ import annotations

from collections.abc import Collection

from ...errors import ToolDenied, ToolFailed
from ...ports import Tool
from .file_state import MAX_FILE_BYTES, FileState
from .workspace import Place, Workspace

#: What no digest is: something lies there that cannot be read.
_UNREADABLE = "unreadable"


class WorkspaceFiles:
    """Implements `ports.ProjectFiles`. No link leads a path elsewhere: there is no such file then."""

    def __init__(self, workspace: Workspace, state: FileState) -> None:
        self._workspace = workspace
        self._state = state

    @property
    def state(self) -> Tool:
        return self._state

    def require_writable(self, path: str) -> None:
        self._workspace.require_writable(Place.at(path))

    async def digest(self, path: str) -> str | None:
        try:
            return await self._state.digest(Place.at(path))
        except (ToolFailed, ToolDenied):
            return _UNREADABLE

    async def read(self, path: str) -> bytes | None:
        return await self._workspace.read_present(Place.at(path), limit=MAX_FILE_BYTES)

    async def write(self, path: str, before: bytes | None, after: bytes | None) -> None:
        place = Place.at(path)
        if after is not None:
            await self._workspace.write(place, after, before=before)
        elif before is not None:
            await self._workspace.remove(place, before=before, and_folders=True)

    def clear_leftovers(self, paths: Collection[str]) -> None:
        for path in paths:
            try:
                self._workspace.clear_leftovers(Place.at(path))
            except (ToolFailed, ToolDenied):
                continue  # then nothing of ours lies there
