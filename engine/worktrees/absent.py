"""What a worktree does not have, though the project has it: what git ignores, and folders without a file.

A worktree is copied without them. What was seen in one is verified on the project itself, so they are left out there
as well, by the same rules: else each rerun would find them, and the step would run again.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..agents.tools.list_files import ListFiles
from ..agents.tools.walk import holds_a_file, ignored_part, list_folder
from ..agents.tools.workspace import EntryKind, Place, Workspace
from ..errors import ToolDenied, ToolFailed
from ..model import JSON


async def absent(workspace: Workspace, tool: str, arguments: Mapping[str, JSON]) -> list[str]:
    """The paths, as far as they count for this call, that are not there in a worktree of this workspace."""
    path = arguments.get("path", ".")
    if not isinstance(path, str):
        return []
    try:
        place = workspace.locate(path)
        ignored = await ignored_part(workspace, place)
        if ignored is not None:
            return [ignored]
        if not workspace.is_folder(place):
            return []
        if place.parts and not await holds_a_file(workspace, place):
            return [place.real_path]
        return await _empty_folders(workspace, place) if tool == ListFiles.spec.name else []
    except (ToolDenied, ToolFailed):
        return []  # the tool itself says so


async def _empty_folders(workspace: Workspace, folder: Place) -> list[str]:
    found: list[str] = []
    for entry in await list_folder(workspace, folder):
        if entry.kind is EntryKind.FOLDER:
            inner = workspace.locate(entry.path)
            if not await holds_a_file(workspace, inner):
                found.append(entry.path)
    return found
