"""list_files: what lies directly in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from ...model import JSON, ToolSpec
from ...ports import Footprint, ToolResult
from .arguments import parameters_of, parse
from .footprints import footprint_of
from .render import capped
from .walk import Entry, list_folder
from .workspace import EntryKind, Workspace, visible

_MARKS = {EntryKind.FILE: "", EntryKind.FOLDER: "/", EntryKind.LINK: "  (link out of the project, or broken)"}


class ListFilesArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Annotated[str, Meta(description="The folder, relative to the project root.")] = "."


class ListFiles:
    spec = ToolSpec(
        name="list_files",
        description=(
            "List the files and folders directly in one folder of the project. What .gitignore excludes is left out, "
            "unless `path` itself lies in an excluded folder."
        ),
        parameters=parameters_of(ListFilesArguments),
        version=1,
    )
    group = "read"
    observes = True

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return footprint_of(self._workspace, self.spec.name, ListFilesArguments, arguments, deep=True)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {path, entries: [{name, type}]}, by name; type is file, folder, link (leads out, or broken), other."""
        wanted = parse(self.spec.name, ListFilesArguments, arguments)
        folder = self._workspace.locate(wanted.path)
        entries = await list_folder(self._workspace, folder)
        lines = [_line(entry) for entry in entries]

        def note(shown: int) -> str:
            return f"[{shown:,} of {len(lines):,} shown: use glob to narrow]"

        return ToolResult(
            text=capped(lines, note) if lines else f"{visible(folder.path)}: empty",
            data={
                "path": folder.path,
                "entries": [{"name": entry.name, "type": entry.kind.value} for entry in entries],
            },
        )


def _line(entry: Entry) -> str:
    return visible(entry.name) + _MARKS.get(entry.kind, "  (no regular file)")
