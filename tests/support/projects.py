"""A project on disk, and the read tools of a workspace on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import trio

from vibe_workflows.engine.agents.tools.registry import ToolBox, edit_tools, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.ports import Checker, CommandRunner, ToolResult

from .checking import PlainChecker
from .commands import PlainCommands

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]]) -> T:
    return trio.run(main)


class Project:
    """Files below `root`, and its tools called by name."""

    def __init__(self, root: Path, checker: Checker | None = None, commands: CommandRunner | None = None) -> None:
        self.root = root
        self.workspace = Workspace(root, checker or PlainChecker())
        self.tools = ToolBox(
            (*read_tools(self.workspace, commands or PlainCommands(root)), *edit_tools(self.workspace))
        )

    def write(self, path: str, content: str | bytes = "") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def call(self, tool: str, **arguments: Any) -> ToolResult:
        return trio.run(self.tools.by_name[tool].run, arguments)

    def data(self, tool: str, **arguments: Any) -> Any:
        return self.call(tool, **arguments).data
