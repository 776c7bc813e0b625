"""Each rule about steps that edit files is needed: without it, a story goes wrong.

The stories are as short as they come; `test_edits_explained.py` holds the properties that all stories have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
import trio

from tests.support.dict_project import Files, Op
from tests.support.rules_world import HandEdit, Invocation, Kill, world
from tests.support.script_trees import Call, Several, Tree
from vibe_workflows.engine.agents import loop
from vibe_workflows.engine.model import Cause, Edit
from vibe_workflows.engine.ports import CutOffStep, StoredStep
from vibe_workflows.engine.retracing import Retracing
from vibe_workflows.engine.reuse import going_on
from vibe_workflows.engine.store import tables
from vibe_workflows.engine.timeline import opening
from vibe_workflows.engine.timeline.own_edits import OwnEdits
from vibe_workflows.engine.timeline.project import Project
from vibe_workflows.engine.timeline.timeline import Doubt, Timeline, Witness


@dataclass(frozen=True)
class Go:
    """A run. `turns`: how many model calls it takes; `same`: its result is that of the run before."""

    tree: Tree
    turns: int | None = None
    kill: Kill | None = None
    failing: Sequence[str] = ()
    hand_edit: HandEdit | None = None
    same: bool = False
    seed: int = 0  # for which turn goes on when


@dataclass(frozen=True)
class Write:
    """Somebody writes a file between two runs."""

    path: str
    data: bytes | None


Story: TypeAlias = Sequence[Go | Write]

FILES: Files = {"a.py": b"x\ny", "b.py": b"x\ny"}


async def tell(story: Story) -> None:
    before: Invocation | None = None
    with world(FILES) as project:
        for act in story:
            if isinstance(act, Write):
                project.write(act.path, act.data)
                continue
            run = await project.run(act.tree, act.seed, kill=act.kill, failing=act.failing, hand_edit=act.hand_edit)
            assert run.unexplained is None, run
            assert act.turns in (None, run.turns), run
            assert not act.same or before is None or run.result == before.result
            before = run


def seq(*parts: Tree) -> Several:
    return Several(False, parts)


def par(*parts: Tree) -> Several:
    return Several(True, parts)


def step(name: str, *turns: Op | Sequence[Op], takes: bool = False) -> Call:
    """`turns`: what it does in each, one op or several."""
    return Call(name, tuple(map(_turn, turns)), takes)


def _turn(ops: Op | Sequence[Op]) -> tuple[Op, ...]:
    several = tuple(op for op in ops if isinstance(op, tuple))
    return several or (tuple(op for op in ops if isinstance(op, str)),)


READ_A, READ_B, READ_N = (("read", path) for path in ("a.py", "b.py", "n.md"))
EDIT_A, EDIT_B, EDIT_N = (("edit", path) for path in ("a.py", "b.py", "n.md"))
WRITE_A, WRITE_B = ("write", "a.py"), ("write", "b.py")
NAMES = ("glob", ".py")

READER = step("reader", READ_A)
WRITER = step("writer", WRITE_A)
LATER = step("later", READ_A, takes=True)
EDITOR = step("editor", READ_A, EDIT_A)
AT_ONCE = step("at once", [READ_A, EDIT_A])
LISTING = step("listing", NAMES)
OTHER = step("other", WRITE_B)
VOTE = step("vote", READ_A)
VOTES = par(VOTE, seq(OTHER, VOTE))
P = step("P", EDIT_A, takes=True)
TWO = step("P", EDIT_A, EDIT_B, takes=True)


# ---------------------------------------------------------------- rules that are left out

Patch: TypeAlias = pytest.MonkeyPatch


async def _nothing(*_arguments: object, **_named: object) -> None:
    return None


def nothing_is_retraced(patch: Patch) -> None:
    async def doubted(_timeline: Timeline, witness: Witness) -> Doubt:
        return Doubt(cause=Cause.CHANGED)

    patch.setattr(Timeline, "retraced", doubted)


def looks_are_taken_on_the_files_as_they_lie(patch: Patch) -> None:
    patch.setattr(OwnEdits, "view", lambda own, footprint, epoch: own.now(footprint, {}))


def the_order_is_not_checked(patch: Patch) -> None:
    patch.setattr(Timeline, "_out_of_order", lambda timeline, witness: False)


def answers_are_not_looked_at_again(patch: Patch) -> None:
    patch.setattr(Timeline, "_refuted", _nothing)


def live_steps_adopt_nothing(patch: Patch) -> None:
    patch.setattr(Project, "claim", _nothing)
    patch.setattr(Project, "touch", _nothing)


def another_step_at_the_place_adopts_nothing(patch: Patch) -> None:
    patch.setattr(Timeline, "left_over", lambda timeline, steps: set())


def no_answer_comes_late(patch: Patch) -> None:
    patch.setattr(Retracing, "_late", _nothing)


def what_did_not_come_again_stays_pending(patch: Patch) -> None:
    patch.setattr(Project, "adopt_rest", _nothing)


def steps_are_own_in_part(patch: Patch) -> None:
    close = OwnEdits._close

    def in_part(own: OwnEdits, candidates: set[int]) -> None:
        steps, own.steps = own.steps, {}
        close(own, candidates)
        own.steps = steps

    patch.setattr(OwnEdits, "_close", in_part)


def own_place_is_nothing_special(patch: Patch) -> None:
    pairs: Any = Retracing._pairs

    def oldest_first(
        retracing: Retracing, calls: Sequence[Any], *, own_place: bool
    ) -> Iterator[tuple[Any, StoredStep]]:
        if not own_place:
            found = [*pairs(retracing, calls, own_place=True), *pairs(retracing, calls, own_place=False)]
            yield from sorted(found, key=lambda pair: (pair[1].finished_seq, pair[0].number))

    patch.setattr(Retracing, "_pairs", oldest_first)


def applied_answers_keep_their_epochs(patch: Patch) -> None:
    apply = Project.apply

    async def only_edits(project: Project, witness: Witness, number: int) -> None:
        if witness.edits:
            await apply(project, witness, number)

    patch.setattr(Project, "apply", only_edits)


def attempts_inherit_nothing(patch: Patch) -> None:
    patch.setattr(Retracing, "_attempt", lambda retracing, call: None)


def attempts_are_inherited_in_part(patch: Patch) -> None:
    def any_at_all(retracing: Any, call: Any) -> CutOffStep | None:
        return next(iter(retracing._reuse.attempts(call)), None)

    patch.setattr(Retracing, "_attempt", any_at_all)


def attempts_are_inherited_in_any_order(patch: Patch) -> None:
    patch.setattr(Timeline, "in_order", lambda timeline, witness: True)


def adopted_edits_stay_inherited(patch: Patch) -> None:
    patch.setattr(tables, "DISINHERIT", "UPDATE steps SET attempt_after = attempt_after WHERE id = ?1")


def cut_off_steps_go_on_whatever_they_saw(patch: Patch) -> None:
    live = Retracing._live

    async def unchecked(retracing: Any, call: Any) -> tuple[Any, tuple[Edit, ...]]:
        for cut_off in retracing._reuse.cut_off_steps(call):
            retracing._reuse.take(call, cut_off)
            return going_on(cut_off), cut_off.inherited
        return await live(retracing, call)

    patch.setattr(Retracing, "_live", unchecked)


def kept_calls_are_seen_twice(patch: Patch) -> None:
    made = loop._Open
    patch.setattr(loop, "_Open", lambda *, seen=frozenset(), **fields: made(**fields))


def hand_edits_do_not_end_the_tail(patch: Patch) -> None:
    def all_candidates(own: OwnEdits, path: str, candidates: set[int]) -> list[Edit]:
        return [edit for edit in own._chains[path] if edit.epoch in candidates]

    patch.setattr(OwnEdits, "_unbroken", all_candidates)


def hand_edits_are_noticed_by_edits_alone(patch: Patch) -> None:
    patch.setattr(Project, "refresh", _nothing)


def hand_edits_are_noticed_between_steps_alone(patch: Patch) -> None:
    notice = Project._notice

    async def refresh(project: Project) -> None:
        for path in list(project.timeline.own.paths):
            notice(project, path, await project._files.digest(path))

    patch.setattr(Project, "refresh", refresh)
    patch.setattr(Project, "_notice", lambda project, path, digest: None)


def half_done_edits_are_not_settled(patch: Patch) -> None:
    patch.setattr(opening, "_settle", _nothing)


def what_was_adopted_is_forgotten_when_the_script_starts_over(patch: Patch) -> None:
    begin = OwnEdits.begin

    def anew(own: OwnEdits) -> None:
        own._adopted.clear()
        begin(own)

    patch.setattr(OwnEdits, "begin", anew)


# ---------------------------------------------------------------- what goes wrong then

RULES: list[tuple[Callable[[Patch], None], Story]] = [
    (nothing_is_retraced, [Go(EDITOR), Go(EDITOR, turns=0)]),
    (looks_are_taken_on_the_files_as_they_lie, [Go(seq(READER, WRITER)), Go(seq(READER, WRITER), turns=0)]),
    (the_order_is_not_checked, [Go(seq(READER, WRITER)), Go(seq(WRITER, READER), turns=2)]),
    (answers_are_not_looked_at_again, [Go(seq(READER, WRITER)), Go(seq(READER, LATER))]),
    (live_steps_adopt_nothing, [Go(seq(READER, OTHER, WRITER)), Go(seq(READER, LATER), turns=5)]),
    (
        another_step_at_the_place_adopts_nothing,
        [Go(seq(READER, WRITER)), Go(seq(READER, step("Q", takes=True)), turns=3)],
    ),
    (no_answer_comes_late, [Go(seq(LISTING, OTHER, WRITER)), Go(seq(OTHER, LISTING), turns=0)]),
    (what_did_not_come_again_stays_pending, [Go(seq(READER, WRITER)), Go(READER, turns=2)]),
    (
        steps_are_own_in_part,
        [Go(seq(step("R", READ_B), TWO)), Write("a.py", b"hand\n"), Go(seq(step("R", READ_B), TWO), turns=5)],
    ),
    (own_place_is_nothing_special, [Go(VOTES, seed=3), Go(VOTES, same=True)]),
    (applied_answers_keep_their_epochs, [Go(seq(LISTING, OTHER)), Go(seq(OTHER, LISTING), turns=0)]),
    (attempts_inherit_nothing, [Go(seq(READER, EDITOR), failing=["editor"]), Go(seq(READER, EDITOR), turns=3)]),
    (attempts_are_inherited_in_part, [Go(TWO, failing=["P"]), Write("a.py", b"hand\n"), Go(TWO), Go(TWO, turns=0)]),
    (attempts_are_inherited_in_any_order, [Go(seq(EDITOR, READER), failing=["editor"]), Go(seq(READER, EDITOR))]),
    (
        adopted_edits_stay_inherited,
        [Go(seq(P, P), failing=["P"]), Go(seq(P, P), kill=Kill(1)), Go(seq(P, P), turns=3), Go(seq(P, P), turns=0)],
    ),
    (
        cut_off_steps_go_on_whatever_they_saw,
        [
            Go(step("P", EDIT_N, READ_A, READ_B), kill=Kill(3)),
            Write("a.py", b"hand\n"),
            Go(step("P", EDIT_N, READ_A, READ_B)),
        ],
    ),
    (
        kept_calls_are_seen_twice,
        [Go(AT_ONCE, kill=Kill(1)), Go(AT_ONCE, turns=1), Write("a.py", b"x\ny"), Go(AT_ONCE, turns=0)],
    ),
    (hand_edits_do_not_end_the_tail, [Go(EDITOR), Write("a.py", b"hand\n"), Go(EDITOR, turns=3)]),
    (
        hand_edits_are_noticed_by_edits_alone,
        [
            Go(seq(P, step("X", READ_B), READER)),
            Go(seq(P, step("Y", READ_B), READER), hand_edit=HandEdit(1, "a.py", b"hand\n"), turns=2),
        ],
    ),
    (hand_edits_are_noticed_between_steps_alone, [Go(seq(P, EDITOR), hand_edit=HandEdit(3, "a.py", b"hand\n"))]),
    (half_done_edits_are_not_settled, [Go(seq(READER, P), kill=Kill(0, "after")), Go(seq(READER, P), turns=1)]),
    (what_was_adopted_is_forgotten_when_the_script_starts_over, [Go(seq(READER, WRITER)), Go(seq(READER, LATER))]),
]

_TWICE = step("P", EDIT_N, EDIT_B, takes=True)
_AFTER = step("Q", EDIT_B, takes=True)

#: Stories that once went wrong, and that no rule of the above is to blame for.
STORIES: list[Story] = [
    # A step that goes on loses the edits that it inherited, and keeps its own.
    [
        Go(seq(_TWICE, _AFTER), failing=["P"]),
        Go(seq(_TWICE, _AFTER), kill=Kill(1)),
        Go(seq(_TWICE, _AFTER), turns=4),
        Go(seq(_TWICE, _AFTER), turns=0),
    ],
]


@pytest.mark.parametrize("story", STORIES)
def test_a_story_that_once_went_wrong(story: Story) -> None:
    trio.run(tell, story)


@pytest.mark.parametrize(("leave_out", "story"), RULES, ids=[each[0].__name__ for each in RULES])
def test_a_rule_that_is_left_out_is_noticed(
    monkeypatch: pytest.MonkeyPatch, leave_out: Callable[[Patch], None], story: Story
) -> None:
    trio.run(tell, story)
    leave_out(monkeypatch)
    with pytest.raises((AssertionError, BaseExceptionGroup)) as told:
        trio.run(tell, story)
    if isinstance(told.value, BaseExceptionGroup):
        assert told.value.split(AssertionError)[1] is None
