"""Draws stories of workflows that edit files, and tells them: what oracles of different steps have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.editing_scripts import Leaf, Several, Tree
from tests.support.editing_stories import KINDS, RUNS, Go, Happening, Held, Story, tell
from vibe_workflows.sandbox.launcher import Zygote

_happenings = st.builds(Happening, st.sampled_from(KINDS), st.integers(0, 2**16))
_runs = st.builds(Go, st.sampled_from(["run", *RUNS, "kill", "die"]), st.integers(0, 8))
_stories = st.lists(st.tuples(st.lists(_happenings, max_size=2), _runs), min_size=1, max_size=3)


def trees_of(leaves: st.SearchStrategy[Leaf]) -> st.SearchStrategy[Tree]:
    parts: st.SearchStrategy[Tree] = st.recursive(
        leaves,
        lambda part: st.builds(Several, st.booleans(), st.lists(part, min_size=1, max_size=3).map(tuple)),
        max_leaves=4,
    )
    return st.builds(Several, st.booleans(), st.lists(parts, min_size=2, max_size=3).map(tuple))


def each_kind() -> Iterator[Story]:
    """For each kind of happening, and of run, a story that leads to a hit and to a miss."""
    for kind in KINDS:
        yield [([Happening(kind, 1)], Go()), ([Happening(kind, 1)], Go())]
    for kind in RUNS:
        yield [([], Go(kind, 2)), ([], Go()), ([], Go(kind, 2))]


def stories_hold(
    zygote: Zygote,
    cases: int,
    trees: st.SearchStrategy[Tree],
    files: st.SearchStrategy[Held],
    *,
    always: Tree,
    held: Held,
) -> None:
    """So many that are drawn, and one of each kind with the tree `always`; each kind leads to a hit and to a miss."""
    seen: Counter[tuple[str, str]] = Counter()  # what came of each kind of happening

    @settings(max_examples=cases)
    @given(trees, files, _stories, st.random_module())  # which seeds the order in which trio runs its tasks
    def holds(tree: Tree, files: Held, story: Story, _order: object) -> None:
        tell(zygote, tree, files, story, seen)

    for story in each_kind():
        holds = example(always, held, story, None)(holds)
    holds()
    pairs = {*product((*KINDS, *RUNS), ("hit", "miss"))} - {("fresh", "hit")}
    assert {pair for pair in pairs if not seen[pair]} == set()
