"""A file is replaced at once or not at all, and nothing else with it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.projects import Project
from tests.support.repositories import repository
from vibe_workflows.engine.agents.tools import writing
from vibe_workflows.engine.agents.tools.workspace import Place
from vibe_workflows.engine.errors import ToolDenied, ToolFailed

LEFTOVER = ".vibe-tmp-0123456789abcdef"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


def _write(project: Project, path: str, data: bytes, before: bytes | None) -> None:
    async def main() -> None:
        await project.workspace.write(Place.at(path), data, before=before)

    trio.run(main)


def _remove(project: Project, path: str, before: bytes, *, and_folders: bool = False) -> None:
    async def main() -> None:
        await project.workspace.remove(Place.at(path), before=before, and_folders=and_folders)

    trio.run(main)


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> int:
    os.umask(old := os.umask(0o022))
    return old


def test_a_new_file_and_its_folders_get_the_mode_that_others_get(project: Project, umask: int) -> None:
    _write(project, "a/b/c.txt", b"new", None)
    assert (project.root / "a/b/c.txt").read_bytes() == b"new"
    assert _mode(project.root / "a/b/c.txt") == 0o666 & ~umask
    assert _mode(project.root / "a/b") == 0o777 & ~umask
    assert _names(project.root) == ["a", "a/b", "a/b/c.txt"]


@pytest.mark.parametrize(("mode", "kept"), [(0o755, 0o755), (0o640, 0o640), (0o4755, 0o755), (0o2711, 0o711)])
def test_a_file_keeps_its_mode_but_vouches_for_nobody(project: Project, mode: int, kept: int) -> None:
    path = project.write("run.sh", "old")
    path.chmod(mode)
    _write(project, "run.sh", b"new", b"old")
    assert path.read_bytes() == b"new"
    assert _mode(path) == kept


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_stays_with_its_owner(project: Project) -> None:
    path = project.write("a.txt", "old")
    os.chown(path, 1234, 4321)
    _write(project, "a.txt", b"new", b"old")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_a_hard_link_elsewhere_keeps_the_old_contents(project: Project) -> None:
    outside = project.root.parent / "outside.txt"
    outside.write_text("old")
    os.link(outside, project.root / "a.txt")
    _write(project, "a.txt", b"new", b"old")
    assert (outside.read_text(), (project.root / "a.txt").read_text()) == ("old", "new")


def test_who_has_the_file_open_still_reads_the_old_one(project: Project) -> None:
    path = project.write("a.txt", "old contents")
    with path.open() as reader:
        _write(project, "a.txt", b"new", b"old contents")
        assert reader.read() == "old contents"


@pytest.mark.parametrize(
    ("held", "before"), [(b"other", b"old"), (b"longer", b"old"), (b"", None), (None, b"old"), (b"old", None)]
)
def test_a_file_that_is_not_as_it_was_is_left_alone(project: Project, held: bytes | None, before: bytes | None) -> None:
    if held is not None:
        project.write("a.txt", held)
    with pytest.raises(ToolFailed, match=r"a.txt: it changed while it was edited; nothing was written"):
        _write(project, "a.txt", b"new", before)
    assert _names(project.root) == ([] if held is None else ["a.txt"])
    if held is not None:
        assert (project.root / "a.txt").read_bytes() == held
        if held != before and before is not None:
            with pytest.raises(ToolFailed, match="it changed"):
                _remove(project, "a.txt", before)


def test_what_changes_while_the_new_contents_are_written_is_seen(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.write("a.txt", "old")
    real = writing._fill

    def interrupted(*arguments: Any) -> None:
        real(*arguments)
        path.write_text("by hand")

    monkeypatch.setattr(writing, "_fill", interrupted)
    with pytest.raises(ToolFailed, match="it changed"):
        _write(project, "a.txt", b"new", b"old")
    assert path.read_text() == "by hand"
    assert _names(project.root) == ["a.txt"]


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.write("a.txt", "old")

    def full(_file: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ToolFailed, match=r"a\.txt: No space left on device"):
        _write(project, "a.txt", b"new", b"old")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert _names(project.root) == ["a.txt"]


@pytest.mark.parametrize("lies", ["link", "folder", "pipe"])
def test_what_is_no_file_is_not_replaced(project: Project, lies: str) -> None:
    path = project.root / "a"
    (project.root.parent / "outside").write_text("outside")
    if lies == "link":
        path.symlink_to("../outside")
    elif lies == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    for before in (None, b"outside"):
        with pytest.raises((ToolDenied, ToolFailed)):
            _write(project, "a", b"new", before)
    assert (project.root.parent / "outside").read_text() == "outside"
    assert _names(project.root) == ["a"]


def test_a_file_or_link_in_the_way_of_a_folder_is_an_error(project: Project) -> None:
    project.write("file", "x")
    (project.root.parent / "outside").mkdir()
    (project.root / "link").symlink_to("../outside")
    for path in ("file/a.txt", "link/a.txt", "link/deep/a.txt"):
        with pytest.raises(ToolFailed, match="a file or a link lies where one of its folders should be"):
            _write(project, path, b"new", None)
    assert _names(project.root.parent / "outside") == []


def test_removing_leaves_folders_unless_they_are_empty_and_to_go(project: Project) -> None:
    project.write("a/b/c/d.txt", "d")
    project.write("a/other.txt", "o")
    _remove(project, "a/b/c/d.txt", b"d")
    assert _names(project.root) == ["a", "a/b", "a/b/c", "a/other.txt"]
    project.write("a/b/c/d.txt", "d")
    _remove(project, "a/b/c/d.txt", b"d", and_folders=True)
    assert _names(project.root) == ["a", "a/other.txt"]


def test_what_a_killed_process_left_is_cleared_and_a_write_under_way_is_not_disturbed(project: Project) -> None:
    project.write("src/a.txt", "a")
    project.write(f"src/{LEFTOVER}", "half")
    alive = project.write("src/.vibe-tmp-00000000000000ff", "half")
    project.write("src/.vibe-tmp-mine", "of somebody else")
    with alive.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert project.workspace.clear_leftovers(Place.at("src/a.txt")) == 1
        assert _names(project.root / "src") == [".vibe-tmp-00000000000000ff", ".vibe-tmp-mine", "a.txt"]
    assert project.workspace.clear_leftovers(Place.at("src/a.txt")) == 1
    assert project.workspace.clear_leftovers(Place.at("gone/a.txt")) == 0


def test_a_write_holds_its_temporary_file_so_that_nobody_clears_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = writing._fill

    def interrupted(*arguments: Any) -> None:
        real(*arguments)
        assert project.workspace.clear_leftovers(Place.at("a.txt")) == 0

    monkeypatch.setattr(writing, "_fill", interrupted)
    _write(project, "a.txt", b"new", None)
    assert (project.root / "a.txt").read_bytes() == b"new"


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", "a//b", "./a", "a/", "a\0b"])
def test_what_cannot_be_a_real_path_is_no_place(project: Project, path: str) -> None:
    with pytest.raises(ToolDenied):
        Place.at(path)
    with pytest.raises(ToolDenied):
        project.workspace.over({path: b"x"})


@pytest.mark.parametrize("path", [".git/hooks/pre-commit", "a/.VIBE/x", "vibe.yaml", ".claude/agents/x.md", ".env"])
def test_what_no_tool_writes_is_not_written_whoever_asks(project: Project, path: str) -> None:
    with pytest.raises(ToolDenied):
        _write(project, path, b"new", None)
    project.write(path, "old")
    with pytest.raises(ToolDenied):
        _remove(project, path, b"old")
    assert (project.root / path).read_text() == "old"


def test_no_tool_shows_a_temporary_file(project: Project) -> None:
    repository(project.root)
    project.write(f"src/{LEFTOVER}", "half")
    project.write(LEFTOVER, "half")
    project.write("a.txt", "half")
    assert project.data("glob", pattern="**/*")["paths"] == ["a.txt"]
    assert [each["path"] for each in project.data("grep", pattern="half")["matches"]] == ["a.txt"]
    assert [each["name"] for each in project.data("list_files")["entries"]] == ["a.txt", "src"]
    changed = project.data("git_diff")
    assert ([each["path"] for each in changed["files"]], changed["left_out"]) == (["a.txt"], [])
    with pytest.raises(ToolDenied, match="temporary file of an edit"):
        project.call("read_file", path=LEFTOVER)
