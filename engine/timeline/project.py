"""The project as the steps of one run share it: one at a time edits, looks are ordered, and nothing is half done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from ..agents.tools.arguments import BadArguments
from ..errors import InternalError, ToolDenied, ToolFailed
from ..events import AdoptionCause, ScriptRestarted
from ..journal import Journal
from ..model import JSON, FilePart, Observation, RunId
from ..observe import file_observation, observation_of, outcome_of
from ..ports import (
    Along,
    CommandTool,
    EditingTool,
    FileChange,
    FileMade,
    Footprint,
    Outcome,
    OwnStep,
    ProjectFiles,
    SeenAgain,
    Tool,
    Workbench,
)
from .adoption import Adoptions
from .commands import Commands, Running
from .disk import Disk
from .epochs import Epochs, NewEpochs
from .landings import Landings
from .lock import ProjectLock
from .made import made_of
from .timeline import Timeline, Witness

if TYPE_CHECKING:
    from ..merging import Collisions


class Project:
    """Of one run. `start_over` ends the present pass of the script; it is told whose answer does not hold.

    Commands share `quiet` while they run, and what writes to the disk has it alone: so nobody edits under them, while
    looks and decisions, which only need `lock`, go on. Who takes both takes `quiet` first.
    """

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
        bench: Workbench | None = None,
        tree: Tool | None = None,
    ) -> None:
        """`contents` are those of a file at some time, by digest. `rehearsed`: nothing is written.

        `bench` runs commands, and `tree` is the look at all files (`FILE_TREE`); without them no command runs.
        """
        self.quiet = ProjectLock()
        self.lock = ProjectLock()
        self.timeline = timeline
        self.adoptions = Adoptions(timeline, journal, own_steps, start_over)
        self._disk = Disk(run_id, files, contents, journal)
        self._epochs = epochs
        self._files = files
        self._journal = journal
        self._rehearsed = rehearsed
        self.landings = Landings(
            timeline=timeline, disk=self._disk, epochs=epochs, files=files, claim=self.claim, notice=self._notice
        )
        self._commands: Commands | None = None
        if bench is not None and tree is not None:
            self._commands = Commands(
                quiet=self.quiet,
                lock=self.lock,
                timeline=timeline,
                disk=self._disk,
                epochs=epochs,
                files=files,
                bench=bench,
                tree=tree,
                claim=self.touch,
                notice=self._notice,
                changed=lambda *change: self.collisions.changed(*change),
            )

    @property
    def files(self) -> ProjectFiles:
        return self._files

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Nobody else looks at the project, edits it or runs a command on it."""
        async with self.quiet.alone(), self.lock.alone():
            yield

    def next_epoch(self) -> int:
        return self._epochs.next()

    @cached_property
    def collisions(self) -> Collisions:
        """Made at the first edit: a run without any imports nothing for it."""
        from ..merging import Collisions

        return Collisions(self._journal)

    def edits_before(self, epoch: int) -> int:
        return self._disk.edits_before(epoch)

    # ------------------------------------------------------------ live steps

    async def look(
        self, witness: Witness, tool: Tool, arguments: Mapping[str, JSON], *, as_text: bool = False
    ) -> tuple[Outcome, Observation | None]:
        """Run a tool that only looks. `as_text` as in `observation_of`.

        One that does not look at the project keeps nobody from editing it, however long it takes.
        """
        footprint = tool.footprint(arguments)
        if not tool.observes and footprint is None:
            return await outcome_of(tool, arguments), None
        await self.touch(witness, footprint)
        async with self.lock.shared():
            outcome = await outcome_of(tool, arguments)
            epoch = self._epochs.next()
        if not tool.observes or isinstance(outcome, BadArguments):  # then it has looked at nothing
            return outcome, None
        observation = observation_of(tool, arguments, outcome, as_text=as_text, epoch=epoch)
        self.timeline.saw(witness, observation)
        return outcome, observation

    async def give(
        self,
        witness: Witness,
        paths: Sequence[str],
        look: Callable[[Sequence[str]], Awaitable[tuple[FilePart, ...]]],
        *,
        earlier: Callable[[], tuple[FilePart, ...]] | None = None,
    ) -> tuple[tuple[FilePart, ...], tuple[Observation, ...]]:
        """Let a step be given whole files, which `look` looks at, and note that it saw them. Raises as `look`.

        A step that goes on has `earlier` ones. It is given these again, unlooked at, where a step of the workflow has
        edited one, maybe it itself: it saw them in their time.
        """
        if earlier is None:  # one that goes on does not look at files with pending edits
            for path in paths:
                await self.touch(witness, self._files.state.footprint({"path": path}))
        async with self.lock.shared():
            return await self.given(witness, paths, look, earlier=earlier)

    async def given(
        self,
        witness: Witness,
        paths: Sequence[str],
        look: Callable[[Sequence[str]], Awaitable[tuple[FilePart, ...]]],
        *,
        earlier: Callable[[], tuple[FilePart, ...]] | None = None,
    ) -> tuple[tuple[FilePart, ...], tuple[Observation, ...]]:
        """As `give`, of files that the step has touched. Nobody may edit meanwhile."""
        if earlier is not None and any(map(self._has_edited, paths)):  # by now: an edit may have been waited for
            return earlier(), ()
        files = await look(paths)
        seen = tuple([file_observation(each.path, each.digest, epoch=self._epochs.next()) for each in files])
        for observation in seen:
            self.timeline.saw(witness, observation)
        return files, seen

    def _has_edited(self, path: str) -> bool:
        """Whether a step of the workflow is known to have edited this file, whose path is as it was asked for."""
        footprint = self._files.state.footprint({"path": path})
        return footprint is not None and footprint.path in self.timeline.own.present

    async def claim(self, witness: Witness, footprint: Footprint | None) -> None:
        """Adopt the pending edits that a live step is about to touch. Nobody may edit meanwhile."""
        paths = self.timeline.pending_below(footprint)
        if paths:
            await self.adoptions.adopt(paths, AdoptionCause.LIVE, witness.number, witness.label)

    async def touch(self, witness: Witness, footprint: Footprint | None) -> None:
        """As `claim`, and nobody edits meanwhile."""
        if self.timeline.pending_below(footprint):
            async with self.lock.alone():
                await self.claim(witness, footprint)

    async def edit(
        self, witness: Witness, number: int, tool: EditingTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, Observation | None]:
        """Do what an editing tool plans. What `along` gives is durable before the disk is touched.

        Once that has begun, a cancellation waits for its end.
        """
        await trio.lowlevel.checkpoint_if_cancelled()  # not one edit more, whatever came before it
        async with self.quiet.alone(), self.lock.alone():
            await self.claim(witness, tool.footprint(arguments))
            try:
                plan = await tool.plan(arguments)
            except BadArguments as error:
                return error, None
            except (ToolFailed, ToolDenied) as error:
                return error, await self._look_at_refused(witness, tool.file(arguments))
            made = await made_of(FileMade(path=plan.path, before=plan.before, after=plan.after))
            observation = made.seen(self._epochs.next())
            if not made.changes:
                self.timeline.saw(witness, observation)
                return plan.result, observation
            self._notice(plan.path, made.before)
            stored = along(plan.result, [observation])
            refused = await self._disk.make(witness.id, number, plan, observation, stored)
            if refused is not None:
                return refused, None
            self.timeline.saw(witness, observation)
            self.collisions.changed(witness, plan.path, plan.before, plan.after)
            return plan.result, observation

    async def _look_at_refused(self, witness: Witness, path: str | None) -> Observation | None:
        """What an edit that came to nothing has seen: the file."""
        if path is None:
            return None
        await self.claim(witness, self._files.state.footprint({"path": path}))
        outcome = await outcome_of(self._files.state, {"path": path})
        observation = observation_of(self._files.state, {"path": path}, outcome, epoch=self._epochs.next())
        self.timeline.saw(witness, observation)
        return observation

    async def command(
        self, witness: Witness, number: int, tool: CommandTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, tuple[Observation, ...]]:
        """See `Commands.run`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._commands is None:
            raise InternalError("a run without a workbench has a tool that runs commands")
        return await self._commands.run(Running(witness, number, tool, along), arguments)

    # ------------------------------------------------------------ stored steps

    async def apply(self, witness: Witness, number: int) -> None:
        """Let a stored answer that is true now stand: what it saw counts as seen now, and its edits are made again.

        Raises ToolFailed or ToolDenied where one cannot be made; then the others are taken back. Nobody may edit
        meanwhile.
        """
        moments = NewEpochs(self._epochs, witness.began if witness.apart else None)
        witness.observations = [replace(seen, epoch=moments.of(seen)) for seen in witness.observations]
        witness.placed = None
        if self._rehearsed:
            self._rehearse(self._disk.entries(witness.id, witness.observations), number)
        elif witness.edits:
            await self._disk.make_again(witness.id, number, witness.observations)
        else:
            self._journal.post([SeenAgain(step_id=witness.id, observations=tuple(witness.observations))], [], lazy=True)
        self.timeline.own.made_again(witness.id, [edit for seen in witness.observations if (edit := seen.edit)])

    def _rehearse(self, entries: Sequence[FileChange], number: int) -> None:
        """They are told, and looked through; the disk keeps what it has."""
        for entry in entries:
            self.timeline.unwritten.setdefault(entry.change.path, entry.change.before)
        if entries:
            self._disk.done(entries, number, again=True)

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

    async def adopt_rest(self) -> None:
        """The script has ended: what no step of it came to is plain contents from now on."""
        if not self.timeline.pending:
            return
        async with self.lock.alone():
            if pending := self.timeline.pending:
                await self.adoptions.adopt(pending, AdoptionCause.LEFT)
