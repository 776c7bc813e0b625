"""edit_file: replace one exact piece of a file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated

import msgspec
import trio
from msgspec import Meta

from ...errors import ToolFailed
from ...model import JSON, ToolSpec
from ...ports import PlannedEdit, ToolResult
from .arguments import parameters_of, parse
from .edit_text import Replaced, replace_text
from .editing import MAX_FILE_BYTES, Editing, encoded, locate_for_writing
from .render import clip
from .workspace import INLINE_BYTES, visible

_AROUND = 3  # lines shown before and after a change
_SHOWN_LINES = 60
_SHOWN_CHARS = 300
_BINARY_PROBE = 8192


class EditFileArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Annotated[str, Meta(description="The file, relative to the project root.")]
    old: Annotated[str, Meta(description="The text to replace, exactly as it is in the file, and there only once.")]
    new: Annotated[str, Meta(description="What stands there instead; empty removes it.")]
    all: Annotated[bool, Meta(description="Replace `old` wherever it is.")] = False


class EditFile(Editing):
    spec = ToolSpec(
        name="edit_file",
        description=(
            "Replace a piece of a text file. `old` has to be there exactly, with its whitespace and without the line "
            "numbers of read_file, and only once: give enough of the lines around it. Line ends stay as they are."
        ),
        parameters=parameters_of(EditFileArguments),
        version=1,
    )
    arguments = EditFileArguments

    async def plan(self, arguments: Mapping[str, JSON]) -> PlannedEdit:
        """Data: {path, line, replaced}: the first line that changed, and at how many places."""
        wanted = parse(self.spec.name, EditFileArguments, arguments)
        place = locate_for_writing(self._workspace, wanted.path)
        shown = visible(place.path)
        before = await self._workspace.read_present(place, limit=MAX_FILE_BYTES)
        if before is None:
            raise ToolFailed(f"{shown}: no such file; write_file makes one")
        change = partial(_changed, shown, before, wanted)
        changed = change() if len(before) <= INLINE_BYTES else await trio.to_thread.run_sync(change)
        after = encoded(shown, changed.text)
        if len(after) > MAX_FILE_BYTES:
            raise ToolFailed(f"{shown}: it would become larger than {MAX_FILE_BYTES:,} bytes, the most that is written")
        return PlannedEdit(
            path=place.real_path,
            before=before,
            after=after,
            result=ToolResult(
                text=_told(shown, changed),
                data={"path": place.path, "line": changed.line, "replaced": changed.count},
            ),
        )


def _changed(shown: str, before: bytes, wanted: EditFileArguments) -> Replaced:
    return replace_text(shown, _text_of(shown, before), wanted.old, wanted.new, everywhere=wanted.all)


def _text_of(shown: str, data: bytes) -> str:
    if b"\0" in data[:_BINARY_PROBE]:
        raise ToolFailed(f"{shown}: a binary file, which edit_file does not change")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ToolFailed(
            f"{shown}: not a text in UTF-8 (byte {error.start:,}), so it cannot be edited without harm; "
            "write_file can replace it"
        ) from error


def _told(shown: str, changed: Replaced) -> str:
    """What was done, and the lines around it as they are now, so that a model needs no look to go on."""
    if changed.count > 1:
        return f"{shown}: replaced at {changed.count:,} places, first at line {changed.line:,}"
    head = f"{shown}: line {changed.line:,}, {_lines(changed.removed)} replaced by {changed.added:,}; now:"
    lines = changed.text.split("\n")
    if lines[-1] == "":
        lines.pop()
    first = max(changed.line - _AROUND, 1)
    last = min(changed.line + max(changed.added, 1) - 1 + _AROUND, len(lines))
    part = lines[first - 1 : last]
    part = [f"{number}\t{clip(line.removesuffix(chr(13)), _SHOWN_CHARS)}" for number, line in enumerate(part, first)]
    if len(part) > _SHOWN_LINES:
        half = _SHOWN_LINES // 2
        part = [*part[:half], f"[{len(part) - 2 * half:,} lines]", *part[-half:]]
    return "\n".join([head, *part]) if part else f"{head} empty"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"
