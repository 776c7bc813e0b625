"""Steps that work in a worktree, and those that merge what was done in one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from .agents.task import AgentOutcome
from .errors import SetupError, StepFault, ToolFailed
from .keys import canonical_json
from .live_step import LiveStep, StepOutcome, StepServices
from .merging import patch_text
from .model import FILE_TREE, Observation, StepStatus, Turn
from .observe import tree_observation
from .ports import CutOffStep, FileMade, Record, ToolResult
from .step import StepWork
from .worktrees.changes import Changes, stored_changes
from .worktrees.hands import WorktreeHands
from .worktrees.isolation import Isolation
from .worktrees.landing import Arrival, Gate, MergeQueue
from .worktrees.opening import Opened, open_worktree


class _LandingWork(StepWork):
    """A step whose answer is stored together with what it brings into the project."""

    def __init__(self, item: LiveStep, services: StepServices, isolation: Isolation, queue: MergeQueue) -> None:
        super().__init__(item, services)
        self._isolation = isolation
        self._queue = queue
        self._landed: StepOutcome | None = None  # it is in the project, whatever happens now

    def cancelled(self) -> StepOutcome:
        return self._landed or super().cancelled()

    def _failed(self, error: StepFault, status: StepStatus) -> StepOutcome:
        return self._landed or super()._failed(error, status)

    async def _land(
        self,
        changes: Sequence[FileMade],
        answer: str,
        observations: tuple[Observation, ...] = (),
        gate: Gate | None = None,
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
            gate=gate,
        )
        await self._queue.land(arrival)
        assert outcome is not None, "what lands is stored"
        self._landed = outcome
        return outcome


class IsolatedWork(_LandingWork):
    """Of an agent in a worktree of its own."""

    _opened: Opened
    _changes: Changes
    _knows_changes = True

    @asynccontextmanager
    async def _prepared(self) -> AsyncIterator[None]:
        item, project = self._item, self._services.project
        if item.cut_off is None:  # one that goes on does not look at files with pending edits
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
        assert self._agent is not None
        await self._agent.record_answer()  # others may take long to be merged before it
        self._patch = await patch_text(None, changes)
        if self._item.spec.merge != "auto":
            return await super()._completed(done)
        answer = canonical_json(done.answer).decode()
        return await self._land(changes, answer, done.observations, self._merged_gate(done.last_turn))

    def _merged_gate(self, turn: Turn) -> Gate | None:
        """It judges the same turn once more."""
        argv, command = self._item.spec.gate, self._item.gate_tool
        if not argv:
            return None
        from .gates import GateTool, gate_call
        from .worktrees.merged_gate import MergedGate  # few steps have a gate

        assert command is not None
        clock = self._services.wall_clock

        async def ran(told: ToolResult, started_at: float) -> None:
            call = gate_call(turn, argv, told, (), started_at=started_at, finished_at=clock(), after_merge=True)
            await self._record_tools([call])

        return MergedGate(
            tool=GateTool(command, argv),
            tree=self._judged_tree(turn),
            left_s=self._limit.left_s,
            moved=lambda: self._services.project.timeline.own.edited_since(self._opened.epoch),
            ran=ran,
            clock=clock,
        )

    def _judged_tree(self, turn: Turn) -> str:
        """The digest of all files of the project that the gate has seen; empty where that is not known any more.

        A step that goes on behind its gate has another snapshot by now.
        """
        tree = self._opened.worktree.tree
        if self._judged is None or self._judged.turn != turn.number:
            return tree
        looks = {seen.digest for seen in self._judged.observations if seen.tool == FILE_TREE}
        return tree if tree_observation(tree, epoch=0).digest in looks else ""


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
