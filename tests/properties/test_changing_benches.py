"""The benches in memory, on which thousands of stories are told, do as the real ones do."""

from __future__ import annotations

import pytest

from tests.support.editing_deeds import READ_IGNORED
from tests.support.editing_model import files_in
from tests.support.editing_scripts import Agent, Direct, Several, Tree
from tests.support.editing_stories import Held, a_project
from tests.support.editing_stories import nothing_set as nothing_set
from tests.support.zygotes import zygote as zygote
from vibe_workflows.sandbox.launcher import Zygote

TEXT = "one\ntwo\nthree\n"
HELD: Held = {"a.py": TEXT, "b.py": TEXT, "n.md": TEXT, "sub/c.py": TEXT, ".gitignore": "*.log\n"}
READ_A, LIST, EDIT_N, NEW_FILE = 0, 9, 14, 21
LOOK, APPEND_A, WRITE_B, REMOVE_N, THREE_FILES, WRITE_LOG, APPEND_BOTH = range(25, 32)

#: Each comes to the same, in whatever order its steps do their work.
TREES: tuple[Tree, ...] = (
    Agent("P", ((WRITE_B, REMOVE_N), (APPEND_A, LOOK))),
    Several(False, (Agent("P", ((WRITE_LOG,), (APPEND_BOTH,))), Agent("Q", ((READ_IGNORED,), (LIST,))))),
    Several(False, (Direct("P", THREE_FILES), Direct("Q", LOOK, takes=True), Agent("R", (), gate=1))),
    Agent("P", ((WRITE_B, REMOVE_N), (APPEND_A, LOOK), (WRITE_LOG, READ_IGNORED)), worktree="auto", gate=3),
    Several(
        True,
        (
            Agent("P", ((THREE_FILES,), (READ_A,)), worktree="manual"),
            Agent("Q", ((EDIT_N,),), worktree="auto"),
            Agent("R", ((NEW_FILE,),), worktree="auto"),
        ),
    ),
)


def _told(zygote: Zygote, tree: Tree, *, real: bool, kill_at: int | None) -> tuple[object, ...]:
    """What comes of it: run, killed, gone on with, and run again."""
    with a_project(zygote, tree, HELD, real=real) as world:
        if kill_at is not None:
            world.run(kill_at=kill_at)
        first, again = world.run(), world.run()
        assert first is not None
        assert again is not None
        runs = [(each.report.result, each.report.run.live_steps) for each in (first, again)]
        return runs, files_in(world.folder), world.paid


@pytest.mark.parametrize("kill_at", [None, 1])
@pytest.mark.parametrize("number", range(len(TREES)))
def test_a_story_comes_to_the_same_on_real_benches(zygote: Zygote, number: int, kill_at: int | None) -> None:
    tree = TREES[number]
    assert _told(zygote, tree, real=True, kill_at=kill_at) == _told(zygote, tree, real=False, kill_at=kill_at)
