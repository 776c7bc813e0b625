"""Steps that edit files against an oracle: some execution explains every run, and no call is needless."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import product

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.editing_deeds import EDITS, LOOKS
from tests.support.editing_scripts import Agent, Direct, Leaf, Several, Tree
from tests.support.editing_stories import (
    KINDS,
    NAMES,
    RUNS,
    Go,
    Happening,
    Held,
    Story,
    tell,
)
from tests.support.editing_stories import nothing_set as nothing_set
from tests.support.reuse_world import CONTENTS, PATHS
from tests.support.zygotes import zygote as zygote
from vibe_workflows.sandbox.launcher import Zygote

#: The other half are of steps that only look: test_reuse_oracle.py.
CASES = int(os.environ.get("VIBE_ORACLE_CASES", "500")) // 4

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

happenings = st.builds(Happening, st.sampled_from(KINDS), st.integers(0, 2**16))
runs = st.builds(Go, st.sampled_from(["run", *RUNS, "kill", "die"]), st.integers(0, 8))
stories = st.lists(st.tuples(st.lists(happenings, max_size=2), runs), min_size=1, max_size=3)


#: For each kind of happening, and of run, a story that leads to a hit and to a miss, whatever else is drawn.
SIDE_BY_SIDE = Several(
    True, (Agent("P", ((0,),)), Agent("Q", ((1, 13),)), Agent("R", ((2,),)), Agent("S", ()), Direct("P", 20))
)
HELD: Held = dict.fromkeys(PATHS, "one\ntwo\nthree\n")


def each_kind() -> Iterator[Story]:
    for kind in KINDS:
        yield [([Happening(kind, 1)], Go()), ([Happening(kind, 1)], Go())]
    for kind in RUNS:
        yield [([], Go(kind, 2)), ([], Go()), ([], Go(kind, 2))]


def test_every_run_is_explained_and_no_call_is_needless(zygote: Zygote) -> None:
    seen: Counter[tuple[str, str]] = Counter()  # what came of each kind of happening

    @settings(max_examples=CASES)
    @given(trees, files, stories, st.random_module())  # which seeds the order in which trio runs its tasks
    def stories_hold(tree: Tree, held: Held, story: Story, _order: object) -> None:
        tell(zygote, tree, held, story, seen)

    for story in each_kind():
        stories_hold = example(SIDE_BY_SIDE, HELD, story, None)(stories_hold)
    stories_hold()
    pairs = {*product((*KINDS, *RUNS), ("hit", "miss"))} - {("fresh", "hit")}
    assert {pair for pair in pairs if not seen[pair]} == set()
