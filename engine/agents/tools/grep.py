"""grep: lines of files by regular expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
import trio
from msgspec import UNSET, Meta, Struct, UnsetType

from ...errors import ToolDenied, ToolFailed
from ...model import JSON, ToolSpec
from ...ports import CommandRunner, Footprint, ToolResult
from .arguments import parameters_of, parse
from .footprints import footprint_of
from .glob import matching
from .literals import holds_one, required_literals
from .render import capped, clip
from .ripgrep import Ripgrep
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

    def __init__(self, workspace: Workspace, commands: CommandRunner) -> None:
        self._workspace = workspace
        self._ripgrep = Ripgrep(commands)
        self._slots = trio.Semaphore(_BATCHES_AT_ONCE)

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return footprint_of(self._workspace, self.spec.name, GrepArguments, arguments, deep=True)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {matches: [{path, line, text}], truncated}, by path and line; very long lines are clipped."""
        wanted = parse(self.spec.name, GrepArguments, arguments)
        files = await self._files(wanted)
        literals = required_literals(wanted.pattern, ignore_case=wanted.ignore_case)
        if literals:
            await self._search(wanted, [("", "")], 1)  # a pattern that is wrong is so in a project without a match, too
            over = self._workspace.overlaid  # what ripgrep finds on the disk says nothing of these
            files = await self._ripgrep.narrow(files, literals, ignore_case=wanted.ignore_case, keep=over)
        found = await self._matches(wanted, files, [literal.encode() for literal in literals])
        kept = found[: wanted.limit]
        truncated = len(found) > len(kept)
        return ToolResult(text=_text(wanted, kept, truncated=truncated), data=_data(kept, truncated=truncated))

    async def _files(self, wanted: GrepArguments) -> Sequence[str]:
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

    async def _matches(self, wanted: GrepArguments, files: Sequence[str], literals: Sequence[bytes]) -> list[_Match]:
        """The matches in order; one more than the limit where there are more."""
        left = iter(files)
        found: list[_Match] = []
        while len(found) <= wanted.limit:
            async with self._slots:
                batch = await self._batch(wanted, left, literals)
                if not batch:
                    break
                found += await self._search(wanted, batch, wanted.limit + 1 - len(found))
        return found

    async def _batch(
        self, wanted: GrepArguments, files: Iterator[str], literals: Sequence[bytes]
    ) -> list[tuple[str, str]]:
        """The next texts that hold one of the literals, if there are any; empty only at the end of `files`."""
        batch: list[tuple[str, str]] = []
        size = 0
        for number, path in enumerate(files, 1):
            data = await self._searchable(path)
            text = None
            if data and (not literals or holds_one(data, literals, ignore_case=wanted.ignore_case)):
                text = as_text(data)
            if text:
                batch.append((path, text))
                size += len(text.encode())
            if len(batch) == _BATCH_FILES or size > _BATCH_BYTES - MAX_FILE_BYTES:
                break
            if number % _FILES_PER_CHECKPOINT == 0:
                await trio.lowlevel.checkpoint()
        return batch

    async def _searchable(self, path: str) -> bytes | None:
        """Contents of a file that a walk found, or None where it is left out: secret, large, or gone since."""
        parts = tuple(path.split("/"))
        if refusal(parts) is not None:
            return None
        try:
            return await self._workspace.read_small(Place(path=path, parts=parts), limit=MAX_FILE_BYTES)
        except ToolDenied:
            return None  # no regular file any more
        except ToolFailed as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return None
            raise

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
