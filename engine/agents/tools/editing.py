"""What the tools that change a file have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from ...errors import InternalError, ToolDenied, ToolFailed
from ...model import JSON, ToolSpec
from ...ports import Footprint, PlannedEdit, ToolResult
from .footprints import footprint_of
from .workspace import Place, Workspace, visible

#: Before and after: both are kept in the store.
MAX_FILE_BYTES = 8 * 1024 * 1024

_PATH_BYTES = 4_096  # with the NUL at the end: beyond it a file could be made step by step, and hardly be removed


class Editing:
    """An `EditingTool` but for its `plan`."""

    spec: ClassVar[ToolSpec]
    arguments: ClassVar[type[msgspec.Struct]]
    group = "write"
    observes = False

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def file(self, arguments: Mapping[str, JSON]) -> str | None:
        path = arguments.get("path")
        return path if isinstance(path, str) else None

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return footprint_of(self._workspace, self.spec.name, self.arguments, arguments)

    async def plan(self, arguments: Mapping[str, JSON]) -> PlannedEdit:
        raise NotImplementedError

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        raise InternalError(f"{self.spec.name} was run instead of planned")


def locate_for_writing(workspace: Workspace, path: str) -> Place:
    """As `Workspace.locate`, for a file that is to be written. Raises ToolDenied also where no tool writes."""
    place = workspace.locate(path)
    shown = visible(place.path)
    workspace.require_writable(place)
    if len(os.fsencode(f"{workspace.root}/{place.real_path}")) >= _PATH_BYTES:
        raise ToolFailed(f"{shown}: longer than the paths of this system, so that nobody could open it by its name")
    if path.endswith("/"):
        raise ToolFailed(f"{shown}: the path of a file has no `/` at its end")
    try:
        place.path.encode()
    except UnicodeEncodeError as error:
        raise ToolDenied(f"{shown}: not a path in UTF-8") from error
    return place


def encoded(shown: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ToolFailed(f"{shown}: the text holds a lone surrogate, which no UTF-8 can") from error
