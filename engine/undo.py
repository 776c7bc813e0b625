"""Takes the edits of a run back, where they are what lies on the disk. docs/reuse.md says for users what that means.

It goes by file, and contents decide. The entries of a path's chain that the run's steps made are taken back from the
last one down, as far as each left the file as the next one found it, and the last one as it lies now. So a file whose
edits were taken back already, by an undo that was killed or by hand, is done with, and nobody else's work is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from .errors import ConfigError, ToolDenied, ToolFailed
from .model import Run, RunId, StepId
from .ports import FileChange, OwnStep, ProjectFiles, Store, StoreReader, Withdrawn
from .timeline.kept import kept_contents


class Why(StrEnum):
    """Why an edit stays."""

    BY_HAND = "by_hand"  # the file was edited since, by nobody that the store knows
    BY_STEP = "by_step"  # likewise, by a step that is none of the run's
    NOT_KEPT = "not_kept"  # the store has no more what the file was
    REFUSED = "refused"  # the file cannot be written, or no tool writes there


class Editor(Struct, frozen=True, kw_only=True):
    """A step that edited a file, and the run in which it did so."""

    step: StepId
    run: RunId
    label: str


class TakenBack(Struct, frozen=True, kw_only=True):
    """A file that is made what it was before the run; digests, None: no such file."""

    path: str
    present: str | None
    before: str | None
    entries: tuple[FileChange, ...]  # of its chain, that are taken back ...
    absent: tuple[FileChange, ...]  # ... and those above them that are not there any more, or never were
    editors: tuple[Editor, ...]


class Kept(Struct, frozen=True, kw_only=True):
    """A file some of whose edits by the run stay. `editors` made them; `later` is who edited it since."""

    path: str
    why: Why
    editors: tuple[Editor, ...]
    later: Editor | None = None
    detail: str = ""


class Undo(Struct, frozen=True, kw_only=True):
    run: Run
    files: tuple[TakenBack, ...]
    kept: tuple[Kept, ...]


async def look(run: Run, reader: StoreReader, files: ProjectFiles) -> Undo:
    """What could be taken back of a run, by path. Changes nothing. Raises ConfigError while a run is at work here."""
    alive = reader.alive_runs()
    if alive:
        raise ConfigError(
            f"run {', '.join(alive)} is at work in this project, and may read and edit the same files: "
            "wait for it or stop it, and undo then"
        )
    steps = reader.edits_of_run(run.id)
    paths = sorted({edit.change.path for step in steps for edit in step.edits})
    present = {path: await files.digest(path) for path in paths}
    return _undo(run, reader, steps, present)


async def take_back(undo: Undo, store: Store, files: ProjectFiles) -> Undo:
    """Do what `look` found, a file at a time and each at once; returns what came of it.

    Killed anywhere, it is finished by looking and taking back once more. Raises StoreError.
    """
    files.clear_leftovers([each.path for each in undo.files])
    made = [replace(entry, done=True) for each in undo.files for entry in each.entries if not entry.done]
    if made:  # else a run that comes after a kill takes them for edits that are still to be made
        await store.commit(made)
    done: list[TakenBack] = []
    kept = list(undo.kept)
    for each in undo.files:
        try:
            if each.present != each.before:
                present, before = (kept_contents(store.reader.contents, side) for side in (each.present, each.before))
                await files.write(each.path, present, before)
        except (ToolFailed, ToolDenied) as error:
            refused = Kept(path=each.path, why=Why.REFUSED, editors=each.editors, detail=error.message)
            kept.append(refused)
            continue
        store.post([Withdrawn(epochs=tuple(entry.epoch for entry in (*each.entries, *each.absent)))], lazy=True)
        done.append(each)
    await store.commit(())  # and with it what was posted
    return Undo(run=undo.run, files=tuple(done), kept=tuple(sorted(kept, key=lambda each: each.path)))


# ---------------------------------------------------------------- what can be taken back


def _undo(run: Run, reader: StoreReader, steps: Sequence[OwnStep], present: Mapping[str, str | None]) -> Undo:
    own = {edit.epoch for step in steps for edit in step.edits}
    names = {step.id: step.label for step in steps}
    chains: dict[str, list[FileChange]] = {path: [] for path in present}
    for entry in reader.chains(list(present)):
        chains[entry.change.path].append(entry)
    files: list[TakenBack] = []
    kept: list[Kept] = []
    for path, chain in chains.items():
        entries = [entry for entry in chain if entry.epoch in own]
        split = _split(entries, present[path])
        taken = TakenBack(
            path=path,
            present=present[path],
            before=split.goes[0].change.before if split.goes else present[path],
            entries=tuple(split.goes),
            absent=tuple(split.absent),
            editors=_editors(reader, [*split.goes, *split.absent], names),
        )
        if not _are_kept(reader, taken):
            kept.append(Kept(path=path, why=Why.NOT_KEPT, editors=_editors(reader, entries, names)))
            continue
        if taken.editors:
            files.append(taken)
        if split.stays:
            kept.append(_kept(reader, path, split.stays, chain, names))
    return Undo(run=run, files=tuple(files), kept=tuple(kept))


class _Split(Struct, frozen=True, kw_only=True):
    """The run's edits of one file, from the first one up."""

    stays: Sequence[FileChange]
    goes: Sequence[FileChange] = ()  # the unbroken tail down from what lies on the disk
    absent: Sequence[FileChange] = ()


def _split(entries: Sequence[FileChange], present: str | None) -> _Split:
    there = _on_disk(entries, present)
    if there is None:
        return _Split(stays=entries)
    first, contents = there, present
    while first and entries[first - 1].change.after == contents:
        first -= 1
        contents = entries[first].change.before
    return _Split(stays=entries[:first], goes=entries[first:there], absent=entries[there:])


def _on_disk(entries: Sequence[FileChange], present: str | None) -> int | None:
    """How many of a path's edits are there: all, or those below a tail that was taken back. None: nobody can tell."""
    if not entries or entries[-1].change.after == present:
        return len(entries)
    for count in range(len(entries) - 1, -1, -1):
        if entries[count].change.before == present:
            return count
        if count and entries[count - 1].change.after != entries[count].change.before:
            return None
    return None


def _are_kept(reader: StoreReader, taken: TakenBack) -> bool:
    if taken.present == taken.before:
        return True
    sides = (taken.present, taken.before)
    return all(digest is None or reader.contents(digest) is not None for digest in sides)


def _kept(
    reader: StoreReader,
    path: str,
    stays: Sequence[FileChange],
    chain: Sequence[FileChange],
    names: Mapping[StepId, str],
) -> Kept:
    last = stays[-1]
    above = (entry for entry in chain if entry.epoch > last.epoch and entry.change.before == last.change.after)
    on_top = next(above, None)
    return Kept(
        path=path,
        why=Why.BY_HAND if on_top is None else Why.BY_STEP,
        editors=_editors(reader, stays, names),
        later=None if on_top is None else _editor(reader, on_top, names),
    )


def _editors(reader: StoreReader, entries: Iterable[FileChange], names: Mapping[StepId, str]) -> tuple[Editor, ...]:
    return tuple({entry.step_id: _editor(reader, entry, names) for entry in entries}.values())


def _editor(reader: StoreReader, entry: FileChange, names: Mapping[StepId, str]) -> Editor:
    label = names.get(entry.step_id, "")
    if not label and (delivery := reader.latest_delivery(entry.step_id, entry.run_id)) is not None:
        label = delivery.label
    return Editor(step=entry.step_id, run=entry.run_id, label=label)
