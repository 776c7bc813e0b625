"""glob: paths of files by pattern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from ...errors import ToolDenied, ToolFailed
from ...model import JSON, ToolSpec
from ...ports import Footprint, ToolResult
from .arguments import parameters_of, parse
from .footprints import footprint_of
from .render import capped
from .walk import find_files
from .workspace import Workspace, visible

MAX_PATHS = 10_000

_PATHS_PER_MATCH = 10_000


class GlobArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pattern: Annotated[str, Meta(description="Relative to `path`. `*` stays within a folder, `**` crosses folders.")]
    path: Annotated[str, Meta(description="Folder to search, relative to the project root.")] = "."


class Glob:
    spec = ToolSpec(
        name="glob",
        description=(
            "Find files of the project by name, such as `**/*.py` or `src/*/index.ts`; paths come back relative to "
            "the project root, sorted. What .gitignore excludes is left out, unless `path` lies in an excluded folder."
        ),
        parameters=parameters_of(GlobArguments),
        version=1,
    )
    group = "read"
    observes = True

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return footprint_of(self._workspace, self.spec.name, GlobArguments, arguments, deep=True)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {paths, truncated}: at most MAX_PATHS paths."""
        wanted = parse(self.spec.name, GlobArguments, arguments)
        if wanted.pattern.startswith("/") or ".." in wanted.pattern.split("/"):
            raise ToolDenied(f"{visible(wanted.pattern)}: a pattern is relative to `path` and has no `..`")
        folder = self._workspace.locate(wanted.path)
        found = await find_files(self._workspace, folder, links=True)
        prefix = "/".join(folder.parts) + "/" if folder.parts else ""
        below = [path[len(prefix) :] for path in found]
        paths = [prefix + path for path in await matching(self._workspace, wanted.pattern.removeprefix("./"), below)]
        kept = paths[:MAX_PATHS]
        return ToolResult(
            text=_text(wanted, kept, truncated=len(paths) > len(kept)),
            data={"paths": list(kept), "truncated": len(paths) > len(kept)},
        )


async def matching(workspace: Workspace, pattern: str, paths: list[str]) -> list[str]:
    """The paths that a glob matches, evaluated by the checker. Raises ToolFailed for a malformed or endless one."""
    matched: list[str] = []
    try:
        for start in range(0, len(paths), _PATHS_PER_MATCH):
            matched += await workspace.checker.match_paths(pattern, paths[start : start + _PATHS_PER_MATCH])
    except ValueError as error:
        raise ToolFailed(f"glob pattern `{visible(pattern)}`: {error}") from error
    return matched


def _text(wanted: GlobArguments, paths: list[str], *, truncated: bool) -> str:
    if not paths:
        hint = "" if "/" in wanted.pattern else f"; `**/{visible(wanted.pattern)}` looks in all folders"
        return f"no file matches `{visible(wanted.pattern)}` in {visible(wanted.path)}{hint}"

    def note(shown: int) -> str:
        return f"[{shown:,} of {len(paths):,}{' or more' if truncated else ''} shown: narrow the pattern, or give path]"

    return capped([visible(path) for path in paths], note, more=truncated)
