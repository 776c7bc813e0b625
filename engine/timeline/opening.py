"""How a run finds the project: edits that an earlier process left half done are settled, own edits are known."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from ..errors import ToolDenied, ToolFailed
from ..events import ScriptRestarted
from ..journal import Journal
from ..model import RunId
from ..observe import Replayer
from ..ports import FileChange, OwnStep, ProjectFiles, Store, StoreReader, Withdrawn
from .epochs import Epochs
from .own_edits import OwnEdits
from .project import Project
from .timeline import Timeline


class Opened(Struct, frozen=True, kw_only=True):
    project: Project
    own_steps: tuple[OwnStep, ...]


async def open_project(
    *,
    run_id: RunId,
    store: Store,
    files: ProjectFiles,
    replayer: Replayer,
    journal: Journal,
    wall_clock: Callable[[], float],
    own_steps: Callable[[StoreReader], list[OwnStep]],
    may_edit: bool,
    start_over: Callable[[ScriptRestarted], None],
    rehearsed: bool = False,
) -> Opened:
    """The project for one run. `own_steps` reads whose edits are the workflow's own.

    `may_edit`: whether this run may make an edit that an earlier one began. Raises StoreError.
    """
    reader = store.reader
    if store.reusable and not rehearsed:  # a store of unknown origin could hold edits that nobody here began
        await _settle(reader, files, journal, may_edit=may_edit)
    own = tuple(own_steps(reader)) if store.reusable else ()
    edits = {step.id: step.edits for step in own}
    present = {path: await files.digest(path) for path in {edit.change.path for step in own for edit in step.edits}}
    project = Project(
        run_id=run_id,
        timeline=Timeline(OwnEdits(edits, present), replayer),
        epochs=Epochs(wall_clock, reader.latest_epoch()),
        files=files,
        contents=reader.contents,
        journal=journal,
        start_over=start_over,
        own_steps=own,
        rehearsed=rehearsed,
    )
    return Opened(project=project, own_steps=own)


async def _settle(reader: StoreReader, files: ProjectFiles, journal: Journal, *, may_edit: bool) -> None:
    """Compare edits that a process died over with the disk: each was made, is made now, or never was."""
    entries = reader.unsettled_changes()
    if not entries:
        return
    done: list[FileChange] = []
    lost: list[int] = []
    for entry in entries:
        if await _is_made(entry, reader, files, may_edit=may_edit):
            done.append(replace(entry, done=True))
        else:
            lost.append(entry.epoch)
    files.clear_leftovers({entry.change.path for entry in entries})
    await journal.commit([*done, Withdrawn(epochs=tuple(lost))] if lost else done, [])


async def _is_made(entry: FileChange, reader: StoreReader, files: ProjectFiles, *, may_edit: bool) -> bool:
    change = entry.change
    try:
        present = await files.digest(change.path)
        if present == change.after:
            return True
        if present != change.before or not may_edit:
            return False
        before, after = (None if digest is None else reader.contents(digest) for digest in (present, change.after))
        if (present is None) is not (before is None) or (change.after is None) is not (after is None):
            return False  # contents that are not kept any more
        await files.write(change.path, before, after)
    except (ToolFailed, ToolDenied):
        return False
    return True
