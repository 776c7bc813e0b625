"""What the tools that change a file have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from ...errors import InternalError, ToolFailed
from ...model import JSON, ToolSpec
from ...ports import Footprint, PlannedEdit, ToolResult
from .footprints import footprint_of
from .workspace import Workspace

#: Before and after: both are kept in the store.
MAX_FILE_BYTES = 8 * 1024 * 1024


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


def encoded(shown: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ToolFailed(f"{shown}: the text holds a lone surrogate, which no UTF-8 can") from error
