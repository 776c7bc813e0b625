"""What breaks when a rule for commands, worktrees, merges or gates is left out, each with a story that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tests.support.editing_scripts import Agent, Direct, Several, Tree
from tests.support.editing_stories import Go, Held, Story, Write, tell
from tests.support.editing_stories import nothing_set as nothing_set
from tests.support.zygotes import zygote as zygote
from vibe_workflows.engine import isolated as isolated_module
from vibe_workflows.engine import merging as merging_module
from vibe_workflows.engine.errors import VibeError
from vibe_workflows.engine.isolated import IsolatedWork
from vibe_workflows.engine.merging import Merged, Trio
from vibe_workflows.engine.model import FILE_TREE, Observation
from vibe_workflows.engine.observe import Replayer, View
from vibe_workflows.engine.ports import FileChange
from vibe_workflows.engine.timeline import opening as opening_module
from vibe_workflows.engine.timeline import timeline as timeline_module
from vibe_workflows.engine.timeline.disk import Disk
from vibe_workflows.engine.worktrees.changes import Changes
from vibe_workflows.engine.worktrees.hands import WorktreeHands
from vibe_workflows.engine.worktrees.landing import MergeQueue
from vibe_workflows.sandbox.launcher import Zygote

RUN, KILL, DIE = Go(), Go("kill", 1), Go("die", 1)
TEXT = "one\ntwo\nthree\n"
HELD: Held = {"a.py": TEXT, "b.py": TEXT, "n.md": TEXT, ".gitignore": "*.log\n", "out.log": "one\n"}
READ_A, READ_B, EDIT_A, EDIT_B, END_OF_A, WRITE_B, THREE_FILES = 0, 1, 12, 13, 16, 27, 29


#: Steps at the same time may come in an order that needs no rule.
TRIES = 5


def aside(name: str, *turns: tuple[int, ...], merge: str = "auto", gate: int = 0) -> Agent:
    return Agent(name, turns, worktree=merge, gate=gate)


EDITS_AND_READS = aside("P", (EDIT_A,), (READ_A,))
#: P takes its snapshot before Q edits, and is at work for longer.
MEANWHILE = Several(True, (aside("P", (READ_B,), (READ_B,), (READ_B,), (READ_A,)), Agent("Q", ((EDIT_A,),))))
BOTH_MERGE = Several(True, (aside("P", (READ_B,), (EDIT_A,)), aside("Q", (END_OF_A,))))
#: The gate of P is run again on what comes of the merge, as Q is merged first.
BOTH_GATED = Several(True, (aside("P", *[(READ_B,)] * 4, (EDIT_A,), gate=3), aside("Q", (EDIT_B,))))


def _changes_in_a_worktree_are_not_seen_there(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timeline_module, "_is_over_changes", lambda seen: False)


def _changes_in_a_worktree_are_seen_everywhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timeline_module, "_is_over_changes", lambda seen: True)


def _a_worktree_is_looked_at_now(patch: pytest.MonkeyPatch) -> None:
    saw = WorktreeHands._saw

    def saw_now(self: WorktreeHands, observation: Observation) -> Observation:
        return saw(self, msgspec.structs.replace(observation, epoch=self._project.next_epoch()))

    patch.setattr(WorktreeHands, "_saw", saw_now)


def _commands_see_nothing(patch: pytest.MonkeyPatch) -> None:
    comes_out = Replayer.comes_out

    async def is_so(self: Replayer, seen: Observation, view: View, present: Mapping[str, str | None]) -> bool:
        return seen.tool == FILE_TREE or await comes_out(self, seen, view, present)

    patch.setattr(Replayer, "comes_out", is_so)


def _what_commands_change_is_no_edit(patch: pytest.MonkeyPatch) -> None:
    async def make_all(self: Disk, step: object, number: object, plans: Any, seen: object, along: object) -> None:
        for plan in plans:
            await self._files.write(plan.path, plan.before, plan.after)

    patch.setattr(Disk, "make_all", make_all)


def _edits_of_one_call_are_made_one_by_one(patch: pytest.MonkeyPatch) -> None:
    async def is_made(group: Sequence[FileChange], made: Collection[int], *_: object) -> bool:
        return any(entry.epoch in made for entry in group)

    patch.setattr(opening_module, "_is_made", is_made)


def _a_new_snapshot_is_all_that_there_is(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(isolated_module, "stored_changes", lambda *_: Changes())


def _what_others_did_meanwhile_is_overwritten(patch: pytest.MonkeyPatch) -> None:
    async def theirs(differ: object, files: Sequence[Trio]) -> Merged:
        return Merged(files={file.path: file.theirs for file in files})

    patch.setattr(merging_module, "merged", theirs)


def _a_merge_is_made_before_its_answer_is_stored(patch: pytest.MonkeyPatch) -> None:
    land = MergeQueue.land

    async def land_alone(self: MergeQueue, arrival: Any) -> None:
        along = arrival.along
        told: list[object] = []

        def nothing(seen: Sequence[Observation]) -> Sequence[object]:
            told.extend(along(seen))
            return []

        await land(self, msgspec.structs.replace(arrival, along=nothing))

    patch.setattr(MergeQueue, "land", land_alone)


def _a_gate_is_run_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(IsolatedWork, "_merged_gate", lambda self, turn: None)


def _a_gate_on_a_merge_sees_nothing(patch: pytest.MonkeyPatch) -> None:
    decide = MergeQueue._decide

    async def without_looks(self: MergeQueue, arrival: Any) -> Any:
        return msgspec.structs.replace(await decide(self, arrival), looks=())

    patch.setattr(MergeQueue, "_decide", without_looks)


def _what_a_gate_saw_may_be_of_before(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timeline_module, "_may_be_apart", lambda witness: any(seen.aside for seen in witness.observations))


#: Stories that went wrong once: the workflow, what happens, and how many model calls it takes.
TOLD_BEFORE: dict[str, tuple[Tree, Story, int]] = {
    "a gate whose edit was not made yet": (Agent("P", (), gate=3), [([], Go("die", 0))], 1),
    "a gate whose edit was made": (Agent("P", (), gate=3), [([], Go("die", 1))], 1),
    "a step goes on behind its gate, and another one was merged meanwhile": (
        Several(True, (aside("Q", (EDIT_B,)), aside("P", gate=3))),
        [([], Go("die", 1)), ([], RUN)],
        3,
    ),
    "a gate in a worktree whose edits were merged": (aside("P", (EDIT_A,), gate=3), [([], Go("die", 1))], 2),
}


@pytest.mark.parametrize("name", TOLD_BEFORE)
def test_stories_that_went_wrong_once(zygote: Zygote, name: str) -> None:
    tree, story, calls = TOLD_BEFORE[name]
    assert tell(zygote, tree, HELD, story, Counter()) == calls


#: For each rule a story that goes wrong without it: the workflow, what happens, and how many model calls it takes,
#: where too many of them are all that goes wrong.
WITNESSES: list[tuple[Callable[[pytest.MonkeyPatch], None], Tree, Story, int]] = [
    (_changes_in_a_worktree_are_not_seen_there, EDITS_AND_READS, [([], RUN)], 3),
    (_changes_in_a_worktree_are_seen_everywhere, EDITS_AND_READS, [([], RUN)], 3),
    (_a_worktree_is_looked_at_now, MEANWHILE, [([], RUN)], 7),
    (_commands_see_nothing, Direct("P", WRITE_B), [([], RUN), ([Write("n.md", "")], RUN)], 0),
    (_what_commands_change_is_no_edit, Agent("P", ((WRITE_B,),)), [([], RUN)], 2),
    (_edits_of_one_call_are_made_one_by_one, Direct("P", THREE_FILES), [([], Go("die", 3))], 0),
    (_a_new_snapshot_is_all_that_there_is, aside("P", (EDIT_A,), (READ_A,)), [([], Go("kill", 2)), ([], RUN)], 3),
    (_what_others_did_meanwhile_is_overwritten, BOTH_MERGE, [([], RUN)], 5),
    (_a_merge_is_made_before_its_answer_is_stored, aside("P", (EDIT_A,)), [([], DIE), ([], RUN)], 2),
    (
        _what_a_gate_saw_may_be_of_before,
        Several(True, (aside("P", gate=3), aside("Q", (READ_A,), (WRITE_B, READ_A), (READ_A,), merge="manual"))),
        [([], RUN), ([Write("n.md", TEXT)], RUN)],
        6,
    ),
    (_a_gate_is_run_once, BOTH_GATED, [([], RUN)], 8),
    (_a_gate_on_a_merge_sees_nothing, BOTH_GATED, [([], RUN)], 8),
]


@pytest.mark.parametrize(
    ("leave_out", "tree", "story", "calls"), WITNESSES, ids=[each[0].__name__.strip("_") for each in WITNESSES]
)
def test_a_rule_that_is_left_out_is_noticed(
    zygote: Zygote,
    monkeypatch: pytest.MonkeyPatch,
    leave_out: Callable[[pytest.MonkeyPatch], None],
    tree: Tree,
    story: Story,
    calls: int,
) -> None:
    def told() -> int:
        return tell(zygote, tree, HELD, story, Counter())

    assert told() == calls
    leave_out(monkeypatch)
    with pytest.raises((AssertionError, VibeError)):
        assert [told() for _ in range(TRIES)] == [calls] * TRIES
