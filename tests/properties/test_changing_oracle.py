"""Commands, worktrees, merges and gates against the oracle of edits: each run is explained, and no call is needless."""

from __future__ import annotations

import os

from hypothesis import strategies as st

from tests.support.editing_deeds import COMMANDS, EDITS, GATES, IGNORED, LOOKS, READ_IGNORED
from tests.support.editing_oracle import stories_hold, trees_of
from tests.support.editing_scripts import Agent, Direct, Leaf, Several
from tests.support.editing_stories import NAMES, Held
from tests.support.editing_stories import nothing_set as nothing_set
from tests.support.reuse_world import CONTENTS, PATHS
from tests.support.zygotes import zygote as zygote
from vibe_workflows.sandbox.launcher import Zygote

CASES = int(os.environ.get("VIBE_ORACLE_CASES", "500")) // 20

deeds = st.one_of(
    st.sampled_from([0, 1, 3, 4, 5, READ_IGNORED]),
    st.sampled_from(EDITS),
    st.sampled_from(LOOKS),
    st.sampled_from(EDITS),
    st.sampled_from(COMMANDS),
    st.sampled_from(COMMANDS),
)
turns = st.lists(st.lists(deeds, min_size=1, max_size=2).map(tuple), max_size=3).map(tuple)
attached = st.sampled_from([(), (), (), ("a.py",), ("b.py",)])
worktrees = st.sampled_from(["", "auto", "auto", "manual"])
gates = st.sampled_from([0, 0, *range(1, len(GATES))])
names = st.sampled_from(NAMES)
leaves: st.SearchStrategy[Leaf] = st.one_of(
    st.builds(Agent, names, turns, st.booleans(), attached, worktrees, gates),
    st.builds(Agent, names, turns, st.booleans(), attached, worktrees, st.just(0)),
    st.builds(Agent, names, turns, st.booleans(), st.just(()), st.just("auto"), st.sampled_from(range(1, len(GATES)))),
    st.builds(Direct, names, st.sampled_from([*COMMANDS, *EDITS]), st.booleans()),
)
trees = trees_of(leaves)
#: Those that are attached are there, to begin with: without them a workflow fails.
files = st.fixed_dictionaries(
    {path: st.sampled_from(CONTENTS[2 if path in ("a.py", "b.py") else 1 :]) for path in PATHS}
    | {".gitignore": st.sampled_from(["*.log\n", "*.log\n", None]), IGNORED: st.sampled_from([None, "one\n"])}
)


#: Commands, worktrees, merges and a gate at the same time, and a step that only looks at a file.
SIDE_BY_SIDE = Several(
    True,
    (
        Agent("P", ((3,),)),  # where nobody edits
        Agent("Q", ((12,), (0,)), worktree="auto"),
        Agent("R", ((14,), (27,)), worktree="manual"),
        Agent("S", ((25,),), gate=1),
        Direct("P", 28),
    ),
)
HELD: Held = {**dict.fromkeys(PATHS, "one\ntwo\nthree\n"), ".gitignore": "*.log\n", IGNORED: None}


def test_every_run_that_changes_things_is_explained_and_no_call_is_needless(zygote: Zygote) -> None:
    stories_hold(zygote, CASES, trees, files, always=SIDE_BY_SIDE, held=HELD)
