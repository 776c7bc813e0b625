"""The way of a command to the project: it sees all of it, changes nothing itself, and what it made becomes edits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack

import trio
from msgspec import Struct

from ..errors import CommandsRefused, CommandUnavailable, SetupError, ToolDenied, ToolFailed
from ..model import JSON, Observation
from ..observe import observation_of
from ..ports import (
    Along,
    CommandTool,
    Footprint,
    Job,
    Outcome,
    ProjectFiles,
    Tool,
    ToolResult,
    Workbench,
    Worked,
)
from .disk import Disk
from .epochs import Epochs
from .lock import ProjectLock
from .made import Made, in_order, made_of
from .timeline import Timeline, Witness

#: How often a command runs whose files were changed by another step meanwhile.
MOST_RUNS = 3


class Running(Struct, frozen=True):
    """A command for a step. `number` is the step's call."""

    witness: Witness
    number: int
    tool: CommandTool
    along: Along


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
        made = in_order([each for file in worked.files if (each := await made_of(file)).changes])
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
        self, running: Running, made: Sequence[Made], result: ToolResult, tree: Observation
    ) -> tuple[ToolFailed | ToolDenied | None, tuple[Observation, ...]]:
        seen = (tree, *[each.seen(self._epochs.next()) for each in made])
        refused = None
        if made:
            for each in made:
                self._notice(each.path, each.before)
            plans = [each.planned(result) for each in made]
            step, along = running.witness.id, running.along(result, seen)
            refused = await self._disk.make_all(step, running.number, plans, seen, along)
        if refused is not None:
            seen = (tree,)
        for observation in seen:
            self._timeline.saw(running.witness, observation)
        return refused, seen


def _gives_way(new: Made, made: Iterable[Made]) -> bool:
    """Whether a new file comes where a folder was that the command emptied, or below a file that it removed.

    What lies there is then no file yet; that nothing else does shows when it is written.
    """
    folder = f"{new.path}/"
    gone = [f"{each.path}/" for each in made if each.after is None]
    return new.before is None and any(path.startswith(folder) or folder.startswith(path) for path in gone)
