"""git_diff on a view is what it would be if the files lay on the disk, or an error: never something else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.checking import PlainChecker
from tests.support.commands import PlainCommands
from tests.support.memory_folder import memory_folder
from tests.support.repositories import commit, git, repository, write
from vibe_workflows.cli.commands import ConfinedCommands
from vibe_workflows.engine.agents.tools.git_diff import GitDiff
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.errors import ToolFailed
from vibe_workflows.engine.ports import CommandRunner

INEXACT = "git cannot tell this"
LONG = "".join(f"line {number}\n" for number in range(20))
ONE = {"a.txt": "one\ntwo\n", "src/b.txt": LONG, "src/c.txt": "c\n", ".gitignore": "*.log\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path / "project", ONE)


def _diff(root: Path, over: Mapping[str, bytes | None], commands: CommandRunner | None = None, **arguments: Any) -> Any:
    workspace = Workspace(root, PlainChecker()).over(over)
    return trio.run(GitDiff(workspace, commands or PlainCommands(root)).run, arguments).data


def _lay(root: Path, over: Mapping[str, bytes | None]) -> None:
    for path, data in over.items():
        if data is None:
            (root / path).unlink(missing_ok=True)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)


def _assert_same(root: Path, over: Mapping[str, bytes | None], **arguments: Any) -> Any:
    seen = _diff(root, over, **arguments)
    _lay(root, over)
    assert seen == _diff(root, {}, **arguments)
    return seen


@pytest.mark.parametrize("arguments", [{}, {"path": "src"}, {"path": "a.txt"}, {"staged": True}, {"base": "HEAD~1"}])
def test_edits_and_new_files_of_a_view_show_between_those_of_the_disk(root: Path, arguments: dict[str, Any]) -> None:
    write(root, "a.txt", "one\n2\n")
    commit(root, "second")
    write(root, "src/c.txt", "changed on the disk\n")
    write(root, "src/new-on-disk.txt", "new\n")
    write(root, "x.log", "ignored")
    write(root, "taken-back.txt", "new\n")
    over = {
        "a.txt": b"1\n2\n",
        "src/b.txt": LONG.replace("line 7", "LINE").encode(),
        "src/new.txt": b"new\n",
        "src/y.log": b"ignored",
        "taken-back.txt": None,
    }
    seen = _assert_same(root, over, **arguments)
    if not arguments:
        assert [each["path"] for each in seen["files"]] == [
            *("a.txt", "src/b.txt", "src/c.txt", "src/new-on-disk.txt", "src/new.txt")
        ]


def test_a_file_that_is_taken_back_is_as_it_was_committed(root: Path) -> None:
    write(root, "a.txt", "edited by a step\n")
    assert _assert_same(root, {"a.txt": b"one\ntwo\n"})["files"] == []


def test_a_tracked_file_that_is_absent_is_deleted(root: Path) -> None:
    assert [each["status"] for each in _assert_same(root, {"a.txt": None})["files"]] == ["deleted"]


def test_the_mode_of_a_file_stays_that_of_the_disk(root: Path) -> None:
    (root / "a.txt").chmod(0o755)
    seen = _assert_same(root, {"a.txt": b"one\n"})
    assert "new mode 100755" in seen["diff"]


def test_attributes_of_the_folders_above_count(root: Path) -> None:
    write(root, "src/.gitattributes", "*.bin binary\n*.crlf text eol=crlf\n")
    write(root, "src/x.bin", "one\n")
    write(root, "src/y.crlf", "one\n")
    commit(root, "with attributes")
    seen = _assert_same(root, {"src/x.bin": b"two\n", "src/y.crlf": b"one\r\n"})
    assert [(each["path"], each["added"]) for each in seen["files"]] == [("src/x.bin", None)]


def test_a_project_below_the_top_of_its_repository(tmp_path: Path) -> None:
    top = repository(tmp_path / "top", {"project/a.txt": "one\n", "project/in/b.txt": "b\n", "other.txt": "o\n"})
    write(top, ".gitignore", "*.log\n")
    write(top, "other.txt", "changed\n")
    seen = _assert_same(top / "project", {"a.txt": b"two\n", "in/x.log": b"", "in/new.txt": b"", "in/b.txt": None})
    assert [each["path"] for each in seen["files"]] == ["a.txt", "in/b.txt", "in/new.txt"]


@pytest.mark.parametrize(
    "over",
    [
        {".gitignore": b""},
        {"src/.gitattributes": b"* binary\n"},
        {"a.txt": None, "src/staged.txt": b"one\ntwo\n"},  # may be renamed
    ],
)
def test_what_cannot_be_put_together_exactly_is_an_error(root: Path, over: dict[str, bytes | None]) -> None:
    write(root, "src/staged.txt", "staged\n")
    git(root, "add", "src/staged.txt")
    with pytest.raises(ToolFailed, match=INEXACT):
        _diff(root, over)


def test_an_unmerged_file_shows_as_it_would_on_the_disk(root: Path) -> None:
    git(root, "checkout", "-q", "-b", "other")
    write(root, "a.txt", "theirs\n")
    commit(root, "theirs")
    git(root, "checkout", "-q", "main")
    write(root, "a.txt", "ours\n")
    commit(root, "ours")
    with pytest.raises(AssertionError):
        git(root, "merge", "other")
    assert "<<<<<<<" in (root / "a.txt").read_text()
    _assert_same(root, {"src/c.txt": b"x"})
    _assert_same(root, {"a.txt": b"x"})
    _assert_same(root, {"a.txt": None})


def test_what_is_staged_has_nothing_to_do_with_a_view(root: Path) -> None:
    git(root, "mv", "src/b.txt", "src/renamed.txt")
    seen = _assert_same(root, {"src/b.txt": b"x", "src/renamed.txt": None}, staged=True)
    assert [each["status"] for each in seen["files"]] == ["renamed"]


def test_without_a_repository_a_view_is_an_error_as_the_disk_is(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="in no git repository"):
        _diff(tmp_path, {"a.txt": b"x"})


def test_a_file_within_a_repository_of_its_own_is_an_error(root: Path) -> None:
    repository(root / "inner", {"x.txt": "x\n"})
    with pytest.raises(ToolFailed, match=INEXACT):
        _diff(root, {"inner/x.txt": b"other\n"})


def test_git_behind_its_walls_sees_the_files_too(root: Path) -> None:
    commands = ConfinedCommands(root, accepted="weak", environ={"PATH": "/usr/bin:/bin"})
    seen = _diff(root, {"a.txt": b"one\n", "new.txt": b""}, commands)
    assert [(each["path"], each["status"]) for each in seen["files"]] == [
        ("a.txt", "modified"),
        ("new.txt", "untracked"),
    ]


_PATHS = st.sampled_from(["a.txt", "b.log", "src/b.txt", "src/c.txt", "src/in/d.txt"])
_TEXTS = st.sampled_from([b"one\n", b"one\ntwo\n", b"\0\1", b"", LONG.encode(), LONG.upper().encode()])
_CHANGES = st.dictionaries(_PATHS, st.none() | _TEXTS, max_size=4)


@settings(max_examples=15)
@given(staged=_CHANGES, disk=_CHANGES, over=_CHANGES, where=st.sampled_from([".", "src", "a.txt"]))
def test_a_view_of_any_state_is_right_or_an_error(
    staged: dict[str, bytes | None], disk: dict[str, bytes | None], over: dict[str, bytes | None], where: str
) -> None:
    with memory_folder() as folder:
        root = repository(folder / "project", ONE)
        _lay(root, staged)
        git(root, "add", "-A")
        _lay(root, disk)
        try:
            seen = _diff(root, over, path=where)
        except ToolFailed as error:
            _lay(root, over)
            if INEXACT not in error.message:
                with pytest.raises(ToolFailed, match="no such file or folder"):
                    _diff(root, {}, path=where)
            return
        _lay(root, over)
        assert seen == _diff(root, {}, path=where)
