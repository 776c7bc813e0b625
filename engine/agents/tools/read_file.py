"""read_file: the text of one file, or of some of its lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from ...errors import ToolFailed
from ...model import JSON, ToolSpec
from ...ports import Footprint, Look, ToolResult
from .arguments import parameters_of, parse
from .footprints import footprint_of
from .render import MAX_LINE_CHARS, MAX_TEXT_BYTES, clip, text_bytes
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
        version=2,
    )
    group = "read"
    observes = True

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return footprint_of(self._workspace, self.spec.name, ReadFileArguments, arguments)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {path, text, start, end, more}. `text` is the file's own text from line `start` to `end`.

        A window is at most MAX_WINDOW_BYTES, so `end` may come early; `more` says whether lines follow. How many is
        left open: a range is the same whatever is added behind it.
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
        lines = lines[wanted.start - 1 :]
        window = _window(lines[: last - wanted.start + 1])
        if not window and lines:
            raise ToolFailed(
                f"{shown}: line {wanted.start:,} alone is longer than the {MAX_WINDOW_BYTES:,} bytes shown"
            )
        part = _Part(
            path=place.path,
            start=wanted.start,
            lines=window,
            more=len(window) < len(lines),
            ends_with_newline=text.endswith("\n"),
        )
        return _result(part)


class _Part(Struct, frozen=True, kw_only=True):
    """Some lines of a file, which are all that both forms of a result are made of."""

    path: str
    start: int
    lines: list[str]
    more: bool  # whether lines follow
    ends_with_newline: bool  # of the file

    @property
    def end(self) -> int:
        return self.start + len(self.lines) - 1

    def first(self, count: int) -> _Part:
        return replace(self, lines=self.lines[:count], more=True)

    def data(self) -> JSON:
        newline = "\n" if self.lines and (self.more or self.ends_with_newline) else ""
        return {
            "path": self.path,
            "text": "\n".join(self.lines) + newline,
            "start": self.start,
            "end": self.end,
            "more": self.more,
        }


def _result(part: _Part) -> ToolResult:
    if not part.lines:
        return ToolResult(text=f"{visible(part.path)}: empty", data=part.data())
    numbered = [f"{number}\t{line}" for number, line in enumerate(_shown_lines(part.lines), part.start)]
    count = _fitting(numbered)
    shown = part if count == len(numbered) else part.first(count)
    total = "more follow" if shown.more else f"of {shown.end:,}"
    head = f"{visible(part.path)}, lines {part.start:,} to {shown.end:,}{', ' if shown.more else ' '}{total}"
    text = "\n".join([head, *numbered[:count]])
    if shown is part:
        return ToolResult(text=text, data=part.data())
    look = Look(arguments={"path": part.path, "start": part.start, "end": shown.end}, data=shown.data())
    return ToolResult(text=f"{text}\n[cut here: go on with start={shown.end + 1}]", data=part.data(), shown=look)


def _shown_lines(lines: list[str]) -> list[str]:
    if max(map(len, lines)) > MAX_LINE_CHARS or "\r" in "\n".join(lines):
        return [clip(line.removesuffix("\r")) for line in lines]
    return lines  # the usual case


def _fitting(lines: list[str]) -> int:
    """How many of the first lines a model is shown; at least one, which is clipped."""
    if text_bytes("\n".join(lines)) < MAX_TEXT_BYTES:
        return len(lines)  # the usual case
    left = MAX_TEXT_BYTES
    for number, line in enumerate(lines):
        left -= len(line.encode("utf-8", "replace")) + 1
        if left < 0:
            return max(number, 1)
    return len(lines)


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
