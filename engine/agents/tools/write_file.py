"""write_file: make or replace one whole file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from ...errors import ToolFailed
from ...model import JSON, ToolSpec
from ...ports import PlannedEdit, ToolResult
from .arguments import parameters_of, parse
from .edit_text import has_crlf
from .editing import MAX_FILE_BYTES, Editing, encoded, locate_for_writing
from .workspace import as_text, visible


class WriteFileArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Annotated[str, Meta(description="The file, relative to the project root. Its folders are made.")]
    content: Annotated[str, Meta(description="All that the file will hold.")]


class WriteFile(Editing):
    spec = ToolSpec(
        name="write_file",
        description=(
            "Make a text file of the project, or replace all that is in one. To change a part of a file, use "
            "edit_file. What configures or runs this project (.git, .vibe, vibe.yaml, ...) and secrets are refused."
        ),
        parameters=parameters_of(WriteFileArguments),
        version=1,
    )
    arguments = WriteFileArguments

    async def plan(self, arguments: Mapping[str, JSON]) -> PlannedEdit:
        """Data: {path, created, lines}."""
        wanted = parse(self.spec.name, WriteFileArguments, arguments)
        place = locate_for_writing(self._workspace, wanted.path)
        shown = visible(place.path)
        after = encoded(shown, wanted.content)
        if len(after) > MAX_FILE_BYTES:
            raise ToolFailed(f"{shown}: `content` is larger than {MAX_FILE_BYTES:,} bytes, the most that is written")
        before = await self._workspace.read_present(place, limit=MAX_FILE_BYTES)
        lines = wanted.content.count("\n") + (not wanted.content.endswith("\n") and bool(wanted.content))
        return PlannedEdit(
            path=place.real_path,
            before=before,
            after=after,
            result=ToolResult(
                text=f"{shown}: {_what(before, after)}, {lines:,} {'line' if lines == 1 else 'lines'}"
                + _line_ends(before, wanted.content),
                data={"path": place.path, "created": before is None, "lines": lines},
            ),
        )


def _what(before: bytes | None, after: bytes) -> str:
    if before is None:
        return "created"
    return "left as it was" if before == after else "replaced"


def _line_ends(before: bytes | None, content: str) -> str:
    if before is None or "\n" not in content or has_crlf(content):
        return ""
    return "; its lines ended in CRLF before, and do not now" if has_crlf(as_text(before) or "") else ""
