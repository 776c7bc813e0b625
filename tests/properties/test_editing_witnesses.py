"""What breaks when one of the rules for steps that edit files is left out, each with a story that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from tests.support.editing_scripts import Agent, Direct, Several, Tree
from tests.support.editing_stories import (
    Go,
    Held,
    Rewrite,
    Story,
    Write,
    tell,
)
from tests.support.editing_stories import nothing_set as nothing_set
from tests.support.zygotes import zygote as zygote
from vibe_workflows.engine.errors import VibeError
from vibe_workflows.engine.model import Cause, Edit, Observation, StepId
from vibe_workflows.engine.ports import PlannedEdit, Record
from vibe_workflows.engine.retracing import Retracing
from vibe_workflows.engine.store.histories import Histories
from vibe_workflows.engine.timeline import opening as opening_module
from vibe_workflows.engine.timeline import project as project_module
from vibe_workflows.engine.timeline.disk import Disk
from vibe_workflows.engine.timeline.made import contents_of
from vibe_workflows.engine.timeline.own_edits import OwnEdits
from vibe_workflows.engine.timeline.project import Project
from vibe_workflows.engine.timeline.timeline import Doubt, Timeline, Witness
from vibe_workflows.sandbox.launcher import Zygote

RUN, KILL, DIE, FAIL, FRESH = Go(), Go("kill", 1), Go("die", 1), Go("fail", 2), Go("fresh")
HELD: Held = {"a.py": "one\ntwo\nthree\n", "b.py": "one\ntwo\nthree\n"}
READ_A, READ_B, LINE_OF_B, EDIT_A, EDIT_B, END_OF_A, WRITE_NEW = 0, 1, 5, 12, 13, 16, 24
READS_A, EDITS_A, EDITS_B = Agent("R", ((READ_A,),)), Agent("P", ((READ_A,), (EDIT_A,))), Agent("N", ((EDIT_B,),))
LINE_AND_EDIT = Agent("P", ((LINE_OF_B, EDIT_A),))
BOTH_FILES = Agent("P", ((READ_B,), (EDIT_A,)))
ATTACHED = Agent("P", (), files=("a.py",))
READ_THEN_EDIT = Several(False, (READS_A, EDITS_A))

#: Stories that went wrong once: the workflow, its files, what happens, and how many model calls it takes.
TOLD_BEFORE: dict[str, tuple[Tree, Held, Story, int]] = {
    "a call is left over while another one's results have edited files, and no edit is the workflow's own": (
        Several(True, (Agent("Q", ((WRITE_NEW,),)), Direct("P", EDIT_A))),
        {"a.py": "needle\n"},
        [([], RUN), ([], FRESH)],
        4,
    ),
    "a step that went on after its edits is applied once they are all taken back": (
        Several(False, (Agent("P", ((READ_A, EDIT_A, READ_A),)), Agent("Q", ()))),
        HELD,
        [([], KILL), ([], RUN), ([Write("a.py", HELD["a.py"])], RUN)],
        3,
    ),
    "branches that edited and were cut off, each of which begins at the place of the other one": (
        Several(True, (Agent("P", ((EDIT_A,),)), EDITS_B)),
        HELD,
        [([], Go("kill", 2)), ([], RUN)],
        4,
    ),
    "an edit that is refused touches the file that it looked at": (
        Several(False, (READS_A, Agent("P", ((END_OF_A,),)))),
        HELD,
        [([], RUN), ([Rewrite(Several(False, (Agent("N", ((END_OF_A,),)), READS_A, Agent("Q", (), True))))], RUN)],
        9,
    ),
}


@pytest.mark.parametrize("name", TOLD_BEFORE)
def test_stories_that_went_wrong_once(zygote: Zygote, name: str) -> None:
    tree, held, story, calls = TOLD_BEFORE[name]
    assert tell(zygote, tree, held, story, Counter()) == calls


# ---------------------------------------------------------------- what breaks when a rule is left out


def _nothing_is_retraced(patch: pytest.MonkeyPatch) -> None:
    async def doubted(self: Timeline, witness: Witness) -> Doubt:
        return Doubt(cause=Cause.EDITED_SINCE, path="")

    patch.setattr(Timeline, "retraced", doubted)


def _the_order_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Timeline, "_out_of_order", lambda self, witness: False)


def _answers_are_not_looked_at_again(patch: pytest.MonkeyPatch) -> None:
    async def nobody(self: Timeline) -> None:
        return None

    patch.setattr(Timeline, "_refuted", nobody)


async def _not_adopted(self: Project, *touched: object) -> None:
    return None


def _what_is_left_is_not_adopted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Project, "adopt_rest", _not_adopted)


def _what_is_touched_is_not_adopted(patch: pytest.MonkeyPatch) -> None:
    """Else it would be adopted in the end."""
    for name in ("claim", "touch", "adopt_rest"):
        patch.setattr(Project, name, _not_adopted)


def _a_hand_edit_on_top_is_overlooked(patch: pytest.MonkeyPatch) -> None:
    def all_of_it(self: OwnEdits, path: str, candidates: set[int]) -> list[Edit]:
        return [edit for edit in self._chains[path] if edit.epoch in candidates]

    patch.setattr(OwnEdits, "_unbroken", all_of_it)


def _applied_steps_keep_their_epochs(patch: pytest.MonkeyPatch) -> None:
    def restamped(what: Any, **fields: Any) -> Any:
        return what if isinstance(what, Observation) else msgspec.structs.replace(what, **fields)

    patch.setattr(project_module, "replace", restamped)


def _files_are_written_before_it_is_said(patch: pytest.MonkeyPatch) -> None:
    async def make(
        self: Disk, step: StepId, number: int, plan: PlannedEdit, seen: Observation, along: Sequence[Record]
    ) -> None:
        await self._files.write(plan.path, plan.before, plan.after)
        (entry,) = self.entries(step, [seen])
        done = msgspec.structs.replace(entry, done=True)
        change = entry.change
        contents = contents_of((change.before, plan.before), (change.after, plan.after))
        await self._journal.commit([*contents, done, *along], [])

    patch.setattr(Disk, "make", make)


def _edits_of_the_dead_are_not_settled(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object, **__: object) -> None:
        return None

    patch.setattr(opening_module, "_settle", nothing)


def _calls_that_edited_are_made_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Histories, "_kept", lambda self, last: [])


def _attempts_are_steps_of_their_own(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Retracing, "_attempt", lambda self, call: None)


def _attached_files_are_not_observed(patch: pytest.MonkeyPatch) -> None:
    give = Project.give

    async def give_blindly(self: Project, witness: Witness, paths: Any, look: Any, **wanted: Any) -> Any:
        files, _ = await give(self, Witness(witness.id, witness.past), paths, look, **wanted)
        return files, ()

    patch.setattr(Project, "give", give_blindly)


#: For each rule a story that goes wrong without it: the workflow, its files, and what happens; and how many model calls
#: it takes, where too many of them are all that goes wrong.
WITNESSES: list[tuple[Callable[[pytest.MonkeyPatch], None], Tree, Held, Story, int]] = [
    (_nothing_is_retraced, EDITS_A, HELD, [([], RUN)], 3),
    (
        _the_order_is_not_checked,
        READ_THEN_EDIT,
        HELD,
        [([], RUN), ([Rewrite(Several(False, (EDITS_A, READS_A)))], RUN)],
        7,
    ),
    (
        _answers_are_not_looked_at_again,
        READ_THEN_EDIT,
        HELD,
        [([], RUN), ([Rewrite(Several(False, (READS_A, Agent("N", ((READ_A,),)), EDITS_A)))], RUN)],
        12,
    ),
    (_what_is_left_is_not_adopted, READ_THEN_EDIT, HELD, [([], RUN), ([Rewrite(READS_A)], RUN)], 7),
    (
        _what_is_touched_is_not_adopted,
        READ_THEN_EDIT,
        HELD,
        [([], RUN), ([Rewrite(Several(False, (Agent("N", ((READ_A,),)), READS_A)))], RUN)],
        9,
    ),
    (_a_hand_edit_on_top_is_overlooked, EDITS_A, HELD, [([], RUN), ([Write("a.py", "one\nby hand\n")], RUN)], 6),
    (
        _applied_steps_keep_their_epochs,
        LINE_AND_EDIT,
        HELD,
        [([], RUN), ([Write("a.py", HELD["a.py"]), Rewrite(Several(False, (EDITS_B, LINE_AND_EDIT)))], RUN)],
        4,
    ),
    (_files_are_written_before_it_is_said, EDITS_A, HELD, [([], DIE), ([], RUN)], 3),
    (_edits_of_the_dead_are_not_settled, EDITS_A, HELD, [([], DIE), ([], RUN)], 3),
    (_calls_that_edited_are_made_again, EDITS_A, HELD, [([], Go("kill", 2)), ([], RUN)], 3),
    (
        _attempts_are_steps_of_their_own,
        Several(False, (READS_A, BOTH_FILES)),
        HELD,
        [([], FAIL), ([Write("b.py", "two\n")], RUN)],
        7,
    ),
    (
        _attached_files_are_not_observed,
        Agent("P", (), files=("a.py",)),
        HELD,
        [([], RUN), ([Write("a.py", "")], RUN)],
        2,
    ),
]


@pytest.mark.parametrize(
    ("leave_out", "tree", "held", "story", "calls"), WITNESSES, ids=[each[0].__name__.strip("_") for each in WITNESSES]
)
def test_a_rule_that_is_left_out_is_noticed(
    zygote: Zygote,
    monkeypatch: pytest.MonkeyPatch,
    leave_out: Callable[[pytest.MonkeyPatch], None],
    tree: Tree,
    held: Held,
    story: Story,
    calls: int,
) -> None:
    assert tell(zygote, tree, held, story, Counter()) == calls
    leave_out(monkeypatch)
    with pytest.raises((AssertionError, VibeError)):
        assert tell(zygote, tree, held, story, Counter()) == calls
