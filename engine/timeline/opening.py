"""How a run finds the project: edits that an earlier process left half done are settled, own edits are known."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..errors import ToolFailed
from ..events import ScriptRestarted
from ..journal import Journal
from ..model import RunId
from ..observe import Replayer
from ..ports import FileChange, OwnStep, ProjectFiles, Store, StoreReader, Tool, Withdrawn, Workbench
from .disk import is_written
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
    bench: Workbench | None = None,
    tree: Tool | None = None,
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
        bench=bench,
        tree=tree,
    )
    return Opened(project=project, own_steps=own)


async def _settle(reader: StoreReader, files: ProjectFiles, journal: Journal, *, may_edit: bool) -> None:
    """Compare edits that a process died over with the disk: each was made, is made now, or never was.

    So do those that were to be made together, all of them.
    """
    together = reader.unsettled_changes()
    if not together:
        return
    entries = sorted((entry for group in together for entry in group), key=lambda entry: entry.epoch)
    paths = dict.fromkeys(entry.change.path for entry in entries)
    made = {epoch for path in paths for epoch in await _made(path, entries, files)}
    done: list[FileChange] = []
    lost: list[int] = []
    for group in together:
        found = sum(entry.epoch in made for entry in group)
        if found == len(group) or (may_edit and await _is_made(group, made, reader, files)):
            done += group
        elif may_edit or not found:
            lost += [entry.epoch for entry in group]
        # else half of it is there: it waits for a run that may make the other half, or take this one back
    files.clear_leftovers(paths)
    settled = [replace(entry, done=True) for entry in done]
    await journal.commit([*settled, Withdrawn(epochs=tuple(lost))] if lost else settled, [])


async def _made(path: str, entries: Sequence[FileChange], files: ProjectFiles) -> list[int]:
    """The epochs of the edits of a file that lead to what lies there: of several, it shows the last one."""
    made: list[int] = []
    contents = await files.digest(path)
    for entry in reversed(entries):
        if entry.change.path == path and entry.change.after == contents:
            made.append(entry.epoch)
            contents = entry.change.before
    return made


async def _is_made(group: Sequence[FileChange], made: Container[int], reader: StoreReader, files: ProjectFiles) -> bool:
    """Whether the rest of a group could be made; if not, what was made of it is taken back.

    Once a part was made, a file that is neither as the edit found it nor as it left it was edited by hand since, and
    stays so. As long as none was, that edit ends the whole group.
    """
    present = [entry for entry in group if entry.epoch in made]
    missing = [entry for entry in group if entry.epoch not in made]
    as_found = [entry for entry in missing if await files.digest(entry.change.path) == entry.change.before]
    if not present and len(as_found) < len(missing):
        return False
    for entry in as_found:
        if not await _is_written(entry.change.path, entry.change.before, entry.change.after, reader, files):
            for other in reversed(present):
                await _is_written(other.change.path, other.change.after, other.change.before, reader, files)
            return False
        present.append(entry)
    return True


async def _is_written(
    path: str, before: str | None, after: str | None, reader: StoreReader, files: ProjectFiles
) -> bool:
    try:
        sides = (kept_contents(reader.contents, before), kept_contents(reader.contents, after))
    except ToolFailed:
        return False
    return await is_written(files, path, *sides)
