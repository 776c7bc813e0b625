"""The files that a step of a past run edited, and how."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from .model import Observation, Step, StepStatus
from .ports import StoreReader
from .text_diff import MOST_CHARS, MOST_LINES, TextDiff, text_diff


class EditedFile(Struct, frozen=True, kw_only=True):
    """From before the first edit of a step to after its last one. `diff` is None where that cannot be told."""

    path: str
    created: bool
    diff: TextDiff | None


def edited_files(reader: StoreReader, step: Step) -> list[EditedFile]:
    """In the order of their first edits."""
    changes = [seen.edit.change for seen in seen_by(reader, step) if seen.edit is not None]
    first = {change.path: change.before for change in reversed(changes)}
    last = {change.path: change.after for change in changes}
    return [
        EditedFile(path=path, created=first[path] is None, diff=contents_diff(reader, first[path], last[path]))
        for path in dict.fromkeys(change.path for change in changes)
    ]


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
