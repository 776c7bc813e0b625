"""One live step's way to its worktree. What it sees there is noted for the project; nobody sees what it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import trio

from ..agents.tools.arguments import BadArguments
from ..agents.tools.file_state import MAX_FILE_BYTES
from ..agents.tools.workspace import Place, Workspace
from ..errors import CommandsRefused, CommandUnavailable, SetupError, ToolDenied, ToolFailed
from ..journal import Journal
from ..model import FILE_STATE, JSON, Observation
from ..observe import observation_of, outcome_of, tree_observation
from ..ports import (
    Along,
    CommandTool,
    EditingTool,
    FileMade,
    Footprint,
    Outcome,
    Record,
    Tool,
)
from ..timeline.made import Made, made_of
from ..timeline.project import Project
from ..timeline.timeline import Witness
from .changes import Changes
from .isolation import Isolation
from .opening import Opened

_EVERYTHING = Footprint(path="", deep=True)


class WorktreeHands:
    """Implements `ports.Hands` for the step that `witness` is of, in the worktree that was `opened` for it.

    `changes` are what it has changed there so far. `begun` gives the row of the step, if that is not stored yet.
    """

    def __init__(
        self,
        *,
        project: Project,
        journal: Journal,
        witness: Witness,
        isolation: Isolation,
        opened: Opened,
        changes: Changes,
        begun: Callable[[], Sequence[Record]] = tuple,
    ) -> None:
        self._project = project
        self._journal = journal
        self._witness = witness
        self._isolation = isolation
        self._worktree = opened.worktree
        self._epoch = opened.epoch
        self._changes = changes
        self._begun = begun
        self._snapshot = Workspace(Path(self._worktree.root), None)
        self._tools: dict[str, Tool] = {}
        self._bind()

    def edits_before(self, epoch: int) -> int:
        return self._project.edits_before(epoch)

    # ------------------------------------------------------------ looks

    async def look(
        self, tool: Tool, arguments: Mapping[str, JSON], *, as_text: bool = False
    ) -> tuple[Outcome, Observation | None]:
        """One that has nothing to do with files is run as it is."""
        here = self._tools.get(tool.spec.name)
        if here is not None:
            await self._project.touch(self._witness, here.footprint(arguments))
            outcome = await outcome_of(here, arguments)
        elif tool.observes:
            await self._project.touch(self._witness, tool.footprint(arguments))
            here, outcome = await self._look_at_repository(tool.spec.name, arguments)
        else:
            return await self._project.look(self._witness, tool, arguments, as_text=as_text)
        if isinstance(outcome, BadArguments):  # then it has looked at nothing
            return outcome, None
        return outcome, self._saw(
            observation_of(here, arguments, outcome, as_text=as_text, epoch=self._epoch, aside=True)
        )

    async def _look_at_repository(self, name: str, arguments: Mapping[str, JSON]) -> tuple[Tool, Outcome]:
        """The repository is the project's own. What has been edited there since the snapshot is as that has it."""
        async with self._project.lock.shared():
            since = {
                path: await self._in_snapshot(path) for path in self._project.timeline.own.edited_since(self._epoch)
            }
            over = {**since, **self._changes.files}
            tool = next(tool for tool in self._isolation.of_repository(over) if tool.spec.name == name)
            return tool, await outcome_of(tool, arguments)

    async def _in_snapshot(self, path: str) -> bytes | None:
        try:
            return await self._snapshot.read_present(Place.at(path), limit=MAX_FILE_BYTES)
        except (ToolFailed, ToolDenied):
            return None  # no file that anything could be told of

    def _saw(self, observation: Observation) -> Observation:
        self._project.timeline.saw(self._witness, observation)
        return observation

    # ------------------------------------------------------------ edits and commands

    async def edit(
        self, tool: EditingTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, Observation | None]:
        """Durable, with what `along` gives, before anyone hears of it. Nothing is written to the disk."""
        here = self._tools[tool.spec.name]
        assert isinstance(here, EditingTool)
        await self._project.touch(self._witness, here.footprint(arguments))
        try:
            plan = await here.plan(arguments)
        except BadArguments as error:
            return error, None
        except (ToolFailed, ToolDenied) as error:
            return error, await self._look_at_refused(here.file(arguments))
        made = await made_of(FileMade(path=plan.path, before=plan.before, after=plan.after))
        seen = made.seen(self._epoch, aside=True)
        if made.changes:
            await self._make([made], along(plan.result, [seen]))
        return plan.result, self._saw(seen)

    async def command(
        self, tool: CommandTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, tuple[Observation, ...]]:
        """It has seen all files of the snapshot. What it made of those that git does not ignore, is kept."""
        try:
            job = tool.job(arguments)
        except (ToolFailed, ToolDenied) as error:
            return error, ()
        await self._project.touch(self._witness, _EVERYTHING)
        tree = tree_observation(self._worktree.tree, epoch=self._epoch, aside=True)
        try:
            async with self._worktree.bench.working(job, self._changes.files) as worked:
                end, files, lost = worked.end, worked.files, sorted({*worked.refused, *worked.beside})
        except CommandsRefused as error:
            raise SetupError(error.message) from error
        except CommandUnavailable as error:
            return ToolFailed(error.message), ()
        except ToolFailed as error:  # it could not be set up
            return error, ()
        result = tool.told(job, end, [made.path for made in files], lost)  # a worktree keeps contents of files alone
        made = [await made_of(file) for file in files]
        seen = (tree, *[each.seen(self._epoch, aside=True) for each in made])
        if made:
            await self._make(made, along(result, seen))
        return result, tuple(map(self._saw, seen))

    async def _look_at_refused(self, path: str | None) -> Observation | None:
        """What an edit that came to nothing has seen: the file."""
        if path is None:
            return None
        state = self._tools[FILE_STATE]
        outcome = await outcome_of(state, {"path": path})
        return self._saw(observation_of(state, {"path": path}, outcome, epoch=self._epoch, aside=True))

    async def _make(self, made: Sequence[Made], along: Sequence[Record]) -> None:
        contents = [side for each in made for side in each.contents]
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.CancelScope(shield=True):  # bounded by the store's own limits: what is durable has happened
            await self._journal.commit([*contents, *self._begun(), *along], [])
        for each in made:
            self._changes.make(each.path, each.file.before, each.file.after)
        self._bind()

    def _bind(self) -> None:
        tools = self._isolation.tools(self._worktree.root, self._changes.files)
        self._tools = {tool.spec.name: tool for tool in tools}
