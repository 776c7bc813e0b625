"""The way of an edit to the disk: what is intended is durable first, then the file changes at once, then it is done.

Whoever finds an intention of a dead process compares it with the disk (`opening`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import trio
from msgspec.structs import replace

from ..agents.tools.descent import visible
from ..errors import ToolDenied, ToolFailed
from ..events import FileEdited
from ..journal import Journal
from ..model import Change, Observation, RunId, StepId
from ..ports import FileChange, PlannedEdit, ProjectFiles, Record, SeenAgain, Withdrawn
from .kept import kept_contents
from .made import contents_of


class Disk:
    """Of one run. Nobody else may edit while a method runs; a cancellation waits for its end.

    `contents` are those of a file at some time, by digest.
    """

    def __init__(
        self, run_id: RunId, files: ProjectFiles, contents: Callable[[str], bytes | None], journal: Journal
    ) -> None:
        self._run_id = run_id
        self._files = files
        self._contents = contents
        self._journal = journal
        self._edited: list[int] = []  # epochs of the edits of this run, in order

    def edits_before(self, epoch: int) -> int:
        return bisect_left(self._edited, epoch)

    async def make(
        self, step: StepId, number: int, plan: PlannedEdit, seen: Observation, along: Sequence[Record]
    ) -> ToolFailed | ToolDenied | None:
        """As `make_all`, of one edit."""
        return await self.make_all(step, number, [plan], [seen], along)

    async def make_all(
        self,
        step: StepId,
        number: int,
        plans: Sequence[PlannedEdit],
        seen: Sequence[Observation],
        along: Sequence[Record],
    ) -> ToolFailed | ToolDenied | None:
        """Do all that was planned; or give why that could not be, and nothing was done.

        `seen` is the record of it: those with a change are of the plans, in their order.
        """
        entries = self.entries(step, seen)
        pairs = list(zip(plans, entries, strict=True))
        with trio.CancelScope(shield=True):  # bounded by the store's own limits, and by the disk
            contents = [
                side
                for plan, entry in pairs
                for side in contents_of((entry.change.before, plan.before), (entry.change.after, plan.after))
            ]
            await self._journal.commit([*contents, *entries, *along], [])
            made: list[PlannedEdit] = []
            try:
                for plan in plans:
                    await self._files.write(plan.path, plan.before, plan.after)
                    made.append(plan)
            except (ToolFailed, ToolDenied) as error:
                stuck = [plan.path for plan in reversed(made) if not await self._is_undone(plan)]
                await self._journal.commit([Withdrawn(epochs=tuple(entry.epoch for entry in entries))], [])
                return _told_stuck(error, stuck) if stuck else error
            self.done(entries, number, again=False)
        return None

    async def make_again(self, step: StepId, number: int, observations: Sequence[Observation]) -> None:
        """Make the edits of a stored step once more. Raises ToolFailed or ToolDenied where one cannot be made.

        Then the others are taken back.
        """
        entries = self.entries(step, observations)
        with trio.CancelScope(shield=True):  # bounded as that of `make`
            await self._journal.commit([SeenAgain(step_id=step, observations=tuple(observations)), *entries], [])
            made: list[FileChange] = []
            try:
                for entry in entries:
                    await self._files.write(entry.change.path, *self._sides(entry.change))
                    made.append(entry)
            except (ToolFailed, ToolDenied):
                stuck = [entry for entry in reversed(made) if not await self._is_taken_back(entry.change)]
                gone = tuple(entry.epoch for entry in entries if entry not in stuck)
                await self._journal.commit([Withdrawn(epochs=gone)], [])
                self.done(stuck, number, again=True)
                raise
            self.done(made, number, again=True)

    def entries(self, step: StepId, observations: Sequence[Observation]) -> list[FileChange]:
        """Of the chains, for what a step did."""
        return [
            FileChange(epoch=edit.epoch, change=edit.change, step_id=step, run_id=self._run_id)
            for seen in observations
            if (edit := seen.edit) is not None
        ]

    def done(self, entries: Sequence[FileChange], number: int, *, again: bool) -> None:
        """No need to hurry: an entry that is not done is compared with the disk at the next start."""
        self._edited += [entry.epoch for entry in entries]
        now = self._journal.now()
        events = [
            FileEdited(
                at=now,
                number=number,
                step=entry.step_id,
                path=entry.change.path,
                created=entry.change.before is None,
                again=again,
            )
            for entry in entries
        ]
        self._journal.post([replace(entry, done=True) for entry in entries], events, lazy=True)

    async def _is_undone(self, plan: PlannedEdit) -> bool:
        return await is_written(self._files, plan.path, plan.after, plan.before)

    async def _is_taken_back(self, change: Change) -> bool:
        before, after = self._sides(change)
        return await is_written(self._files, change.path, after, before)

    def _sides(self, change: Change) -> tuple[bytes | None, bytes | None]:
        return kept_contents(self._contents, change.before), kept_contents(self._contents, change.after)


async def is_written(files: ProjectFiles, path: str, before: bytes | None, after: bytes | None) -> bool:
    """Whether a file could be written."""
    try:
        await files.write(path, before, after)
    except (ToolFailed, ToolDenied):
        return False
    return True


def _told_stuck(error: ToolFailed | ToolDenied, stuck: Sequence[str]) -> ToolFailed:
    """Others have changed these files meanwhile, or the disk is full: a person has to look."""
    left = ", ".join(visible(path) for path in stuck[:20])
    return ToolFailed(f"{error.message}; these files could not be put back as they were: {left}")
