"""What a job did on a bench, made in the project, is what it would have done in the project itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import job_scripts
from tests.support.benches import FloorJobs, Performing, Yard, yard
from tests.support.confined import PYTHON
from tests.support.job_scripts import Operation, perform, shown
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.ports import Job, Workbench

#: A confined command takes a fifth of a second: they were run by thousands, and more are with this profile.
_FEW = 200 if settings().max_examples > 1_000 else 4

_NAMES = ("a", "b", "d", "e", "build", "x.log", ".gitignore", "é ö", "new\nline", "\udcff")
_RULES = ("*.log\n", "build/\n", "a\n", "!a\n", "/d/\n", "*\n", ".gitignore\n", "\xa0\n[\n", "")

paths = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3).map("/".join)
texts = st.one_of(st.sampled_from(_RULES), st.text("xyz\n", max_size=4), st.just("\0binary"))
targets = st.sampled_from(("a", "d", "d/a", "../a", "build", "gone"))


def _operations() -> st.SearchStrategy[list[Operation]]:
    one: list[st.SearchStrategy[Any]] = [
        st.tuples(st.just("write"), paths, texts),
        st.tuples(st.just("append"), paths, texts),
        st.tuples(st.just("make"), paths),
        st.tuples(st.just("move"), paths, paths),
        st.tuples(st.just("link"), targets, paths),
        st.tuples(st.sampled_from(("remove", "empty", "clear", "again")), paths),
        st.tuples(st.just("mode"), paths, st.sampled_from((0o600, 0o644, 0o700, 0o755))),
    ]
    return st.lists(st.one_of(one), max_size=10)


def _trees() -> st.SearchStrategy[list[Operation]]:
    one: list[st.SearchStrategy[Any]] = [
        st.tuples(st.just("make"), paths),
        st.tuples(st.just("write"), paths, texts),
        st.tuples(st.just("link"), targets, paths),
        st.tuples(st.just("mode"), st.sampled_from(("a", "b", "d/a")), st.just(0o755)),
    ]
    return st.lists(st.one_of(one), max_size=12)


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


@given(_trees(), _operations())
def test_a_job_in_a_copy_is_as_good_as_one_in_place(tree: list[Operation], script: list[Operation]) -> None:
    runner = Performing()
    runner.script = script
    with memory_folder() as folder, yard(folder, runner) as made:
        _build(made.root, tree)
        _leave_what_counts(made)
        _agrees(made, script)


@settings(max_examples=_FEW)
@given(_trees(), _operations())
def test_a_confined_job_in_a_copy_is_as_good_as_one_in_place(tree: list[Operation], script: list[Operation]) -> None:
    with memory_folder() as folder, yard(folder, FloorJobs()) as made:
        _build(made.root, tree)
        _leave_what_counts(made)
        _agrees(made, script)


@settings(max_examples=2 * _FEW)
@given(_trees(), _operations())
def test_a_job_on_a_view_is_as_good_as_one_in_place(tree: list[Operation], script: list[Operation]) -> None:
    with memory_folder() as folder, yard(folder) as made:
        _build(made.root, tree)
        _agrees(made, script)
