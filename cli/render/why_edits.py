"""What edits had to do with a decision about reuse, as text."""

from __future__ import annotations

from collections.abc import Sequence

from vibe_workflows.engine.model import Change
from vibe_workflows.engine.why import StoredAnswer
from vibe_workflows.engine.why_edits import Attempted, EditInTheWay

from .faults import LONGEST_ERROR, fault_line
from .happenings import named
from .sanitize import one_line
from .words import status_word


def edits_line(answer: StoredAnswer) -> list[str]:
    """What a stored answer edited, and how that came to be on the disk."""
    if not answer.edits:
        return []
    files = edited_files(answer.edits)
    if answer.applied:
        return [f"Its edits were made again: {files}."]
    return [f"It edited {files}, and what it left there is in place: nothing was edited again."]


def edited_files(changes: Sequence[Change]) -> str:
    return named([change.path for change in changes])


def in_the_way_sentence(edit: EditInTheWay) -> str:
    who = f"{one_line(edit.step)} of run {one_line(edit.run)}"
    path = one_line(edit.path)
    if (adopted := edit.adopted) is not None:
        taken = f"#{adopted.number} {one_line(adopted.label, 80)} came before it and ran on the file as it lay"
        undo = f" `vibe undo {one_line(adopted.run)}` before that run would have spared it." if adopted.run else ""
        return f"It ran, because {who} had edited {path} before, and {taken}.{undo}"
    if edit.later is not None:
        later = f"{one_line(edit.later.label or edit.later.step, 80)} of run {one_line(edit.later.run)}"
        return f"It ran, because {path} is no longer as {who} left it: {later} edited it since."
    if edit.same is False:
        return f"It ran, because {path} is no longer as {who} left it: it was edited by hand."
    return f"It ran, because what {who} had edited in {path} counted as it lay, as it does after --accept."


def attempted_line(earlier: Attempted) -> str:
    ended = status_word(earlier.status.value)
    if earlier.fault is not None:
        ended += f", {one_line(fault_line(earlier.fault), LONGEST_ERROR)}"
    files = f" What that edited ({named(earlier.paths)}) counts as its own work." if earlier.paths else ""
    return f"It is another attempt after {one_line(earlier.step)} of run {one_line(earlier.run)} ({ended}).{files}"
