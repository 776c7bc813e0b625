"""A copy of a project with certain files, on which the real tools can be run."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.checking import PlainChecker
from tests.support.commands import PlainCommands
from tests.support.editing_model import Files, files_in
from tests.support.memory_folder import SHARED_MEMORY
from vibe_workflows.engine.agents.tools.file_tree import FileTree
from vibe_workflows.engine.agents.tools.registry import ToolBox, edit_tools, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.errors import ToolDenied, ToolFailed
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import FILE_STATE, FILE_TREE, Change
from vibe_workflows.engine.observe import outcome_digest
from vibe_workflows.engine.ports import EditingTool, ToolResult
from vibe_workflows.engine.tree import ProjectTree, TreeCache


class Replica:
    """A project with certain files, on which the real tools can be run."""

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder = folder
        workspace = Workspace(folder, PlainChecker())
        self.looks = ToolBox(read_tools(workspace, PlainCommands(folder))).by_name
        self.edits: dict[str, EditingTool] = {tool.spec.name: tool for tool in edit_tools(workspace)}
        self.edited: dict[str, int] = {}  # the epoch of the latest edit of each path
        self.others: set[str] = set()  # paths that no delivered step edited, and somebody did
        self.written: dict[str, bytes | None] = {}
        self.ignored: list[bytes] = []  # what lay there by the name that git ignores, at some time
        self._tree = FileTree(ProjectTree(workspace, TreeCache(folder, workspace.root), time.time).digest)
        (folder / "vibe.yaml").touch()
        for path, data in files.items():
            self.write(path, data)

    def write(self, path: str, data: bytes | None) -> None:
        place = self._folder / path
        self.written[path] = data
        if data is None:
            if not place.exists():
                return
            place.unlink()
            while not any(place.parent.iterdir()) and place.parent != self._folder:
                place = place.parent
                place.rmdir()
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def digest(self, path: str) -> str | None:
        place = self._folder / path
        return content_digest(place.read_bytes()) if place.is_file() else None

    @property
    def files(self) -> Files:
        return files_in(self._folder)

    async def look(self, tool: str, arguments: dict[str, Any]) -> tuple[str, str]:
        """The text, and the digest of what it gives."""
        if tool == FILE_STATE:
            digest = self.digest(arguments["path"])
            return "", outcome_digest(ToolResult(text="", data={"digest": digest}))
        if tool == FILE_TREE:
            return "", outcome_digest(await self._tree.run({}))
        try:
            result = await self.looks[tool].run(arguments)
        except ToolFailed as error:
            return f"Error: {error.message}", outcome_digest(error)
        except ToolDenied as error:
            return f"Denied: {error.message}", outcome_digest(error)
        return result.text, outcome_digest(result)

    async def edit(self, tool: str, arguments: dict[str, Any]) -> tuple[str, Any, Change | None]:
        """Make an edit: the text, the data, and what changed."""
        try:
            plan = await self.edits[tool].plan(arguments)
        except ToolFailed as error:
            return f"Error: {error.message}", None, None
        if plan.before == plan.after:
            return plan.result.text, plan.result.data, None
        assert plan.after is not None
        before = None if plan.before is None else content_digest(plan.before)
        self.write(plan.path, plan.after)
        change = Change(path=plan.path, before=before, after=content_digest(plan.after))
        return plan.result.text, plan.result.data, change


@contextmanager
def replica(files: Files) -> Iterator[Replica]:
    within = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="vibe-test-", dir=within) as folder:
        yield Replica(Path(folder), files)
