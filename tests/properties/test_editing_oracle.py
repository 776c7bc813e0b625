"""Steps that edit files against an oracle: some execution explains every run, and no call is needless."""

from __future__ import annotations

import os

from hypothesis import strategies as st

from tests.support.editing_deeds import EDITS, LOOKS
from tests.support.editing_oracle import stories_hold, trees_of
from tests.support.editing_scripts import Agent, Direct, Leaf, Several
from tests.support.editing_stories import (
    NAMES,
    Held,
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
trees = trees_of(leaves)
#: Those that are attached are there, to begin with: without them a workflow fails.
files = st.fixed_dictionaries(
    {path: st.sampled_from(CONTENTS[2 if path in ("a.py", "b.py") else 1 :]) for path in PATHS}
)


#: For each kind of happening, and of run, a story that leads to a hit and to a miss, whatever else is drawn.
SIDE_BY_SIDE = Several(
    True, (Agent("P", ((0,),)), Agent("Q", ((1, 13),)), Agent("R", ((2,),)), Agent("S", ()), Direct("P", 20))
)
HELD: Held = dict.fromkeys(PATHS, "one\ntwo\nthree\n")


def test_every_run_is_explained_and_no_call_is_needless(zygote: Zygote) -> None:
    stories_hold(zygote, CASES, trees, files, always=SIDE_BY_SIDE, held=HELD)
