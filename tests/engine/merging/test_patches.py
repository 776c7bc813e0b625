"""Patches as `git apply` takes them; tests/properties/test_merging.py applies many."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.support.commands import PlainCommands
from tests.support.repositories import git, repository, write
from vibe_workflows.engine.git import Differ
from vibe_workflows.engine.merging import patch_text
from vibe_workflows.engine.ports import FileMade

OLD = "".join(f"{number}\n" for number in range(1, 31))


def _made(path: str, before: str | bytes | None, after: str | bytes | None) -> FileMade:
    sides = [side.encode() if isinstance(side, str) else side for side in (before, after)]
    return FileMade(path=path, before=sides[0], after=sides[1])


@pytest.fixture
def differ(tmp_path: Path) -> Differ:
    return Differ(PlainCommands(tmp_path))


def _patch(differ: Differ | None, files: Sequence[FileMade], *executable: str) -> str:
    return trio.run(partial(patch_text, differ, files, executable=executable))


def test_a_patch_is_what_git_writes_for_the_same_changes(differ: Differ, tmp_path: Path) -> None:
    after = OLD.replace("3\n", "three\n", 1).replace("25\n", "").replace("26\n", "twenty-six\n") + "31"
    files = [
        _made("sub/changed.txt", OLD, after),
        _made("gone.txt", "bye\n", None),
        _made("new.txt", None, "hello\n"),
        _made("empty file", None, ""),
        _made("no end.txt", "a", "b"),
        _made('od"d\t.txt', None, "x\n"),
        _made("run.sh", "echo\n", "echo 1\n"),
    ]
    root = repository(tmp_path / "project")
    for file in files:
        if file.before is not None:
            write(root, file.path).write_bytes(file.before)
    (root / "run.sh").chmod(0o755)
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "before")
    for file in files:
        if file.after is None:
            (root / file.path).unlink()
        else:
            write(root, file.path).write_bytes(file.after)
    git(root, "add", "-A")
    wanted = git(root, "diff", "--cached", "--no-renames", "--full-index", "--no-color", "HEAD")
    ours = _patch(differ, files, "run.sh")
    assert _comparable(ours) == _comparable(wanted)


def _comparable(patch: str) -> list[str]:
    """Git leaves out a count of 1, and names the function that a hunk lies in."""
    lines = patch.strip("\n").split("\n")
    return [line.split(" @@")[0].replace(",1", "") if line.startswith("@@") else line for line in lines]


@pytest.mark.parametrize("with_git", [True, False], ids=["git", "no git"])
def test_files_that_trade_places_with_folders_are_applied(differ: Differ, tmp_path: Path, *, with_git: bool) -> None:
    files = [
        _made("a", "a file\n", None),
        _made("a/inner", None, "in a folder\n"),
        _made("b/inner", "in a folder\n", None),
        _made("b", None, "a file\n"),
    ]
    root = repository(tmp_path / "project", {"a": "a file\n", "b/inner": "in a folder\n"})
    (tmp_path / "patch").write_text(_patch(differ if with_git else None, files))
    git(root, "apply", "../patch")
    assert (root / "a/inner").read_text() == "in a folder\n"
    assert (root / "b").read_text() == "a file\n"


def test_what_is_no_text_goes_in_the_binary_form_and_comes_out_the_same(differ: Differ, tmp_path: Path) -> None:
    before, after = bytes(range(256)) * 20, b"Gr\xfc\xdfe\n"
    root = repository(tmp_path / "project")
    (root / "data").write_bytes(before)
    patch = _patch(differ, [_made("data", before, after)])
    (tmp_path / "patch").write_text(patch)
    git(root, "apply", "../patch")
    assert (root / "data").read_bytes() == after


def test_what_did_not_change_is_in_no_patch(differ: Differ) -> None:
    assert _patch(differ, [_made("a", "x", "x"), _made("b", None, None)]) == ""


def test_files_come_in_the_order_of_their_names(differ: Differ) -> None:
    files = [_made("b", None, "x\n"), _made("a", "y\n", "x\n")]
    assert _patch(differ, files) == _patch(differ, files[::-1])


def test_a_whole_patch_costs_one_start_of_git(tmp_path: Path) -> None:
    commands = PlainCommands(tmp_path)
    _patch(Differ(commands), [_made(str(number), "a\nb\n", "a\nc\n") for number in range(200)])
    assert len(commands.ran) == 1
