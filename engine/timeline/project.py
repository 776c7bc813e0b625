"""The project as the steps of one run share it: one at a time edits, looks are ordered, and nothing is half done."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NoReturn

import trio
from msgspec.structs import replace

from ..agents.tools.arguments import BadArguments
from ..errors import ToolDenied, ToolFailed
from ..events import Adoption, EditsAdopted, FileEdited, ScriptRestarted
from ..journal import Journal
from ..keys import content_digest
from ..model import JSON, Change, FilePart, Grounds, Observation, RunId
from ..observe import file_observation, observation_of
from ..ports import (
    Along,
    EditingTool,
    FileChange,
    FileContents,
    Footprint,
    Outcome,
    OwnStep,
    PlannedEdit,
    ProjectFiles,
    Record,
    SeenAgain,
    Tool,
    Withdrawn,
)
from .epochs import Epochs
from .lock import ProjectLock
from .timeline import Timeline, Witness


class Project:
    """Of one run. `start_over` ends the present pass of the script; it is told whose answer does not hold."""

    def __init__(
        self,
        *,
        run_id: RunId,
        timeline: Timeline,
        epochs: Epochs,
        files: ProjectFiles,
        contents: Callable[[str], bytes | None],
        journal: Journal,
        start_over: Callable[[ScriptRestarted], None],
        own_steps: Sequence[OwnStep] = (),
        rehearsed: bool = False,
    ) -> None:
        """`contents` are those of a file at some time, by digest. `rehearsed`: nothing is written."""
        self._owners = {step.id: step for step in own_steps}
        self._adopted: set[str] = set()
        self.lock = ProjectLock()
        self.timeline = timeline
        self._edited: list[int] = []  # epochs of the edits of this run, in order
        self._run_id = run_id
        self._epochs = epochs
        self._files = files
        self._contents = contents
        self._journal = journal
        self._start_over = start_over
        self._rehearsed = rehearsed

    def edits_before(self, epoch: int) -> int:
        return bisect_left(self._edited, epoch)

    # ------------------------------------------------------------ live steps

    async def look(
        self, witness: Witness, tool: Tool, arguments: Mapping[str, JSON], *, as_text: bool = False
    ) -> tuple[Outcome, Observation | None]:
        """Run a tool that only looks. `as_text` as in `observation_of`.

        One that does not look at the project keeps nobody from editing it, however long it takes.
        """
        if not tool.observes and tool.footprint(arguments) is None:
            return await _outcome(tool, arguments), None
        await self._claim(witness, tool.footprint(arguments))
        async with self.lock.shared():
            outcome = await _outcome(tool, arguments)
            epoch = self._epochs.next()
        if not tool.observes or isinstance(outcome, BadArguments):  # then it has looked at nothing
            return outcome, None
        observation = observation_of(tool, arguments, outcome, as_text=as_text, epoch=epoch)
        self.timeline.saw(witness, observation)
        return outcome, observation

    async def give(
        self, witness: Witness, paths: Sequence[str], look: Callable[[Sequence[str]], Awaitable[tuple[FilePart, ...]]]
    ) -> tuple[tuple[FilePart, ...], tuple[Observation, ...]]:
        """Let a step be given whole files, which `look` looks at, and note that it saw them. Raises as `look`."""
        for path in paths:
            await self._claim(witness, self._files.state.footprint({"path": path}))
        async with self.lock.shared():
            files = await look(paths)
            seen = tuple([file_observation(each.path, each.digest, epoch=self._epochs.next()) for each in files])
        for observation in seen:
            self.timeline.saw(witness, observation)
        return files, seen

    def has_edited(self, path: str) -> bool:
        """Whether a step of the workflow is known to have edited this file, whose path is as it was asked for."""
        footprint = self._files.state.footprint({"path": path})
        return footprint is not None and footprint.path in self.timeline.own.present

    async def claim(self, witness: Witness, footprint: Footprint | None) -> None:
        """Adopt the pending edits that a live step is about to touch. Nobody may edit meanwhile."""
        paths = self.timeline.pending_below(footprint)
        if paths:
            await self.adopt(paths, Adoption.LIVE, witness.number, witness.label)

    async def _claim(self, witness: Witness, footprint: Footprint | None) -> None:
        if self.timeline.pending_below(footprint):
            async with self.lock.alone():
                await self.claim(witness, footprint)

    async def edit(
        self, witness: Witness, number: int, tool: EditingTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, Observation | None]:
        """Do what an editing tool plans. What `along` gives is durable before the disk is touched.

        Once that has begun, a cancellation waits for its end.
        """
        async with self.lock.alone():
            try:
                plan = await tool.plan(arguments)
            except BadArguments as error:
                return error, None
            except (ToolFailed, ToolDenied) as error:
                return error, await self._look_at_refused(witness, tool.file(arguments))
            await self.claim(witness, Footprint(path=plan.path))
            before, after = await _digest(plan.before), await _digest(plan.after)
            if before == after:
                observation = file_observation(plan.path, before, epoch=self._epochs.next())
                self.timeline.saw(witness, observation)
                return plan.result, observation
            self._notice(plan.path, before)
            change = Change(path=plan.path, before=before, after=after)
            observation = file_observation(plan.path, before, epoch=self._epochs.next(), change=change)
            return await self._make(witness, number, plan, observation, along(plan, observation))

    async def _look_at_refused(self, witness: Witness, path: str | None) -> Observation | None:
        """What an edit that came to nothing has seen: the file."""
        if path is None:
            return None
        outcome = await _outcome(self._files.state, {"path": path})
        observation = observation_of(self._files.state, {"path": path}, outcome, epoch=self._epochs.next())
        self.timeline.saw(witness, observation)
        return observation

    async def _make(
        self, witness: Witness, number: int, plan: PlannedEdit, seen: Observation, along: Sequence[Record]
    ) -> tuple[Outcome, Observation | None]:
        assert seen.change is not None
        entry = FileChange(epoch=seen.epoch, change=seen.change, step_id=witness.id, run_id=self._run_id)
        refused: ToolFailed | ToolDenied | None = None
        with trio.CancelScope(shield=True):  # bounded by the store's own limits, and by the disk
            await self._journal.commit([*_contents(plan, seen.change), entry, *along], [])
            try:
                await self._files.write(plan.path, plan.before, plan.after)
            except (ToolFailed, ToolDenied) as error:
                refused = error
                await self._journal.commit([Withdrawn(epochs=(entry.epoch,))], [])
        if refused is not None:
            return refused, None
        self.timeline.saw(witness, seen)
        self._done([entry], number, again=False)
        return plan.result, seen

    def _done(self, entries: Sequence[FileChange], number: int, *, again: bool) -> None:
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

    # ------------------------------------------------------------ stored steps

    async def apply(self, witness: Witness, number: int) -> None:
        """Let a stored answer that is true now stand: what it saw counts as seen now, and its edits are made again.

        Raises ToolFailed or ToolDenied where one cannot be made; then the others are taken back. Nobody may edit
        meanwhile.
        """
        witness.observations = [replace(seen, epoch=self._epochs.next()) for seen in witness.observations]
        witness.placed = None
        entries = [
            FileChange(epoch=seen.epoch, change=seen.change, step_id=witness.id, run_id=self._run_id)
            for seen in witness.observations
            if seen.change is not None
        ]
        records: list[Record] = [SeenAgain(step_id=witness.id, observations=tuple(witness.observations)), *entries]
        if not entries or self._rehearsed:
            self._rehearse(entries, number)
            self._journal.post(records, [], lazy=True)
        else:
            with trio.CancelScope(shield=True):  # bounded as that of `edit`
                await self._apply(entries, records, number)
        self.timeline.own.made_again(witness.id, [edit for seen in witness.observations if (edit := seen.edit)])

    async def _apply(self, entries: Sequence[FileChange], records: Sequence[Record], number: int) -> None:
        await self._journal.commit(records, [])
        made: list[FileChange] = []
        try:
            for entry in entries:
                await self._files.write(entry.change.path, *self._sides(entry.change))
                made.append(entry)
        except (ToolFailed, ToolDenied):
            stuck = [entry for entry in reversed(made) if not await self._is_taken_back(entry.change)]
            gone = tuple(entry.epoch for entry in entries if entry not in stuck)
            await self._journal.commit([Withdrawn(epochs=gone)], [])
            self._done(stuck, number, again=True)
            raise
        self._done(made, number, again=True)

    async def _is_taken_back(self, change: Change) -> bool:
        before, after = self._sides(change)
        try:
            await self._files.write(change.path, after, before)
        except (ToolFailed, ToolDenied):
            return False
        return True

    def _sides(self, change: Change) -> tuple[bytes | None, bytes | None]:
        return self._at(change.before), self._at(change.after)

    def _at(self, digest: str | None) -> bytes | None:
        if digest is None:
            return None
        data = self._contents(digest)
        if data is None:
            raise ToolFailed("contents that it once wrote are not kept any more")
        return data

    def _rehearse(self, entries: Sequence[FileChange], number: int) -> None:
        for entry in entries:
            self.timeline.unwritten.setdefault(entry.change.path, entry.change.before)
        if entries:
            self._done(entries, number, again=True)

    # ------------------------------------------------------------ the files as they lie

    async def refresh(self) -> None:
        """Notice what was edited by hand since the last look at the tracked files. Nobody may edit meanwhile."""
        if self._rehearsed:
            return
        for path in list(self.timeline.own.paths):
            self._notice(path, await self._files.digest(path))

    def _notice(self, path: str, digest: str | None) -> None:
        own = self.timeline.own
        if path in own.present and own.present[path] != digest:
            own.found(path, digest, self._epochs.next())

    # ------------------------------------------------------------ adoption

    async def adopt(self, paths: Iterable[str], why: Adoption, number: int = 0, label: str = "") -> None:
        """Make pending edits plain contents, for the call of that number. Where an answer does not hold any more, the
        script starts over.

        Then this never returns: the pass is cancelled. Nobody may edit meanwhile.
        """
        paths = tuple(sorted(paths))
        editors = [self._owners[step] for step in self.timeline.pending_editors(paths) if step in self._owners]
        adopted, refuted = await self.timeline.adopt(paths)
        if adopted:
            self._adopted.update(paths)
            event = EditsAdopted(
                at=self._journal.now(),
                paths=paths,
                why=why,
                editors=tuple(editor.label or editor.id for editor in editors),
                run=editors[0].run_id if editors else "",
                number=number,
                label=label,
            )
            self._journal.events(event)
        if refuted is not None:
            await self._restart(refuted, paths)

    async def adopt_rest(self) -> None:
        """The script has ended: what no step of it came to is plain contents from now on."""
        if not self.timeline.pending:
            return
        async with self.lock.alone():
            if pending := self.timeline.pending:
                await self.adopt(pending, Adoption.LEFT)

    def adopted_in(self, grounds: Grounds | None) -> set[str]:
        """The adopted files that a decision to run live stood on."""
        if not self._adopted or grounds is None:
            return set()
        if grounds.path is not None:
            return self._adopted & {grounds.path}
        footprint = None if grounds.observation is None else self.timeline.footprint(grounds.observation)
        return set() if footprint is None else {path for path in self._adopted if footprint.covers(path)}

    async def _restart(self, refuted: Witness, paths: tuple[str, ...]) -> NoReturn:
        now = self._journal.now()
        number, label = refuted.number, refuted.label
        self._start_over(ScriptRestarted(at=now, number=number, step=refuted.id, label=label, paths=paths))
        await trio.sleep_forever()  # until the cancellation that this asked for
        raise AssertionError("a pass that starts over is cancelled")


async def _outcome(tool: Tool, arguments: Mapping[str, JSON]) -> Outcome:
    try:
        return await tool.run(arguments)
    except (ToolFailed, ToolDenied) as error:
        return error


async def _digest(data: bytes | None) -> str | None:
    return None if data is None else content_digest(data)


def _contents(plan: PlannedEdit, change: Change) -> list[Record]:
    sides = ((change.before, plan.before), (change.after, plan.after))
    return [FileContents(digest=digest, data=data) for digest, data in sides if digest is not None and data is not None]
