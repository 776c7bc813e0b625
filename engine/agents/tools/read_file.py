"""read_file: the text of one file, or of some of its lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...errors import ToolFailed
from ...model import JSON, ToolSpec
from ...ports import ToolResult
from .arguments import parameters_of, parse
from .render import capped, clip
from .workspace import Workspace, visible

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_WINDOW_BYTES = 1024 * 1024


class ReadFileArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Annotated[str, Meta(description="The file, relative to the project root.")]
    start: Annotated[int, Meta(ge=1, description="First line, from 1.")] = 1
    end: Annotated[int, Meta(ge=1, description="Last line, included. Without it: as far as fits.")] | UnsetType = UNSET


class ReadFile:
    spec = ToolSpec(
        name="read_file",
        description=(
            "Read a text file of the project, with line numbers. Long files are shown in part: go on with `start`. "
            "Binary files and secrets (.env, keys) are refused."
        ),
        parameters=parameters_of(ReadFileArguments),
        version=1,
    )
    group = "read"
    observes = True

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {path, text, start, end, lines}. `text` is the file's own text from line `start` to `end`.

        `lines` counts those of the whole file; a window is at most MAX_WINDOW_BYTES, so `end` may come early.
        """
        wanted = parse(self.spec.name, ReadFileArguments, arguments)
        place = self._workspace.locate(wanted.path)
        text = await self._workspace.read_text(place, limit=MAX_FILE_BYTES)
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        shown = visible(place.path)
        if wanted.start > max(len(lines), 1):
            raise ToolFailed(f"{shown}: has {len(lines):,} lines, so none from line {wanted.start:,}")
        last = len(lines) if isinstance(wanted.end, UnsetType) else wanted.end
        if last < wanted.start and lines:
            raise ToolFailed(f"{shown}: `end` ({last:,}) is before `start` ({wanted.start:,})")
        window = _window(lines[wanted.start - 1 : last])
        if not window and lines:
            raise ToolFailed(
                f"{shown}: line {wanted.start:,} alone is longer than the {MAX_WINDOW_BYTES:,} bytes shown"
            )
        end = wanted.start - 1 + len(window)
        ends_with_newline = end < len(lines) or text.endswith("\n")
        return ToolResult(
            text=_numbered(shown, window, wanted.start, len(lines)),
            data={
                "path": place.path,
                "text": "\n".join(window) + ("\n" if window and ends_with_newline else ""),
                "start": wanted.start,
                "end": end,
                "lines": len(lines),
            },
        )


def _window(lines: list[str]) -> list[str]:
    """As many of the first lines as fit into MAX_WINDOW_BYTES."""
    if 4 * (sum(map(len, lines)) + len(lines)) <= MAX_WINDOW_BYTES:
        return lines  # the usual case, without encoding anything: a character takes four bytes at most
    used = 0
    for number, line in enumerate(lines):
        used += len(line.encode()) + 1
        if used > MAX_WINDOW_BYTES:
            return lines[:number]
    return lines


def _numbered(shown: str, window: list[str], start: int, total: int) -> str:
    if not window:
        return f"{shown}: empty"
    end = start + len(window) - 1
    head = f"{shown}, lines {start:,} to {end:,} of {total:,}"
    numbered = [f"{number}\t{clip(line.removesuffix(chr(13)))}" for number, line in enumerate(window, start)]

    def note(kept: int) -> str:
        following = start + kept - 1  # the head is a line too
        return f"[cut here: go on with start={following}]"

    return capped([head, *numbered], note)
