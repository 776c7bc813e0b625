"""How a run finds the project: edits that an earlier process left half done are settled, own edits are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..errors import ToolDenied, ToolFailed
from ..events import ScriptRestarted
from ..journal import Journal
from ..model import RunId
from ..observe import Replayer
from ..ports import FileChange, OwnStep, ProjectFiles, Store, StoreReader, Withdrawn
from .epochs import Epochs
from .kept import kept_contents
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
    paths = dict.fromkeys(entry.change.path for entry in entries)
    made = {epoch for path in paths for epoch in await _made(path, entries, files)}
    for entry in entries:
        if entry.epoch not in made and may_edit and await _make(entry, reader, files):
            made.add(entry.epoch)
    files.clear_leftovers(paths)
    done = [replace(entry, done=True) for entry in entries if entry.epoch in made]
    lost = tuple(entry.epoch for entry in entries if entry.epoch not in made)
    await journal.commit([*done, Withdrawn(epochs=lost)] if lost else done, [])


async def _made(path: str, entries: Sequence[FileChange], files: ProjectFiles) -> list[int]:
    """The epochs of the edits of a file that lead to what lies there: of several, it shows the last one."""
    made: list[int] = []
    contents = await files.digest(path)
    for entry in reversed(entries):
        if entry.change.path == path and entry.change.after == contents:
            made.append(entry.epoch)
            contents = entry.change.before
    return made


async def _make(entry: FileChange, reader: StoreReader, files: ProjectFiles) -> bool:
    """Whether the file is as the edit found it, so that it could be made."""
    change = entry.change
    if await files.digest(change.path) != change.before:
        return False
    try:
        before, after = (kept_contents(reader.contents, side) for side in (change.before, change.after))
        await files.write(change.path, before, after)
    except (ToolFailed, ToolDenied):
        return False
    return True
