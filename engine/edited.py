"""The files that a step of a past run edited, and how."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from .model import FILE_STATE, Change, Observation, Step, StepStatus
from .observe import file_observation
from .ports import StoreReader
from .text_diff import MOST_CHARS, MOST_LINES, TextDiff, text_diff


class EditedFile(Struct, frozen=True, kw_only=True):
    """From before the first edit of a step to after its last one. `diff` is None where that cannot be told."""

    path: str
    created: bool
    diff: TextDiff | None


class Landed(StrEnum):
    """What became of a file that was changed in a worktree."""

    AS_IT_IS = "as_it_is"  # the project has what was made of it
    MERGED = "merged"  # together with what others had changed in it
    THERE_ALREADY = "there_already"
    NOT = "not"


class WorktreeFile(EditedFile, frozen=True, kw_only=True):
    """As it was in the snapshot, and as the step left it in its worktree."""

    landed: Landed


def edited_files(reader: StoreReader, step: Step) -> list[EditedFile]:
    """In the order of their first edits."""
    changes = [seen.edit.change for seen in seen_by(reader, step) if seen.edit is not None]
    return [
        EditedFile(path=change.path, created=change.before is None, diff=_diff(reader, change))
        for change in _net(changes)
    ]


def worktree_files(reader: StoreReader, step: Step) -> list[WorktreeFile]:
    """The files that a step changed in its worktree, in the order of their first changes."""
    observations = seen_by(reader, step)
    return [
        WorktreeFile(
            path=change.path,
            created=change.before is None,
            diff=_diff(reader, change),
            landed=_landed(change, observations, completed=step.status is StepStatus.COMPLETED),
        )
        for change in _net([seen.change for seen in observations if seen.aside and seen.change is not None])
        if change.before != change.after
    ]


def _net(changes: Sequence[Change]) -> list[Change]:
    """One of each file: from before its first change to after its last one."""
    first = {change.path: change.before for change in reversed(changes)}
    last = {change.path: change.after for change in changes}
    return [Change(path=path, before=first[path], after=after) for path, after in last.items()]


def _landed(change: Change, observations: Sequence[Observation], *, completed: bool) -> Landed:
    looks = [seen for seen in observations if not seen.aside and seen.tool == FILE_STATE]
    edit = next((seen.edit.change for seen in looks if seen.edit and seen.edit.change.path == change.path), None)
    if edit is not None:
        return Landed.AS_IT_IS if edit.after == change.after else Landed.MERGED
    there = file_observation(change.path, change.after)
    is_there = any((seen.arguments, seen.digest) == (there.arguments, there.digest) for seen in looks)
    return Landed.THERE_ALREADY if completed and is_there else Landed.NOT


def _diff(reader: StoreReader, change: Change) -> TextDiff | None:
    return contents_diff(reader, change.before, change.after)


def seen_by(reader: StoreReader, step: Step) -> Sequence[Observation]:
    """All that a step saw and did, whether it came to an answer or not."""
    if step.status is StepStatus.COMPLETED:
        return step.observations
    return [seen for call in reader.tool_calls(step.id) for seen in call.observations]


def contents_diff(reader: StoreReader, before: str | None, after: str | None) -> TextDiff | None:
    """How two contents of a file differ, by their digests (None: no file).

    None where one of them is not kept, or is no text.
    """
    old, new = _text(reader, before), _text(reader, after)
    if old is None or new is None:
        return None
    if old.endswith("\n") and new.endswith("\n"):
        old, new = old[:-1], new[:-1]
    if before is None or after is None:
        return _whole(new, "+") if before is None else _whole(old, "-")
    return text_diff(old, new)


def _whole(text: str, mark: str) -> TextDiff:
    lines = text.removesuffix("\n").split("\n") if text else []
    shown = tuple(mark + line[:MOST_CHARS] for line in lines[:MOST_LINES])
    return TextDiff(lines=shown, cut=len(lines) > MOST_LINES)


def _text(reader: StoreReader, digest: str | None) -> str | None:
    data = b"" if digest is None else reader.contents(digest)
    if data is None or b"\0" in data:
        return None
    return data.decode("utf-8", "replace")
