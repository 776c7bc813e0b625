"""Workflows whose agents edit the files that they read: an execution explains every run, and none is needless.

The rules are those of the product, and so are its store, its session and its steps; files, script and model are in
memory. `tests/support/explained.py` is the oracle.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.dict_project import PATHS, Files, Op, paths_of
from tests.support.rules_world import HandEdit, Invocation, Kill, world
from tests.support.script_trees import Call, Several, Tree, calls_of, ops_of

#: Of each property.
EXAMPLES = max(int(os.environ.get("VIBE_ORACLE_CASES", "500")) // 5, 1)

Property: TypeAlias = Callable[..., Awaitable[None]]

paths = st.sampled_from(PATHS)
looks: st.SearchStrategy[Op] = st.one_of(
    st.tuples(st.just("read"), paths),
    st.tuples(st.just("line"), paths, st.sampled_from("01")),
    st.sampled_from([("glob", ".py"), ("tree",)]),
)
edits: st.SearchStrategy[Op] = st.tuples(st.sampled_from(["edit", "write"]), paths)
ops: st.SearchStrategy[Op] = st.one_of(looks, edits)
seeds = st.integers(0, 2**16)
contents = st.none() | st.sampled_from([b"x\nx", b"x\ny", b"y\nx", b"y\ny"])
projects: st.SearchStrategy[Files] = st.fixed_dictionaries(dict.fromkeys(PATHS, contents)).map(
    lambda held: {path: data for path, data in held.items() if data is not None}
)


def _trees(names: str, ops: st.SearchStrategy[Op], leaves: int) -> st.SearchStrategy[Tree]:
    turn = ops.map(lambda op: (op,)) | st.lists(ops, min_size=2, max_size=3).map(tuple)
    calls = st.builds(Call, st.sampled_from(names), st.lists(turn, max_size=3).map(tuple), st.booleans())
    return st.recursive(
        calls,
        lambda part: st.builds(Several, st.booleans(), st.lists(part, min_size=1, max_size=3).map(tuple)),
        max_leaves=leaves,
    )


trees = _trees("PQR", ops, 5)
reading_trees = _trees("PQRSTU", looks, 6)


def mutated(tree: Tree, dice: random.Random) -> Tree:
    """The script with another prompt, or calls in another order, fewer of them or more."""
    if isinstance(tree, Call):
        return Call(dice.choice("PQRS"), tree.turns, tree.takes) if dice.random() < 0.5 else tree
    parts = list(tree.parts)
    match dice.randrange(4):
        case 0:
            dice.shuffle(parts)
        case 1 if len(parts) > 1:
            parts.pop(dice.randrange(len(parts)))
        case 2:
            parts.insert(dice.randrange(len(parts) + 1), Call("N", ((("read", dice.choice(PATHS)),),)))
        case _:
            place = dice.randrange(len(parts))
            parts[place] = mutated(parts[place], dice)
    return Several(tree.together, tuple(parts))


def explained(run: Invocation) -> Invocation:
    assert run.unexplained is None, run
    return run


# ---------------------------------------------------------------- the properties


async def rerun_unchanged_is_free(files: Files, tree: Tree, seed: int) -> None:
    with world(files) as project:
        first = explained(await project.run(tree, seed))
        left = dict(project.files)
        again = explained(await project.run(tree, seed + 1))
        assert again.turns == 0, again
        assert project.files == left
        assert again.result == first.result


async def crash_pays_no_turn_twice(files: Files, tree: Tree, cuts: Sequence[Kill], seed: int) -> None:
    with world(files) as project:
        paid = 0
        for number, cut in enumerate(cuts):
            run = await project.run(tree, seed + number, kill=cut)
            paid += run.turns
            if not run.killed:
                break
        if run.killed:
            run = await project.run(tree, seed + 9)
            paid += run.turns
        explained(run)
        assert paid == sum(len(call.turns) + 1 for call in calls_of(tree)), (paid, run)


def _some_kill(dice: random.Random) -> Kill:
    return Kill(dice.randrange(8)) if dice.random() < 0.6 else Kill(dice.randrange(4), dice.choice(["before", "after"]))


async def never_stale(files: Files, tree: Tree, seed: int, acts: Sequence[str]) -> None:
    dice = random.Random(seed)
    with world(files) as project:
        for act in acts:
            if act == "hand":
                project.write(dice.choice(PATHS), dice.choice([None, b"x\nx", b"y\nx", b"x\ny"]))
            elif act == "revert":
                for path in PATHS:
                    project.write(path, files.get(path, project.files.get(path)))
            elif act == "script":
                tree = mutated(tree, dice)
            else:
                kill = _some_kill(dice) if act == "crash" else None
                explained(await project.run(tree, dice.randrange(99), kill=kill))


async def readers_are_tight(files: Files, tree: Tree, seed: int) -> None:
    """Without edits, a step runs live only where no stored answer that is true is left."""
    dice = random.Random(seed)
    with world(files) as project:
        await project.run(tree, seed)
        for _ in range(4):
            if dice.random() < 0.5:
                project.write(dice.choice(PATHS), dice.choice([None, b"x\nx", b"y\nx"]))
            else:
                tree = mutated(tree, dice)
            run = explained(await project.run(tree, dice.randrange(99)))
            assert not run.needless, run


async def failures_are_tried_again(
    files: Files, tree: Tree, seed: int, fails: Sequence[set[str]], cuts: Sequence[Kill]
) -> None:
    """Failed steps are tried again in every run; when they succeed, a rerun is free."""
    with world(files) as project:
        for failing in fails:
            explained(await project.run(tree, seed, failing=failing))
        for cut in cuts:
            await project.run(tree, seed, kill=cut)
        explained(await project.run(tree, seed))
        again = explained(await project.run(tree, seed))
        assert again.turns == 0, again


async def pools_are_tight(items: Sequence[int], others: Sequence[int], seed: int) -> None:
    """Item, then a vote that all items share, then a summary: only the summaries of new items are live."""

    def pipeline(numbers: Sequence[int]) -> Tree:
        parts = [Several(False, (Call(f"I{n}", ()), Call("VOTE", ()), Call(f"S{n}", (), True))) for n in numbers]
        return Several(True, tuple(parts))

    with world({}) as project:
        await project.run(pipeline(items), seed)
        run = await project.run(pipeline(others), seed + 1)
        names = Counter(name[0] for name in project.names_of(run.live))
        new = Counter(others) - Counter(items)
        assert names["S"] <= new.total(), (names, new)


async def hand_edit_during_a_run(files: Files, tree: Tree, seed: int, cut: Kill, edit: HandEdit, changed: bool) -> None:
    other = mutated(tree, random.Random(seed))
    with world(files) as project:
        await project.run(tree, seed, kill=cut)
        explained(await project.run(other if changed else tree, seed + 1, hand_edit=edit))
        explained(await project.run(other, seed + 2))


async def undo_then_another_script(files: Files, tree: Tree, seed: int) -> None:
    """After an undo, the files are as before, and a changed script costs what changed."""
    with world(files) as project:
        await project.run(tree, seed)
        project.undo()
        assert project.files == files
        run = explained(await project.run(mutated(tree, random.Random(seed)), seed + 1))
        assert run.restarts == 0
        assert not run.needless, run


async def what_nobody_looked_at_costs_nothing(files: Files, tree: Tree, seed: int) -> None:
    with world(files) as project:
        await project.run(tree, seed)
        touched = frozenset[str]().union(*(paths_of(op) for op in ops_of(tree)))
        for path in set(PATHS) - touched:
            project.write(path, b"hand\nhand")
        run = explained(await project.run(tree, seed + 1))
        assert run.turns == 0, run


async def no_needless_step(files: Files, tree: Tree, seed: int) -> None:
    """No step runs live while a stored answer that nobody has is true on the files as they lie."""
    dice = random.Random(seed)
    with world(files) as project:
        await project.run(tree, seed)
        for _ in range(3):
            if dice.random() < 0.4:
                project.write(dice.choice(PATHS), dice.choice([None, b"x\nx", b"y\nx"]))
            else:
                tree = mutated(tree, dice)
            run = explained(await project.run(tree, dice.randrange(99)))
            assert not run.needless, run


small = st.integers(0, 9)
kills = st.builds(Kill, st.integers(0, 12)) | st.builds(Kill, st.integers(0, 3), st.sampled_from(["before", "after"]))
hand_edits = st.builds(HandEdit, small, paths, contents)
fails = st.lists(st.sets(st.sampled_from("PQR"), max_size=2), min_size=1, max_size=2)
acts = st.lists(st.sampled_from(["run", "crash", "hand", "script", "revert"]), min_size=2, max_size=8)

PROPERTIES: dict[Property, st.SearchStrategy[tuple[object, ...]]] = {
    rerun_unchanged_is_free: st.tuples(projects, trees, seeds),
    crash_pays_no_turn_twice: st.tuples(projects, trees, st.lists(st.integers(0, 12), min_size=1, max_size=3), seeds),
    never_stale: st.tuples(projects, trees, seeds, acts),
    readers_are_tight: st.tuples(projects, reading_trees, seeds),
    failures_are_tried_again: st.tuples(projects, trees, seeds, fails, st.lists(kills, max_size=1)),
    pools_are_tight: st.tuples(
        st.lists(st.integers(0, 5), min_size=1, max_size=4), st.lists(st.integers(0, 7), min_size=1, max_size=5), seeds
    ),
    hand_edit_during_a_run: st.tuples(projects, trees, seeds, kills, hand_edits, st.booleans()),
    undo_then_another_script: st.tuples(projects, trees, seeds),
    what_nobody_looked_at_costs_nothing: st.tuples(projects, trees, seeds),
    no_needless_step: st.tuples(projects, trees, seeds),
}


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_property(holds: Property) -> None:
    @settings(max_examples=EXAMPLES)
    @given(PROPERTIES[holds])
    def always(arguments: tuple[object, ...]) -> None:
        trio.run(holds, *arguments)

    always()


READS = ("read", "a.py")
EDITS = ("edit", "a.py")

WRITES = Call("P", ((("write", "b.py"),),), True)

#: Stories that once went wrong.
STORIES: list[tuple[Property, tuple[object, ...]]] = [
    (crash_pays_no_turn_twice, ({}, Call("P", ((EDITS,),)), [Kill(1)], 0)),
    (crash_pays_no_turn_twice, ({"a.py": b"x\ny"}, Call("P", ((READS, EDITS),)), [Kill(1)], 0)),
    (failures_are_tried_again, ({}, Several(False, (WRITES, WRITES)), 1, [{"P"}], [])),
]


@pytest.mark.parametrize(("holds", "arguments"), STORIES)
def test_story(holds: Property, arguments: tuple[object, ...]) -> None:
    trio.run(holds, *arguments)
