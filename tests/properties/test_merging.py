"""Merges and patches, whatever the files hold: git itself says what is right."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections import Counter
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.commands import PlainCommands
from tests.support.repositories import git, repository
from vibe_workflows.engine.git import Differ, LineChange
from vibe_workflows.engine.merging import Merged, Trio, merged, patch_text
from vibe_workflows.engine.merging.lines import line_changes
from vibe_workflows.engine.ports import FileMade

_EXAMPLES = settings().max_examples
_LINES = (b"a\n", b"b\r\n", b"\n", b"<<<<<<< x\n", b"=======\n", b"-- \n", b"@@ -1 +1 @@\n", b"\xff\n", b"}\n")
_ENDS = (b"", b"a", b"b\r", b"\xc3\xa4")


def _text(lines: tuple[bytes, ...] = _LINES, most: int = 14) -> st.SearchStrategy[bytes]:
    body = st.lists(st.sampled_from(lines), max_size=most).map(b"".join)
    return st.tuples(body, st.sampled_from(_ENDS)).map(b"".join)


@st.composite
def _changed(draw: st.DrawFn, base: bytes) -> bytes:
    """A few changes of a text, so that sides have much in common."""
    lines = BytesIO(base).readlines()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines)))
        until = draw(st.integers(at, min(len(lines), at + 2)))
        lines[at:until] = draw(st.lists(st.sampled_from([*_LINES, b"new\n", b"other\n"]), max_size=2))
    return b"".join(lines)


@st.composite
def _trios(draw: st.DrawFn) -> Trio:
    base = draw(_text())
    return Trio(path="f", base=base, ours=draw(_changed(base)), theirs=draw(_changed(base)))


_batch = st.lists(_trios(), min_size=1, max_size=20).map(
    lambda trios: [
        Trio(path=str(at), base=each.base, ours=each.ours, theirs=each.theirs) for at, each in enumerate(trios)
    ]
)


@pytest.fixture(scope="module")
def differ(tmp_path_factory: pytest.TempPathFactory) -> Differ:
    return Differ(PlainCommands(tmp_path_factory.mktemp("project")))


def _merge(differ: Differ, trios: list[Trio]) -> Merged:
    return trio.run(partial(merged, differ, trios))


def _git_merged(folder: Path, file: Trio) -> bytes | None:
    """None: a conflict."""
    for name, data in (("base", file.base), ("ours", file.ours), ("theirs", file.theirs)):
        assert data is not None
        (folder / name).write_bytes(data)
    done = subprocess.run(
        ["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode < 128, done.stderr
    return None if done.returncode else done.stdout


#: Each example is many merges in one start of git.
_few = settings(max_examples=_EXAMPLES // 6)


@_few
@given(batch=_batch)
def test_a_merge_is_the_one_that_git_makes(differ: Differ, batch: list[Trio]) -> None:
    result = _merge(differ, batch)
    with tempfile.TemporaryDirectory() as folder:
        for file in batch:
            assert result.files.get(file.path) == _git_merged(Path(folder), file), file


@_few
@given(batch=_batch)
def test_a_merge_is_the_same_from_both_sides(differ: Differ, batch: list[Trio]) -> None:
    result = _merge(differ, batch)
    mirrored = [Trio(path=each.path, base=each.base, ours=each.theirs, theirs=each.ours) for each in batch]
    other = _merge(differ, mirrored)
    assert other.files == result.files
    sides = [[(hunk.base, hunk.ours, hunk.theirs) for hunk in each.hunks] for each in result.conflicts]
    assert [[(hunk.base, hunk.theirs, hunk.ours) for hunk in each.hunks] for each in other.conflicts] == sides


@_few
@given(batch=_batch)
def test_no_line_of_a_side_is_lost(differ: Differ, batch: list[Trio]) -> None:
    """What either side added is in the merge; of a conflict it says where both sides have their lines."""
    result = _merge(differ, batch)
    conflicts = {each.path: each for each in result.conflicts}
    for file in batch:
        assert (file.path in result.files) != (file.path in conflicts)
        if file.path in result.files:
            there = Counter(BytesIO(result.files[file.path] or b"").readlines())
            assert all(not Counter(_added(file, side)) - there for side in ("ours", "theirs"))
            continue
        for hunk in conflicts[file.path].hunks:
            assert file.ours is not None
            lines = BytesIO(file.ours).readlines()[hunk.line - 1 :]
            assert b"".join(lines).startswith(hunk.ours)
            assert hunk.base in (file.base or b"")
            assert hunk.theirs in (file.theirs or b"")


def _added(file: Trio, side: str) -> list[bytes]:
    changed = getattr(file, side)
    assert file.base is not None
    lines = BytesIO(changed).readlines()
    changes = line_changes(file.base, changed)
    return [line for change in changes for line in lines[change.new_start : change.new_end]]


@given(before=_text(most=30), after=_text(most=30))
def test_changed_lines_are_all_that_differs(before: bytes, after: bytes) -> None:
    changes = line_changes(before, after)
    old, new = BytesIO(before).readlines(), BytesIO(after).readlines()
    made: list[bytes] = []
    at = 0
    for change in changes:
        assert change.start >= at
        assert change.new_start == len(made) + change.start - at
        made += old[at : change.start] + new[change.new_start : change.new_end]
        at = change.end
    assert b"".join([*made, *old[at:]]) == after
    assert all(one.end < two.start for one, two in itertools.pairwise(changes)), "none touches another"


@given(before=_text(most=30), after=_text(most=30))
def test_changed_lines_are_the_same_backwards(before: bytes, after: bytes) -> None:
    back = tuple(LineChange(each.new_start, each.new_end, each.start, each.end) for each in line_changes(after, before))
    assert [len(BytesIO(before).readlines()[each.start : each.end]) for each in back] == [
        each.end - each.start for each in back
    ]


# ---------------------------------------------------------------- patches

_NAMES = (
    "a",
    "b/c",
    "b/d e",
    'q"uote',
    "back\\slash",
    "tab\tin",
    "\udcff\udcfe",
    "ä/ö",
    "-rf",
    "--output=x",
    "new\nline",
)
_contents = st.none() | _text() | st.binary(max_size=300) | st.just(b"\0" * 70 + b"x")
_files = st.lists(
    st.builds(
        lambda path, before, after: FileMade(path=path, before=before, after=after),
        st.sampled_from(_NAMES),
        _contents,
        _contents,
    ),
    unique_by=lambda file: file.path,
    max_size=6,
)


@pytest.mark.parametrize("with_git", [True, False], ids=["git", "no git"])
def test_git_applies_a_patch_and_takes_it_back(differ: Differ, tmp_path: Path, *, with_git: bool) -> None:
    root = repository(tmp_path)

    @settings(max_examples=_EXAMPLES // 2)
    @given(files=_files, executable=st.booleans())
    def hold(files: list[FileMade], executable: bool) -> None:
        paths = [file.path for file in files] if executable else []
        patch = trio.run(partial(patch_text, differ if with_git else None, files, executable=paths))
        patch.encode()  # plain text
        for file in files:
            _lay(root, file.path, file.before, executable=executable)
        if patch:
            (root / ".patch").write_bytes(patch.encode())
            git(root, "apply", "--check", "--whitespace=nowarn", ".patch")
            git(root, "apply", "--whitespace=nowarn", ".patch")
        for file in files:
            target = root / file.path
            assert (target.read_bytes() if target.exists() else None) == file.after, file
            if file.after is not None:
                assert bool(target.stat().st_mode & 0o100) is executable
        if patch:
            git(root, "apply", "--reverse", "--whitespace=nowarn", ".patch")
        for file in files:
            target = root / file.path
            assert (target.read_bytes() if target.exists() else None) == file.before, file
            target.unlink(missing_ok=True)

    hold()


def _lay(root: Path, path: str, data: bytes | None, *, executable: bool) -> None:
    target = root / path
    target.parent.mkdir(exist_ok=True)
    if data is not None:
        target.write_bytes(data)
        target.chmod(0o755 if executable else 0o644)
