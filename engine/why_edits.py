"""What edits of files had to do with a decision about reuse: from what the store holds, as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from .edited import contents_diff, seen_by
from .events import EditsAdopted
from .model import Cause, Change, Edit, Fault, Grounds, Observation, Run, RunId, Step, StepId, StepStatus
from .ports import FileChange, StoreReader
from .text_diff import TextDiff


class Attempted(Struct, frozen=True, kw_only=True):
    """An earlier attempt at the same spec, whose edits are this step's own."""

    step: StepId
    run: RunId
    status: StepStatus
    fault: Fault | None
    paths: tuple[str, ...]


class LaterEdit(Struct, frozen=True, kw_only=True):
    step: StepId
    run: RunId
    label: str


class EditInTheWay(Struct, frozen=True, kw_only=True):
    """A file that a stored step edited, and that did not count as it left it.

    `adopted`: the run took the edit for plain contents before this step came. `diff`: from what that step left to what
    lay there; None where one of the two is not kept or no text.
    """

    step: StepId
    run: RunId
    path: str
    adopted: EditsAdopted | None
    later: LaterEdit | None
    same: bool | None  # whether the file was found as that step left it; None: nobody looked
    diff: TextDiff | None


def edits_in(observations: Sequence[Observation]) -> tuple[Change, ...]:
    return tuple(seen.edit.change for seen in observations if seen.edit is not None)


def attempted(reader: StoreReader, step: Step) -> Attempted | None:
    earlier = None if step.attempt_after is None else reader.step(step.attempt_after)
    if earlier is None:
        return None
    made = [seen for call in reader.tool_calls(earlier.id) for seen in call.observations]
    paths = dict.fromkeys(change.path for change in edits_in(made))
    return Attempted(
        step=earlier.id, run=earlier.run_id, status=earlier.status, fault=earlier.fault, paths=tuple(paths)
    )


def edit_in_the_way(reader: StoreReader, run: Run, asked: Step, number: int, grounds: Grounds) -> EditInTheWay | None:
    """`number` is the call of the step `asked`."""
    path = grounds.path
    stored = None if grounds.step is None else reader.step(grounds.step)
    if grounds.cause is not Cause.EDITED_SINCE or path is None or stored is None:
        return None
    left = _edit_of(reversed(seen_by(reader, stored)), path)
    found = _edit_of(seen_by(reader, asked), path)
    later = None if left is None else _later(reader, left, asked)
    there = found.change if found is not None else None if later is None else later.change
    same, diff = None, None
    if left is not None and there is not None:
        same = left.change.after == there.before
        diff = contents_diff(reader, left.change.after, there.before)
    return EditInTheWay(
        step=stored.id,
        run=stored.run_id,
        path=path,
        adopted=_adoption(reader, run.id, path, number) if later is None or later.run_id == run.id else None,
        later=None if later is None else _name(reader, later),
        same=same,
        diff=diff,
    )


def changed_file(reader: StoreReader, asked: Step, look: Observation) -> TextDiff | None:
    """From what an edit of a stored step was about to replace to what the same edit found now."""
    if look.change is None:
        return None
    found = _edit_of(seen_by(reader, asked), look.change.path)
    return None if found is None else contents_diff(reader, look.change.before, found.change.before)


def _edit_of(seen: Iterable[Observation], path: str) -> Edit | None:
    """The first edit of this file."""
    edits = (each.edit for each in seen)
    return next((edit for edit in edits if edit is not None and edit.change.path == path), None)


def _later(reader: StoreReader, left: Edit, asked: Step) -> FileChange | None:
    """The edit of another step that came right on top of it."""
    above = [entry for entry in reader.chains([left.change.path]) if entry.epoch > left.epoch]
    first = next((entry for entry in above if entry.change.before == left.change.after), None)
    return None if first is None or first.step_id == asked.id else first


def _name(reader: StoreReader, entry: FileChange) -> LaterEdit:
    delivery = reader.latest_delivery(entry.step_id, entry.run_id)
    return LaterEdit(step=entry.step_id, run=entry.run_id, label="" if delivery is None else delivery.label)


def _adoption(reader: StoreReader, run: RunId, path: str, number: int) -> EditsAdopted | None:
    """Through another call than that of `number`, and before the script had ended."""
    adoptions = (event for _, event in reader.events(run) if isinstance(event, EditsAdopted) and path in event.paths)
    return next((event for event in adoptions if event.number not in (0, number)), None)
