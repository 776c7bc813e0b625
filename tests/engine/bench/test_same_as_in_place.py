"""What a job did on a bench, made in the project, is what it would have done in the project itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import trio
from hypothesis import example, given, settings

from tests.support import job_scripts
from tests.support.benches import FloorJobs, Performing, Yard, yard
from tests.support.confined import PYTHON
from tests.support.job_scripts import Operation, perform, shown
from tests.support.memory_folder import memory_folder
from tests.support.random_scripts import FEW, MANY, operations, trees
from vibe_workflows.engine.ports import Job, Workbench


async def _work(yard: Yard, bench: Workbench, script: Sequence[Operation]) -> None:
    """As the engine does: nothing happens to the project before it is made."""
    before = shown(yard.root)
    job = Job(argv=(PYTHON, "-c", _PROGRAM, json.dumps(script)), timeout_s=60)
    async with bench.working(job, {}) as worked:
        assert worked.end.exit_code == 0, worked.end.stderr
        assert shown(yard.root) == before
        assert not worked.refused
        await yard.apply(worked.files)
        await worked.put_beside()


_PROGRAM = Path(job_scripts.__file__).read_text()


def _build(root: Path, tree: Sequence[Operation]) -> None:
    perform(tree, str(root))
    (root / ".env").write_text("KEY=1")
    (root / ".git").mkdir()
    (root / ".git/HEAD").write_text("ref: refs/heads/main\n")


def _leave_what_counts(yard: Yard) -> None:
    """A copy has no file that git ignores, and no mode but that of programs."""
    counted = trio.run(yard.tree.tree.files).folders
    for folder, folders, files in os.walk(yard.root, topdown=False):
        prefix = os.path.relpath(folder, yard.root) + "/"
        prefix = "" if prefix == "./" else prefix
        if prefix.startswith(".git/"):
            continue
        for name in (*files, *folders):
            path = os.path.join(folder, name)
            if os.path.isdir(path) and not os.path.islink(path):
                if prefix + name + "/" not in counted and prefix + name != ".git":
                    shutil.rmtree(path)
            elif prefix not in counted or (name not in counted[prefix].files and name != ".gitignore"):
                os.unlink(path)


def _agrees(yard: Yard, script: Sequence[Operation]) -> None:
    reference = yard.folder / "reference"
    shutil.copytree(yard.root, reference, symlinks=True)
    perform(script, str(reference))
    expected = shown(reference)
    trio.run(_work, yard, yard.benches.project, script)
    assert shown(yard.root) == expected
    yard.benches.close()
    assert yard.left() == []


_LINK_TO_FOLDER = [("link", "a", "d")], [("remove", "d"), ("plant", "d/a", "x")]
_RULES_OF_THEIR_OWN = [("plant", "d/.gitignore", ".gitignore\n"), ("plant", "d/a", "")], [("remove", "d/.gitignore")]
_FOLDER_GOES = [("plant", "d/e/a", "x"), ("plant", "d/b", "y")], [("clear", "d")]
_FOLDER_COMES_BACK = _FOLDER_GOES[0], [("clear", "d"), ("plant", "d/e/b", "z")]
_FOLDER_STAYS = [("plant", "d/e/a", "x")], [("remove", "d/e/a")]
_FOLDER_TO_FILE = _FOLDER_GOES[0], [("clear", "d"), ("write", "d", "z")]
_FILE_TO_FOLDER = [("plant", "d", "x")], [("remove", "d"), ("plant", "d/a", "x")]


def _known(test: Callable[..., None]) -> Callable[..., None]:
    for tree, script in (
        *(_LINK_TO_FOLDER, _RULES_OF_THEIR_OWN, _FOLDER_GOES, _FOLDER_COMES_BACK, _FOLDER_STAYS),
        *(_FOLDER_TO_FILE, _FILE_TO_FOLDER),
    ):
        test = example(tree, script)(test)
    return test


@settings(max_examples=MANY)
@given(trees(), operations())
@_known
def test_a_job_in_a_copy_is_as_good_as_one_in_place(tree: list[Operation], script: list[Operation]) -> None:
    runner = Performing()
    runner.script = script
    with memory_folder() as folder, yard(folder, runner) as made:
        _build(made.root, tree)
        _leave_what_counts(made)
        _agrees(made, script)


@settings(max_examples=FEW)
@given(trees(), operations())
def test_a_confined_job_in_a_copy_is_as_good_as_one_in_place(tree: list[Operation], script: list[Operation]) -> None:
    with memory_folder() as folder, yard(folder, FloorJobs()) as made:
        _build(made.root, tree)
        _leave_what_counts(made)
        _agrees(made, script)


@settings(max_examples=FEW)
@given(trees(), operations())
@_known
def test_a_job_on_a_view_is_as_good_as_one_in_place(tree: list[Operation], script: list[Operation]) -> None:
    with memory_folder() as folder, yard(folder) as made:
        _build(made.root, tree)
        _agrees(made, script)
