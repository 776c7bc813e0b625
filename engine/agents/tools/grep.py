"""grep: lines of files by regular expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
import trio
from msgspec import UNSET, Meta, Struct, UnsetType

from ...errors import ToolDenied, ToolFailed
from ...model import JSON, ToolSpec
from ...ports import ToolResult
from .arguments import parameters_of, parse
from .glob import matching
from .render import capped, clip
from .secrets import refusal
from .walk import find_files
from .workspace import Place, Workspace, as_text, visible

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_MATCHES = 5_000

_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_FILES = 500
_BATCHES_AT_ONCE = 4  # over all calls, since each batch is held in memory twice
_FILES_PER_CHECKPOINT = 256
_SHOWN_CHARS = 300


_FileGlob = Annotated[str, Meta(description="Only files that match, such as `*.py` (in any folder) or `src/**/*.ts`.")]


class GrepArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pattern: Annotated[str, Meta(description="Regular expression (Python's), searched in each line.")]
    path: Annotated[str, Meta(description="Folder or file to search, relative to the project root.")] = "."
    glob: _FileGlob | UnsetType = UNSET
    ignore_case: bool = False
    limit: Annotated[int, Meta(ge=1, le=MAX_MATCHES, description="Matching lines to return at most.")] = 200


class _Match(Struct, frozen=True, kw_only=True):
    path: str
    line: int
    text: str


class Grep:
    spec = ToolSpec(
        name="grep",
        description=(
            "Search the lines of the project's text files by regular expression. What .gitignore excludes (unless "
            "`path` lies in an excluded folder), binary files, files over 2 MB and secrets are not searched."
        ),
        parameters=parameters_of(GrepArguments),
        version=1,
    )
    group = "read"
    observes = True

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._slots = trio.Semaphore(_BATCHES_AT_ONCE)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {matches: [{path, line, text}], truncated}, by path and line; very long lines are clipped."""
        wanted = parse(self.spec.name, GrepArguments, arguments)
        found = await self._matches(wanted, await self._files(wanted))
        kept = found[: wanted.limit]
        truncated = len(found) > len(kept)
        return ToolResult(text=_text(wanted, kept, truncated=truncated), data=_data(kept, truncated=truncated))

    async def _files(self, wanted: GrepArguments) -> list[str]:
        """Real paths of what to search. A single file that cannot be searched is an error, in a folder it is not."""
        place = self._workspace.locate(wanted.path)
        if not self._workspace.is_folder(place):
            await self._workspace.read_text(place, limit=MAX_FILE_BYTES)
            return [place.real_path]
        files = await find_files(self._workspace, place)
        if isinstance(wanted.glob, UnsetType):
            return files
        glob = wanted.glob if "/" in wanted.glob else f"**/{wanted.glob}"
        prefix = "/".join(place.parts) + "/" if place.parts else ""
        below = [path[len(prefix) :] for path in files]
        return [prefix + path for path in await matching(self._workspace, glob.removeprefix("./"), below)]

    async def _matches(self, wanted: GrepArguments, files: Sequence[str]) -> list[_Match]:
        """The matches in order; one more than the limit where there are more."""
        left = iter(files)
        found: list[_Match] = []
        while len(found) <= wanted.limit:
            async with self._slots:
                batch = await self._batch(left)
                if not batch:
                    break
                found += await self._search(wanted, batch, wanted.limit + 1 - len(found))
        return found

    async def _batch(self, files: Iterator[str]) -> list[tuple[str, str]]:
        """The next texts to search, empty only at the end of `files`."""
        batch: list[tuple[str, str]] = []
        size = 0
        for number, path in enumerate(files, 1):
            text = await self._searchable(path)
            if text:
                batch.append((path, text))
                size += len(text.encode())
            if len(batch) == _BATCH_FILES or size > _BATCH_BYTES - MAX_FILE_BYTES:
                break
            if number % _FILES_PER_CHECKPOINT == 0:
                await trio.lowlevel.checkpoint()
        return batch

    async def _searchable(self, path: str) -> str | None:
        """Text of a file that a walk found, or None where it is left out: secret, binary, large, or gone since."""
        parts = tuple(path.split("/"))
        if refusal(parts) is not None:
            return None
        try:
            data = await self._workspace.read_small(Place(path=path, parts=parts), limit=MAX_FILE_BYTES)
        except ToolDenied:
            return None  # no regular file any more
        except ToolFailed as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return None
            raise
        return as_text(data) if data is not None else None

    async def _search(self, wanted: GrepArguments, batch: list[tuple[str, str]], limit: int) -> list[_Match]:
        try:
            hits = await self._workspace.checker.search(
                wanted.pattern, batch, ignore_case=wanted.ignore_case, limit=limit
            )
        except ValueError as error:
            raise ToolFailed(f"pattern `{visible(wanted.pattern)}`: {error}") from error
        return [_Match(path=path, line=line, text=clip(text.removesuffix("\r"))) for path, line, text in hits]


def _data(matches: Sequence[_Match], *, truncated: bool) -> JSON:
    held: list[JSON] = [{"path": match.path, "line": match.line, "text": match.text} for match in matches]
    return {"matches": held, "truncated": truncated}


def _text(wanted: GrepArguments, matches: Sequence[_Match], *, truncated: bool) -> str:
    if not matches:
        return f"no line matches `{visible(wanted.pattern)}` in {visible(wanted.path)}"

    def note(shown: int) -> str:
        return (
            f"[{shown:,} of {len(matches):,}{' or more' if truncated else ''} matches shown: "
            "narrow the pattern, or give path or glob]"
        )

    lines = [f"{visible(match.path)}:{match.line}: {clip(match.text, _SHOWN_CHARS)}" for match in matches]
    return capped(lines, note, more=truncated)
