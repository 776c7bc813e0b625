"""The way of a command to the project: it sees all of it, changes nothing itself, and what it made becomes edits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack

import trio
from msgspec import Struct

from ..agents.tools.file_state import digest_of
from ..errors import CommandsRefused, CommandUnavailable, SetupError, ToolDenied, ToolFailed
from ..model import JSON, Change, Observation
from ..observe import file_observation, observation_of
from ..ports import (
    Along,
    CommandTool,
    FileMade,
    Footprint,
    Job,
    Outcome,
    PlannedEdit,
    ProjectFiles,
    Tool,
    ToolResult,
    Workbench,
    Worked,
)
from .disk import Disk
from .epochs import Epochs
from .lock import ProjectLock
from .timeline import Timeline, Witness

#: How often a command runs whose files were changed by another step meanwhile.
MOST_RUNS = 3


class Running(Struct, frozen=True):
    """A command for a step. `number` is the step's call."""

    witness: Witness
    number: int
    tool: CommandTool
    along: Along


class _Made(Struct, frozen=True, kw_only=True):
    """What a command made of one file, with the digests of both sides."""

    file: FileMade
    before: str | None
    after: str | None

    @property
    def path(self) -> str:
        return self.file.path


class Commands:
    """Of one run. `claim` adopts pending edits below a footprint, `notice` tells how a file lies there, and `changed`
    what a step made of one.
    """

    def __init__(
        self,
        *,
        quiet: ProjectLock,
        lock: ProjectLock,
        timeline: Timeline,
        disk: Disk,
        epochs: Epochs,
        files: ProjectFiles,
        bench: Workbench,
        tree: Tool,
        claim: Callable[[Witness, Footprint | None], Awaitable[None]],
        notice: Callable[[str, str | None], None],
        changed: Callable[[Witness, str, bytes | None, bytes | None], None],
    ) -> None:
        self._quiet = quiet
        self._lock = lock
        self._timeline = timeline
        self._disk = disk
        self._epochs = epochs
        self._files = files
        self._bench = bench
        self._tree = tree
        self._claim = claim
        self._notice = notice
        self._changed = changed

    async def run(self, running: Running, arguments: Mapping[str, JSON]) -> tuple[Outcome, tuple[Observation, ...]]:
        """Run a program on the project as it lies, and make what it changed: all of it, or nothing.

        Where another step has changed one of these files since it began, it did not see what it replaces, and runs
        again. What `along` gives is durable before the disk is touched; from then on a cancellation waits for the end.
        Raises SetupError where this machine holds no command.
        """
        try:
            job = running.tool.job(arguments)
        except (ToolFailed, ToolDenied) as error:
            return error, ()
        for _run in range(1 if job.network else MOST_RUNS):
            outcome, seen = await self._run_once(running, job)
            if outcome is not None:
                return outcome, seen
        for each in seen:
            self._timeline.saw(running.witness, each)
        runs = "it can reach the network, and is not run again" if job.network else f"{MOST_RUNS} times in a row"
        return ToolFailed(
            f"{job.argv[0]}: while it ran, another step changed files that it changed as well ({runs}); nothing of "
            "what it did was kept. Look at the files, and run it again"
        ), seen

    async def _run_once(self, running: Running, job: Job) -> tuple[Outcome | None, tuple[Observation, ...]]:
        """None: it has to run again."""
        async with AsyncExitStack() as stack:
            async with self._quiet.shared():
                await self._claim(running.witness, self._tree.footprint({}))
                async with self._lock.shared():
                    found = await self._tree.run({})
                    tree = observation_of(self._tree, {}, found, epoch=self._epochs.next())
                try:
                    worked = await stack.enter_async_context(self._bench.working(job, {}))
                except CommandsRefused as error:
                    raise SetupError(error.message) from error
                except (CommandUnavailable, ToolFailed, ToolDenied) as error:
                    self._timeline.saw(running.witness, tree)
                    return ToolFailed(error.message), (tree,)
            async with self._quiet.alone(), self._lock.alone():
                return await self._land(running, job, worked, tree)

    async def _land(
        self, running: Running, job: Job, worked: Worked, tree: Observation
    ) -> tuple[Outcome | None, tuple[Observation, ...]]:
        """Make what a command changed; None where it did not see all that it would replace. Nobody may edit."""
        made = await _made_of(worked.files)
        try:
            for each in made:
                self._files.require_writable(each.path)
        except ToolDenied as error:
            self._timeline.saw(running.witness, tree)
            return ToolDenied(f"{error.message}; nothing of what the command did was kept"), (tree,)
        for each in made:
            if await self._files.digest(each.path) != each.before and not _gives_way(each, made):
                return None, (tree,)
        changed = sorted({*(each.path for each in made), *worked.beside})
        result = running.tool.told(job, worked.end, changed, worked.refused)
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.CancelScope(shield=True):  # bounded by the store's own limits, and by the disk
            refused, seen = await self._make(running, made, result, tree)
            if refused is None:
                await worked.put_beside()
                self._timeline.changed_beside()
        if refused is None:
            for each in made:
                self._changed(running.witness, each.path, each.file.before, each.file.after)
        return refused or result, seen

    async def _make(
        self, running: Running, made: Sequence[_Made], result: ToolResult, tree: Observation
    ) -> tuple[ToolFailed | ToolDenied | None, tuple[Observation, ...]]:
        seen = (tree, *[_seen(each, self._epochs.next()) for each in made])
        refused = None
        if made:
            for each in made:
                self._notice(each.path, each.before)
            plans = [_planned(each, result) for each in made]
            step, along = running.witness.id, running.along(result, seen)
            refused = await self._disk.make_all(step, running.number, plans, seen, along)
        if refused is not None:
            seen = (tree,)
        for observation in seen:
            self._timeline.saw(running.witness, observation)
        return refused, seen


async def _made_of(files: Iterable[FileMade]) -> list[_Made]:
    """In the order in which they can be made: a file may come where a folder was, and the reverse."""
    made = [
        _Made(file=file, before=await _digest(file.before), after=await _digest(file.after))
        for file in sorted(files, key=lambda file: (file.after is not None, file.path))
    ]
    return [each for each in made if each.before != each.after]


def _gives_way(new: _Made, made: Iterable[_Made]) -> bool:
    """Whether a new file comes where a folder was that the command emptied, or below a file that it removed.

    What lies there is then no file yet; that nothing else does shows when it is written.
    """
    folder = f"{new.path}/"
    gone = [f"{each.path}/" for each in made if each.after is None]
    return new.before is None and any(path.startswith(folder) or folder.startswith(path) for path in gone)


def _planned(made: _Made, result: ToolResult) -> PlannedEdit:
    return PlannedEdit(path=made.path, before=made.file.before, after=made.file.after, result=result)


def _seen(made: _Made, epoch: int) -> Observation:
    change = Change(path=made.path, before=made.before, after=made.after)
    return file_observation(made.path, made.before, epoch=epoch, change=change)


async def _digest(contents: bytes | None) -> str | None:
    return None if contents is None else await digest_of(contents)
