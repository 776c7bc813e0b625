"""Snapshots hold what counts, share what has not changed, and are right whatever happens while they are made."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.benches import Performing, Yard, yard
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.bench import copying
from vibe_workflows.engine.bench.premises import Premises
from vibe_workflows.engine.bench.removal import remove_folder
from vibe_workflows.engine.errors import ToolFailed


@pytest.fixture
def made() -> Iterator[Yard]:
    with memory_folder() as folder, yard(folder, Performing()) as made:
        made.tree.write(".gitignore", "*.log\nbuild/\n")
        made.tree.write("a.py", "a")
        made.tree.write("src/b.sh", "b").chmod(0o755)
        made.tree.write("src/.gitignore", ".gitignore\n*.o\n")
        made.tree.write("src/b.o")
        made.tree.write("build/out")
        made.tree.write(".git/config")
        made.tree.write(".vibe/vibe.db")
        made.tree.write(".env", "KEY=1").chmod(0o600)
        (made.root / "link").symlink_to("/etc/passwd")
        (made.root / "empty").mkdir()
        os.mkfifo(made.root / "pipe")
        made.tree.write("\udcff", "no text")
        yield made


def _taken(made: Yard) -> tuple[str, str, list[str]]:
    """Root, digest and names of one worktree."""

    async def main() -> tuple[str, str, list[str]]:
        async with made.benches.worktrees.open() as worktree:
            return worktree.root, worktree.tree, _names(worktree.root)

    return trio.run(main)


def _text(root: str, name: str) -> str:
    return Path(root, name).read_text()


def _names(root: str) -> list[str]:
    found = [
        os.path.relpath(os.path.join(folder, name), root)
        for folder, folders, files in os.walk(root)
        for name in (*folders, *files)
    ]
    return sorted(found)


def test_a_snapshot_holds_what_git_does_not_ignore_and_the_rules_that_say_so(made: Yard) -> None:
    os.utime(made.root / "a.py", ns=(1, 1_000_000_007))

    async def main() -> None:
        async with made.benches.worktrees.open() as worktree:
            root = Path(worktree.root)
            assert _names(worktree.root) == sorted(
                [".env", ".gitignore", "a.py", "empty", "link", "pipe", "src", "src/.gitignore", "src/b.sh", "\udcff"]
            )
            assert worktree.tree == await made.tree.tree.digest()
            modes = {name: stat.S_IMODE((root / name).lstat().st_mode) for name in ("a.py", "src/b.sh", ".env")}
            assert modes == {"a.py": 0o644, "src/b.sh": 0o755, ".env": 0o644}
            assert (root / "a.py").stat().st_mtime_ns == 1_000_000_007
            assert os.readlink(root / "link") == "/etc/passwd"
            assert stat.S_ISFIFO((root / "pipe").lstat().st_mode)

    trio.run(main)
    made.benches.close()
    assert made.left() == []


def test_worktrees_of_an_unchanged_project_share_one_snapshot_and_it_goes_with_the_last_one(made: Yard) -> None:
    async def main() -> None:
        async with made.benches.worktrees.open() as one:
            async with made.benches.worktrees.open() as other:
                assert one.root == other.root
            made.tree.write("a.py", "changed")
            async with made.benches.worktrees.open() as third:
                assert third.root != one.root
                assert third.tree != one.tree
                assert [_text(each.root, "a.py") for each in (one, third)] == ["a", "changed"]
        assert not os.access(one.root, os.F_OK)

    trio.run(main)


def test_many_at_once_wait_for_one_look(made: Yard) -> None:
    roots: set[str] = set()
    looks = 0
    files = made.tree.tree.files

    async def counted() -> object:
        nonlocal looks
        looks += 1
        return await files()

    async def one() -> None:
        async with made.benches.worktrees.open() as worktree:
            roots.add(worktree.root)
            await everybody.wait()

    async def main() -> None:
        made.tree.tree.files = counted  # type: ignore[method-assign,assignment]
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one)
            while len(roots) == 0:
                await trio.testing.wait_all_tasks_blocked()
            everybody.set()

    everybody = trio.Event()
    trio.run(main)
    assert len(roots) == 1
    assert looks <= 2


def test_what_has_not_changed_is_a_link_to_the_last_snapshot_and_what_has_is_none(made: Yard) -> None:
    made.tree._tick()  # what was written a moment ago is copied again

    async def main() -> None:
        async with made.benches.worktrees.open() as one:
            made.tree.write("src/b.sh", "changed").chmod(0o755)
            (made.root / "link").unlink()
            (made.root / "link").symlink_to("a.py")
            os.utime(made.root / ".env", ns=(5, 5))
            async with made.benches.worktrees.open() as other:
                same = {
                    name: os.path.samestat(*(os.stat(f"{each.root}/{name}") for each in (one, other))) for name in names
                }
                assert same == {"a.py": True, "src/b.sh": False, ".gitignore": True, ".env": False}
                assert os.stat(f"{other.root}/.env").st_mtime_ns == 5
                assert os.readlink(f"{other.root}/link") == "a.py"

    names = ("a.py", "src/b.sh", ".gitignore", ".env")
    trio.run(main)


def test_a_file_that_changes_while_it_is_copied_is_told_as_it_was_copied(
    made: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the snapshot is not taken for one of the project as it was before."""
    before = made.tree.digest()
    copy = copying._Copier.copy_folder

    def changing(self: copying._Copier, *arguments: object) -> object:
        (made.root / "a.py").write_text("b")
        return copy(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(copying._Copier, "copy_folder", changing)
        root, digest, _ = _taken(made)
    assert digest == made.tree.digest() != before
    (made.root / "a.py").write_text("a")
    assert made.tree.digest() == before
    later, digest, _ = _taken(made)
    assert later != root
    assert digest == before


@pytest.mark.parametrize("changes", [False, True])
def test_a_clone_is_told_as_what_it_holds(made: Yard, monkeypatch: pytest.MonkeyPatch, changes: bool) -> None:
    """Few disks have them: here, a plain copy stands for one."""
    made.tree.digest()  # what rests is not read again

    def clone(copy: int, request: int, source: int) -> int:
        assert request == 0x4004_9409
        return os.write(copy, os.pread(source, 1_000, 0))

    copy = copying._Copier.copy_folder

    def changing(self: copying._Copier, *arguments: object) -> object:
        if changes:
            (made.root / "a.py").write_text("changed")
        return copy(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("vibe_workflows.engine.bench.copying.fcntl.ioctl", clone)
    monkeypatch.setattr(copying._Copier, "copy_folder", changing)

    async def main() -> None:
        async with made.benches.worktrees.open() as worktree:
            assert _text(worktree.root, "a.py") == ("changed" if changes else "a")
            assert worktree.tree == await made.tree.tree.digest()

    trio.run(main)


def test_rules_that_change_while_a_snapshot_is_made_are_asked_again(
    made: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copying._Copier.copy_folder
    changes = iter(["*.py\n"])

    def changing(self: copying._Copier, *arguments: object) -> object:
        for rules in changes:
            (made.root / ".gitignore").write_text(rules)
        return copy(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(copying._Copier, "copy_folder", changing)
    _, digest, names = _taken(made)
    assert "a.py" not in names
    assert "build/out" in names
    assert digest == made.tree.digest()


def test_a_full_disk_is_told_and_leaves_nothing_behind(made: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vibe_workflows.engine.bench.copying.os.write", full)
    with pytest.raises(ToolFailed, match="No space left on device"):
        _taken(made)
    (owner,) = made.cache.glob("snapshots/*/*")
    assert [each.name for each in owner.iterdir()] == ["lock"]


def test_a_cache_folder_in_the_project_is_refused(tmp_path: Path) -> None:
    premises = Premises(tmp_path / "project" / "cache", str(tmp_path / "project"))
    with pytest.raises(ToolFailed, match="XDG_CACHE_HOME"):
        premises.new_folder()
    assert not (tmp_path / "project").exists()


def test_a_cache_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots").chmod(0o777)
    with pytest.raises(ToolFailed, match="chmod go-w"):
        Premises(tmp_path, "/project").new_folder()


def test_what_is_copied_belongs_to_this_user_alone(made: Yard) -> None:
    async def main() -> None:
        async with made.benches.worktrees.open() as worktree:
            for folder in (worktree.root, os.path.dirname(worktree.root), str(made.cache / "snapshots")):
                assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700

    trio.run(main)


def test_a_folder_is_removed_whatever_was_made_of_it() -> None:
    with memory_folder() as home:
        outside, folder = home / "outside", home / "folder"
        outside.mkdir()
        (outside / "kept").touch()
        outside.chmod(0o500)
        folder.mkdir()
        (folder / "link").symlink_to(outside)
        os.mkfifo(folder / "pipe")
        here = os.open(folder, os.O_RDONLY)
        for _ in range(1_200):  # deeper than a path is long, and than Python recurses
            os.mkdir("d" * 50, dir_fd=here)
            below = os.open("d" * 50, os.O_RDONLY, dir_fd=here)
            os.fchmod(here, 0o000)
            os.close(here)
            here = below
        os.close(here)
        remove_folder(str(folder))
        assert not folder.exists()
        assert (outside / "kept").exists()
        assert stat.S_IMODE(outside.stat().st_mode) == 0o500
        outside.chmod(0o700)
        remove_folder(str(folder))
