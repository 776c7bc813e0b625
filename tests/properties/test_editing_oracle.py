"""Steps that edit files against an oracle: some execution explains every run, and no call is needless."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.editing_scripts import EDITS, LOOKS, Agent, Direct, Leaf, Several, Tree, in_one_way, leaves_of
from tests.support.editing_world import OTHER_FLOW, Files, Outcome, World, files_in
from tests.support.explained import explain
from tests.support.explained_answers import check_nothing_needless, is_refused
from tests.support.memory_folder import memory_folder
from tests.support.reuse_world import CONTENTS, PATHS
from tests.support.zygotes import zygote as zygote
from vibe_workflows.engine.errors import VibeError
from vibe_workflows.engine.model import Cause, Edit, Observation, RunStatus
from vibe_workflows.engine.ports import FileChange, PlannedEdit, Record, ToolResult
from vibe_workflows.engine.retracing import Retracing
from vibe_workflows.engine.store.histories import Histories
from vibe_workflows.engine.timeline import opening as opening_module
from vibe_workflows.engine.timeline import project as project_module
from vibe_workflows.engine.timeline.own_edits import OwnEdits
from vibe_workflows.engine.timeline.project import Project
from vibe_workflows.engine.timeline.timeline import Doubt, Timeline, Witness
from vibe_workflows.sandbox.launcher import Zygote

NAMES = "PQRS"
KINDS = ("content", "new", "delete", "unread", "revert", "on top", "undo", "prompt", "order", "more", "fewer", "dress")
RUNS = ("run", "kill", "die", "fail", "fresh", "accept", "other")
#: The other half are of steps that only look: test_reuse_oracle.py.
CASES = int(os.environ.get("VIBE_ORACLE_CASES", "500")) // 2
#: A file that no step reads by its name.
FREE = "elsewhere/free.txt"
#: So often each kind of happening must have been followed by a hit, and by a miss.
LEAST = 3

deeds = st.one_of(
    st.sampled_from([0, 1, 3, 4, 5]), st.sampled_from(EDITS), st.sampled_from(LOOKS), st.sampled_from(EDITS)
)
turns = st.lists(st.lists(deeds, min_size=1, max_size=2).map(tuple), max_size=3).map(tuple)
attached = st.sampled_from([(), (), (), ("a.py",), ("b.py",)])
leaves: st.SearchStrategy[Leaf] = st.one_of(
    st.builds(Agent, st.sampled_from(NAMES), turns, st.booleans(), attached),
    st.builds(Agent, st.sampled_from(NAMES), turns, st.booleans(), attached),
    st.builds(Direct, st.sampled_from(NAMES), st.sampled_from(EDITS), st.booleans()),
)
parts: st.SearchStrategy[Tree] = st.recursive(
    leaves,
    lambda part: st.builds(Several, st.booleans(), st.lists(part, min_size=1, max_size=3).map(tuple)),
    max_leaves=4,
)
trees = st.builds(Several, st.booleans(), st.lists(parts, min_size=2, max_size=3).map(tuple))
#: Those that are attached are there, to begin with: without them a workflow fails.
files = st.fixed_dictionaries(
    {path: st.sampled_from(CONTENTS[2 if path in ("a.py", "b.py") else 1 :]) for path in PATHS}
)


@dataclass(frozen=True)
class Happening:
    """Something that happens between two runs."""

    kind: str
    seed: int


@dataclass(frozen=True)
class Write:
    """A certain edit of a certain file by hand."""

    path: str
    content: str | None
    kind: str = "content"


@dataclass(frozen=True)
class Rewrite:
    """The script is another one from now on."""

    tree: Tree
    kind: str = "script"


@dataclass(frozen=True)
class Go:
    """A run: to its end, interrupted at its `number`-th model call, or with a provider that refuses some steps."""

    kind: str = "run"
    number: int = 1


Held: TypeAlias = dict[str, str | None]
Event: TypeAlias = Happening | Write | Rewrite
Story: TypeAlias = list[tuple[list[Event], Go]]

happenings = st.builds(Happening, st.sampled_from(KINDS), st.integers(0, 2**16))
runs = st.builds(Go, st.sampled_from(["run", *RUNS, "kill", "die"]), st.integers(0, 8))
stories = st.lists(st.tuples(st.lists(happenings, max_size=2), runs), min_size=1, max_size=3)


def _reshaped(tree: Tree, dice: random.Random, kind: str) -> Tree:
    new = Agent("N", ((dice.choice(LOOKS),), (dice.choice(EDITS),))[dice.randrange(2) :])
    if not isinstance(tree, Several):
        return Several(dice.random() < 0.5, (tree, new)) if kind == "more" else tree
    inner = list(tree.parts)
    place = dice.randrange(len(inner))
    if dice.random() < 0.5 and isinstance(inner[place], Several):
        inner[place] = _reshaped(inner[place], dice, kind)
    elif kind == "order":
        dice.shuffle(inner)
    elif kind == "fewer" and len(inner) > 1:
        inner.pop(place)
    elif kind == "more":
        inner.insert(place, dice.choice([inner[place], new]))
    return Several(tree.together, tuple(inner))


def _renamed(tree: Tree, leaf: Leaf, name: str) -> Tree:
    if isinstance(tree, Several):
        return Several(tree.together, tuple(_renamed(part, leaf, name) for part in tree.parts))
    return replace(tree, name=name) if tree == leaf else tree


def apply(world: World, happening: Event) -> None:
    if isinstance(happening, Write):
        world.write(happening.path, happening.content)
        return
    if isinstance(happening, Rewrite):
        world.tree = happening.tree
        return
    dice = random.Random(happening.seed)
    match happening.kind:
        case "content" | "new" | "delete" | "unread" | "revert" | "on top":
            _edit_by_hand(world, happening.kind, dice)
        case "prompt":
            leaf = dice.choice([leaf for _, leaf in leaves_of(world.tree)])
            world.tree = _renamed(world.tree, leaf, dice.choice(NAMES + "Z"))
        case "undo":
            world.undo()
        case "dress":
            world.dressing = dice.choice(("plain", "other", "third"))
            world.concurrency = dice.choice((1, 2, 16))
        case _:
            world.tree = _reshaped(world.tree, dice, happening.kind)


def _edit_by_hand(world: World, kind: str, dice: random.Random) -> None:
    edited = world.edited()
    match kind:
        case "content":
            world.write(dice.choice(PATHS), dice.choice(CONTENTS[2:]))
        case "new":
            world.write(dice.choice(("new.py", "sub/new.py", "new.md")), dice.choice(CONTENTS[2:]))
        case "delete":
            world.write(dice.choice(sorted(files_in(world.folder)) or ["a.py"]), None)
        case "unread":
            world.write(FREE, str(dice.random()))
        case "revert" if edited:
            world.write(*dice.choice(edited))
        case "on top" if edited:
            path, _ = dice.choice(edited)
            world.write(path, f"one\nby hand {dice.random()}\nthree\n")


def go(world: World, run: Go, tree: Tree) -> Outcome | None:
    """`tree` is what the other workflow of the project does. None: the process died."""
    outcome = _go(replace(world, tree=tree, flow=OTHER_FLOW) if run.kind == "other" else world, run)
    if outcome is not None and not outcome.killed and not is_refused(outcome):
        check(world, outcome)
    return outcome


def _go(world: World, run: Go) -> Outcome | None:
    match run.kind:
        case "kill":
            return world.run(kill_at=run.number)
        case "die":
            return world.run(die_at=1 + run.number // 2, die_late=bool(run.number % 2))
        case "fail":
            return world.run(failing=frozenset(NAMES[: 1 + run.number % 2]))
        case "fresh":
            return world.run(fresh=True)
        case "accept":
            return world.run(accept=True)
        case _:
            return world.run()


def check(world: World, outcome: Outcome) -> None:
    assert outcome.report.run.status in (RunStatus.COMPLETED, RunStatus.FAILED), outcome.report
    if outcome.report.run.status is RunStatus.COMPLETED:
        # One that failed has not come to all of its steps: whether their edits count is open.
        explain(world, outcome)
        check_nothing_needless(world, outcome)


def failed(world: World, outcome: Outcome) -> bool:
    """Whether a step of the run did: it is tried again, on the files as they lie."""
    statuses = world.rows("SELECT 1 FROM deliveries WHERE run_id = ? AND status = 'failed'", outcome.report.run.id)
    return bool(statuses) or outcome.report.run.status is not RunStatus.COMPLETED


def tell(zygote: Zygote, tree: Tree, held: Held, story: Story, seen: Counter[tuple[str, str]]) -> int:
    """Play a story in a fresh project; `seen` counts what came of each kind of happening.

    Gives how many model calls the whole of it took.
    """
    with a_project(zygote, tree, held) as world:
        for before, run in story:
            for happening in before:
                apply(world, happening)
            outcome = go(world, run, tree)
            if outcome is None:
                seen[run.kind, "miss"] += 1
                continue
            for kind in {run.kind, *(each.kind for each in before)}:
                seen[kind, "hit"] += outcome.report.run.stored_steps > 0
                seen[kind, "miss"] += outcome.report.run.live_steps > 0
        last = go(world, Go(), tree)
        assert last is not None
        left, paid = files_in(world.folder), world.paid
        if not failed(world, last):
            final = go(world, Go(), tree)
            assert final is not None
            assert world.paid == paid, "a rerun of what nobody changed is free"
            assert final.report.result == last.report.result
            assert files_in(world.folder) == left
            if is_quiet(story) and not world.rows("SELECT 1 FROM steps WHERE status = 'failed'"):
                check_paid_once(zygote, tree, held, last, paid, left)
        return world.paid


def is_quiet(story: Story) -> bool:
    """Whether there were only interruptions, and changes that count for nothing."""
    kinds = {run.kind for _, run in story} | {each.kind for before, _ in story for each in before}
    return kinds <= {"run", "kill", "die", "dress"}


def check_paid_once(zygote: Zygote, tree: Tree, held: Held, last: Outcome, paid: int, left: Files) -> None:
    """Interruptions cost no model call, and change nothing of what comes out."""
    assert paid == sum(len(leaf.turns) + 1 for _, leaf in leaves_of(tree) if isinstance(leaf, Agent))
    if in_one_way(tree):
        with a_project(zygote, tree, held) as scratch:
            once = scratch.run()
            assert once is not None
            assert once.report.result == last.report.result
            assert files_in(scratch.folder) == left


@contextmanager
def a_project(zygote: Zygote, tree: Tree, held: Held) -> Iterator[World]:
    with memory_folder() as project, pytest.MonkeyPatch.context() as patch:
        (project / "vibe.yaml").write_text("")
        patch.chdir(project)
        world = World(zygote, project, tree)
        for path, content in held.items():
            world.write(path, content)
        yield world


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A person with one home, who makes many projects."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_every_run_is_explained_and_no_call_is_needless(zygote: Zygote) -> None:
    seen: Counter[tuple[str, str]] = Counter()  # what came of each kind of happening

    @settings(max_examples=CASES)
    @given(trees, files, stories)
    def stories_hold(tree: Tree, held: Held, story: Story) -> None:
        tell(zygote, tree, held, story, seen)

    stories_hold()
    pairs = {*product((*KINDS, *RUNS), ("hit", "miss"))} - {("fresh", "hit")}
    few = {pair: seen[pair] for pair in sorted(pairs)}
    assert min(few.values()) >= LEAST or CASES < 250, few


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
    for name in ("claim", "_claim", "adopt_rest"):
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
        self: Project, witness: Witness, number: int, plan: PlannedEdit, seen: Observation, along: Sequence[Record]
    ) -> tuple[ToolResult, Observation]:
        assert seen.change is not None
        await self._files.write(plan.path, plan.before, plan.after)
        entry = FileChange(epoch=seen.epoch, change=seen.change, step_id=witness.id, run_id=self._run_id, done=True)
        await self._journal.commit([*project_module._contents(plan, seen.change), entry, *along], [])
        self.timeline.saw(witness, seen)
        return plan.result, seen

    patch.setattr(Project, "_make", make)


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

    async def give_blindly(self: Project, witness: Witness, paths: Any, look: Any) -> Any:
        files, _ = await give(self, Witness(witness.id, witness.past), paths, look)
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
