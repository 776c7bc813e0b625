"""file_tree: the look at all files of the project. No model and no script can ask for it; commands observe it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping

from ...errors import ToolFailed
from ...model import FILE_TREE, JSON, ToolSpec
from ...ports import Footprint, ToolResult


class FileTree:
    spec = ToolSpec(
        name=FILE_TREE,
        description="The digest of all files of the project that git does not ignore.",
        parameters={"type": "object", "properties": {}, "required": []},
        version=1,
    )
    group = "read"
    observes = True

    def __init__(
        self,
        digest: Callable[[Mapping[str, bytes | None]], Awaitable[str]],
        over: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """`digest` is that of a `ProjectTree`; `over` makes it a look at a view."""
        self._digest = digest
        self._over = over or {}

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint:
        """All of the project."""
        return Footprint(path="", deep=True)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {digest}. Where the tree cannot be told, one that never comes again, so that nothing holds by it."""
        try:
            digest = await self._digest(self._over)
        except ToolFailed as error:
            return ToolResult(text=error.message, data={"digest": f"unknown-{secrets.token_hex(16)}"})
        return ToolResult(text=digest, data={"digest": digest})
