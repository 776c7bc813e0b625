"""Jobs of a worktree one after the other: on a view, in a copy and in place, with edits in between."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support import job_scripts
from tests.support.benches import Performing, Yard, yard
from tests.support.confined import PYTHON
from tests.support.job_scripts import Operation, perform, shown
from tests.support.memory_folder import memory_folder
from tests.support.random_scripts import FEW, MANY, operations, trees
from vibe_workflows.engine.ports import FileMade, Job, JobRunner

_PROGRAM = Path(job_scripts.__file__).read_text()

Told = tuple[tuple[FileMade, ...], tuple[str, ...], tuple[str, ...]]


async def _work(yard: Yard, scripts: Sequence[Sequence[Operation]], reference: Path | None) -> list[Told]:
    """What each job did. As the engine does, with the files that git shows kept beside the snapshot.

    What lies in the copy is compared with the `reference`, in which the same scripts run in place.
    """
    told: list[Told] = []
    changes: dict[str, bytes | None] = {}
    async with yard.benches.worktrees.open() as worktree:
        snapshot = shown(Path(worktree.root))
        if reference is not None:
            shutil.copytree(worktree.root, reference, symlinks=True)
        for script in scripts:
            job = Job(argv=(PYTHON, "-c", _PROGRAM, json.dumps(script)), timeout_s=60)
            if isinstance(yard.runner, Performing):
                yard.runner.script = script
            async with worktree.bench.working(job, changes) as worked:
                assert worked.end.exit_code == 0, worked.end.stderr
                told.append((worked.files, worked.beside, worked.refused))
                changes |= {made.path: made.after for made in worked.files}
            if reference is not None:
                perform(script, str(reference))
                (copy,) = (each for each in yard.cache.glob("snapshots/*/*/*") if each.name not in ("lock", "1"))
                assert shown(copy) == shown(reference)
        assert shown(Path(worktree.root)) == snapshot
    return told


def _told(
    tree: Sequence[Operation], scripts: Sequence[Sequence[Operation]], runner: JobRunner | None, *, compare: bool
) -> list[Told]:
    with memory_folder() as folder, yard(folder, runner) as made:
        perform(tree, str(made.root))
        return trio.run(_work, made, scripts, folder / "reference" if compare else None)


@settings(max_examples=MANY)
@given(trees(), st.lists(operations(), min_size=2, max_size=3))
def test_what_lies_in_a_copy_is_what_the_same_jobs_make_in_place(
    tree: list[Operation], scripts: list[list[Operation]]
) -> None:
    _told(tree, scripts, Performing(), compare=True)


@settings(max_examples=FEW)
@given(trees(), st.lists(operations(), min_size=2, max_size=2))
@example([("plant", "a", "x")], [[("write", ".gitignore", "a\n"), ("append", "a", "y")], [("remove", ".gitignore")]])
def test_a_view_tells_of_jobs_what_a_copy_tells(tree: list[Operation], scripts: list[list[Operation]]) -> None:
    in_a_copy = _told(tree, scripts, Performing(), compare=False)
    assert _told(tree, scripts, None, compare=False) == in_a_copy
