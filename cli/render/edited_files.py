"""The files that a step edited, in the project or in a worktree, each with what became of it and a diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vibe_workflows.engine.edited import EditedFile, Landed, WorktreeFile

from .diffs import diff_lines
from .sanitize import one_line

_BECAME = {
    Landed.AS_IT_IS: "merged",
    Landed.MERGED: "merged with what others had changed",
    Landed.THERE_ALREADY: "as the project had it by then",
    Landed.NOT: "not merged",
}


def file_parts(
    worktree: Sequence[WorktreeFile], edited: Sequence[EditedFile], merge: object, *, colour: bool
) -> Iterator[tuple[str, list[str]]]:
    """A title and lines for each. What lies in the project as a worktree had it is shown once. `merge`: of the spec."""
    for file in worktree:
        left = file.landed is Landed.NOT and merge == "manual"
        yield (
            f"{_did(file)} in its worktree, {'for the script to merge' if left else _BECAME[file.landed]}",
            _lines(file, colour=colour),
        )
    shown = {file.path for file in worktree if file.landed is Landed.AS_IT_IS}
    for edit in edited:
        if edit.path not in shown:
            yield _did(edit), _lines(edit, colour=colour)


def _did(file: EditedFile) -> str:
    return f"{'created' if file.created else 'edited'} {one_line(file.path)}"


def _lines(file: EditedFile, *, colour: bool) -> list[str]:
    return ["  no text, or not kept"] if file.diff is None else diff_lines(file.diff, colour=colour)
