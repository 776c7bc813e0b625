"""Steps that work in a worktree, and those that merge what was done in one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from .agents.task import AgentOutcome
from .errors import SetupError, StepFault, ToolFailed
from .keys import canonical_json
from .merging import patch_text
from .model import Observation, StepStatus
from .ports import CutOffStep, FileMade, Record
from .step import LiveStep, StepOutcome, StepServices, StepWork
from .worktrees.changes import Changes, stored_changes
from .worktrees.hands import WorktreeHands
from .worktrees.isolation import Isolation
from .worktrees.landing import Arrival, Gate, MergeQueue
from .worktrees.opening import open_worktree


class _LandingWork(StepWork):
    """A step whose answer is stored together with what it brings into the project."""

    def __init__(self, item: LiveStep, services: StepServices, isolation: Isolation, queue: MergeQueue) -> None:
        super().__init__(item, services)
        self._isolation = isolation
        self._queue = queue
        self._gate: Gate | None = None
        self._landed: StepOutcome | None = None  # it is in the project, whatever happens now

    def cancelled(self) -> StepOutcome:
        return self._landed or super().cancelled()

    def _failed(self, error: StepFault, status: StepStatus) -> StepOutcome:
        return self._landed or super()._failed(error, status)

    async def _land(
        self, changes: Sequence[FileMade], answer: str, observations: tuple[Observation, ...] = ()
    ) -> StepOutcome:
        """Merge them, and give what the step comes to with that. Raises as `MergeQueue.land`."""
        outcome: StepOutcome | None = None

        def along(seen: Sequence[Observation]) -> Sequence[Record]:
            nonlocal outcome
            outcome = self._outcome(StepStatus.COMPLETED, answer, None, (), (*observations, *seen))
            return outcome.records

        arrival = Arrival(
            witness=self._item.witness,
            number=self._item.number,
            changes=changes,
            along=along,
            paused=self._limit.paused,
            gate=self._gate,
        )
        await self._queue.land(arrival)
        assert outcome is not None, "what lands is stored"
        self._landed = outcome
        return outcome


class IsolatedWork(_LandingWork):
    """Of an agent in a worktree of its own."""

    _changes: Changes
    _knows_changes = True

    @asynccontextmanager
    async def _prepared(self) -> AsyncIterator[None]:
        item, project = self._item, self._services.project
        for path in item.spec.files:
            await project.touch(item.witness, project.files.state.footprint({"path": path}))
        async with open_worktree(project, self._isolation.worktrees, self._look_at_files) as opened:
            self._changes = self._earlier_changes()
            self._hands = WorktreeHands(
                project=project,
                journal=self._services.journal,
                witness=item.witness,
                isolation=self._isolation,
                opened=opened,
                changes=self._changes,
                begun=self._begun,
            )
            self._opened = opened
            yield

    async def _look_at_files(self) -> None:
        if self._item.spec.files:
            await self._take_files(self._services.project.given)

    def _earlier_changes(self) -> Changes:
        """Those of the step that this one goes on with: they lie over a new snapshot now."""
        cut_off = self._item.cut_off
        if cut_off is None or not super()._goes_on(cut_off):
            return Changes()
        try:
            return stored_changes(cut_off.observations, self._isolation.contents)
        except ToolFailed:
            self._knows_changes = False
            return Changes()

    def _goes_on(self, cut_off: CutOffStep) -> bool:
        return self._knows_changes and super()._goes_on(cut_off)

    async def _completed(self, done: AgentOutcome) -> StepOutcome:
        """With the answer comes what was changed, if that is to be merged at once."""
        changes = self._changes.net
        if not changes:
            return await super()._completed(done)
        await self._record_turn(done.last_turn)  # others may take long to be merged before it
        self._stored_last_turn = True
        self._patch = await patch_text(None, changes)
        if self._item.spec.merge != "auto":
            return await super()._completed(done)
        return await self._land(changes, canonical_json(done.answer).decode(), done.observations)


class MergeWork(_LandingWork):
    """Of a script that merges what an agent did in a worktree."""

    async def _work(self) -> StepOutcome:
        """The answer: the paths of all files that the agent changed."""
        merged = self._item.spec.merged
        step = None if merged is None else self._isolation.step(merged)
        if step is None:
            raise SetupError(f"{self._item.label}: the step that it merges is not stored any more; run that again")
        try:
            changes = stored_changes(step.observations, self._isolation.contents).net
        except ToolFailed as error:
            raise ToolFailed(f"{self._item.label}: {error.message}; run the agent's step again") from error
        return await self._land(changes, canonical_json([made.path for made in changes]).decode())
