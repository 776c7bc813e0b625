"""git_diff: what changed since a commit, without secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from ...errors import ToolFailed
from ...model import JSON, ToolSpec
from ...ports import CommandRunner, Footprint, ToolResult
from .arguments import parameters_of, parse
from .footprints import footprint_of
from .render import capped, clip
from .secrets import is_temporary, refusal
from .workspace import Workspace, visible

if TYPE_CHECKING:
    from ...git import Change

MAX_FILES = 2_000
MAX_DIFF_BYTES = 1024 * 1024

_LISTED = 200
_LINES_OF_ONE_FILE = 300  # for the model, where several files changed: a lock file must not fill all there is


class GitDiffArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    base: Annotated[str, Meta(description="Commit, branch or tag to compare with.")] = "HEAD"
    path: Annotated[str, Meta(description="Only this file or folder, relative to the project root.")] = "."
    staged: Annotated[bool, Meta(description="Only what is staged, instead of the files as they are.")] = False
    merge_base: Annotated[bool, Meta(description="Compare with where HEAD left `base`: all of a branch's work.")] = (
        False
    )


class GitDiff:
    spec = ToolSpec(
        name="git_diff",
        description=(
            "What changed in the project since a commit: files with their status and counts of lines, and the changes "
            "as a unified diff. By default all that is not committed yet, staged or not; new files that git does not "
            "track are named only (read_file shows them). Secrets are left out."
        ),
        parameters=parameters_of(GitDiffArguments),
        version=1,
    )
    group = "read"
    observes = True

    def __init__(self, workspace: Workspace, commands: CommandRunner) -> None:
        self._workspace = workspace
        self._commands = commands

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return footprint_of(self._workspace, self.spec.name, GitDiffArguments, arguments, deep=True)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        """Data: {files: [{path, old_path, status, added, deleted}], diff, left_out: [path], truncated}.

        At most MAX_FILES files and MAX_DIFF_BYTES of diff, cut at a line. `left_out` are changed files that no tool
        reads. `added` and `deleted` are null for binary and untracked files, `old_path` for all but renamed ones.
        """
        from ...git import Git, Query  # most runs are answered from the store, and ask git nothing

        wanted = parse(self.spec.name, GitDiffArguments, arguments)
        place = self._workspace.locate(wanted.path)
        found = await Git(self._commands, self._workspace.root).difference(
            Query(base=wanted.base, path=place.path, staged=wanted.staged, merge_base=wanted.merge_base),
            over=self._workspace.overlaid,
        )
        if not found.changes and not (self._workspace.is_file(place) or self._workspace.is_folder(place)):
            raise ToolFailed(f"{visible(place.path)}: no such file or folder, and no change of one")
        changes = [change for change in found.changes if not is_temporary(change.path.rpartition("/")[2])]
        shown = [change for change in changes if not _is_secret(change)]
        left_out = [change.path for change in changes if _is_secret(change)]
        return _result(wanted, shown, left_out, complete=found.complete)


def _is_secret(change: Change) -> bool:
    return any(refusal(path.split("/")) is not None for path in (change.path, change.old_path) if path)


def _result(
    wanted: GitDiffArguments, shown: Sequence[Change], left_out: Sequence[str], *, complete: bool
) -> ToolResult:
    kept = shown[:MAX_FILES]
    texts, whole = _fitting([change.text for change in kept])
    truncated = not (complete and whole and len(kept) == len(shown) and len(left_out) <= MAX_FILES)
    files: list[JSON] = [
        {
            "path": change.path,
            "old_path": change.old_path or None,
            "status": change.kind.value,
            "added": change.added,
            "deleted": change.deleted,
        }
        for change in kept
    ]
    return ToolResult(
        text=_text(wanted, kept, texts, left_out[:MAX_FILES], truncated=truncated),
        data={
            "files": files,
            "diff": "".join(text + "\n" for text in texts if text),
            "left_out": list(left_out[:MAX_FILES]),
            "truncated": truncated,
        },
    )


def _fitting(texts: Sequence[str]) -> tuple[list[str], bool]:
    """The texts up to MAX_DIFF_BYTES, the last one cut at a line; and whether that is all."""
    left = MAX_DIFF_BYTES
    kept: list[str] = []
    for text in texts:
        size = len(text.encode()) + 1
        if size > left:
            head = text.encode()[:left].rpartition(b"\n")[0].decode()
            return [*kept, head, *[""] * (len(texts) - len(kept) - 1)], False
        kept.append(text)
        left -= size
    return kept, True


def _text(
    wanted: GitDiffArguments,
    changes: Sequence[Change],
    texts: Sequence[str],
    left_out: Sequence[str],
    *,
    truncated: bool,
) -> str:
    since = f"{'staged ' if wanted.staged else ''}since {'the parting from ' if wanted.merge_base else ''}{wanted.base}"
    where = "" if wanted.path == "." else f" in {visible(wanted.path)}"
    if not changes and not left_out:
        return f"no change {since}{where}"
    files = "1 file" if len(changes) == 1 else f"{len(changes):,}{' or more' if truncated else ''} files"
    lines = [f"{files} changed {since}{where}:"]
    lines += [_line(change) for change in changes[:_LISTED]]
    if len(changes) > _LISTED:
        lines.append(f"[{len(changes) - _LISTED:,} more files: narrow with path]")
    if left_out:
        names = ", ".join(visible(path) for path in left_out[:_LISTED])
        lines.append(f"changed, but not shown, since they look like secrets: {names}")
    for change, text in zip(changes, texts, strict=True):
        if text:
            lines += ["", *_clipped(change, text.split("\n"), alone=len(changes) == 1)]

    def note(_shown: int) -> str:
        return "[cut here: name a file or folder with path to see the rest]"

    return capped(lines, note, more=truncated)


def _line(change: Change) -> str:
    counts = "" if change.added is None else f" +{change.added:,} -{change.deleted or 0:,}"
    source = f" from {visible(change.old_path)}" if change.old_path else ""
    new = " (new, not added to git: read_file shows it)" if change.is_untracked else ""
    return f"{change.kind.value.replace('_', ' ')}{counts} {visible(change.path)}{source}{new}"


def _clipped(change: Change, lines: Sequence[str], *, alone: bool) -> list[str]:
    clipped = [clip(line.removesuffix("\r")) for line in lines]
    if alone or len(clipped) <= _LINES_OF_ONE_FILE:
        return clipped
    left = len(clipped) - _LINES_OF_ONE_FILE
    return [*clipped[:_LINES_OF_ONE_FILE], f"[{left:,} more lines: git_diff with path {visible(change.path)}]"]
