"""Which stores may answer steps: those that this user made here, and those that the user trusts."""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from tests.engine.store.making import a_step, in_trio, opened, origins_of, with_store
from vibe_workflows.engine.errors import StoreError
from vibe_workflows.engine.store.git_index import tracked_by_git
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.reader import store_id
from vibe_workflows.engine.store.sqlite import SqliteStore


@pytest.fixture
def path(path: Path) -> Path:
    """Of a store with one step."""
    with_store(path, lambda store: store.commit([a_step("s1")]))
    return path


def seen(path: Path) -> tuple[bool, str | None]:
    async def body(store: SqliteStore) -> tuple[bool, str | None]:
        assert [step.id for step in store.reader.pool(a_step("s1").key)] == ["s1"]  # for traces it is read in any case
        return store.reusable, store.warning

    return with_store(path, body)


def test_a_store_that_this_user_made_is_reused(path: Path) -> None:
    assert seen(path) == (True, None)
    assert origins_of(path).known(store_id(path))


def test_a_store_of_unknown_origin_is_not_reused_until_it_is_trusted(path: Path, tmp_path: Path) -> None:
    cloned = tmp_path / "elsewhere" / "clone" / ".vibe" / "vibe.db"
    shutil.copytree(path.parent, cloned.parent)
    reusable, warning = seen(cloned)
    assert not reusable
    assert warning is not None
    assert "was not made by you" in warning
    assert "vibe trust" in warning
    origins_of(cloned).record(store_id(cloned), cloned)
    assert seen(cloned) == (True, None)


def test_a_store_of_another_user_is_not_reused_until_it_is_trusted(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a file away needs root")
    os.chown(path, 65534, 65534)
    reusable, warning = seen(path)
    assert not reusable
    assert warning is not None
    assert "another user (uid 65534)" in warning
    origins_of(path).record(store_id(path), path)
    assert seen(path) == (True, None)


def test_a_store_in_git_is_not_reused_until_it_is_trusted(path: Path) -> None:
    git(path.parent.parent, "init", "-q")
    assert seen(path) == (True, None)
    git(path.parent.parent, "add", "-f", ".vibe/vibe.db")
    reusable, warning = seen(path)
    assert not reusable
    assert warning is not None
    assert "tracked by git" in warning
    origins_of(path).record(store_id(path), path)
    assert seen(path) == (True, None)


def test_trust_is_not_lost_when_a_store_is_recorded_again(path: Path) -> None:
    origins = origins_of(path)
    origins.record("some", path, trusted=True)
    origins.record("some", path, trusted=False)
    assert json.loads(origins.path.read_text())["stores"]["some"]["trusted"] is True


def test_a_store_made_while_the_list_cannot_be_written_warns(unprivileged: Path) -> None:
    path = unprivileged / ".vibe" / "vibe.db"
    unprivileged.chmod(0o555)  # the state folder of these tests is made in here

    async def main() -> tuple[bool, str | None]:
        async with opened(path) as store:
            return store.reusable, store.warning

    reusable, warning = in_trio(main)
    assert not reusable
    assert warning is not None
    assert "will not reuse its results" in warning
    assert "Permission denied" in warning


# ---------------------------------------------------------------- the list of stores


def test_the_list_is_for_its_user_only_and_says_where_each_store_was(path: Path) -> None:
    origins = origins_of(path)
    assert stat.S_IMODE(origins.path.stat().st_mode) == 0o600
    assert json.loads(origins.path.read_text()) == {"stores": {store_id(path): {"path": str(path), "trusted": False}}}


def test_many_recorders_at_once_lose_no_entry(tmp_path: Path) -> None:
    """Each opens the folder anew, as another process would; the lock is one of open files, not of processes."""
    state = tmp_path / "state"

    def record(name: str) -> None:
        for number in range(20):
            StoreOrigins(state).record(f"{name}{number}", tmp_path)

    threads = [threading.Thread(target=record, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(StoreOrigins(state).known(f"{name}{number}") for name in "abcd" for number in range(20))
    assert [file.name for file in state.iterdir()] == ["stores.json"]


@pytest.mark.parametrize("content", ["{", "[]", '{"stores": {"x": 1}}', '{"stores": []}', "\xff"])
def test_a_damaged_list_is_an_error_that_says_what_to_do(path: Path, content: str) -> None:
    origins_of(path).path.write_bytes(content.encode("latin-1"))
    with pytest.raises(StoreError, match=r"damaged.*delete it"):
        seen(path)


# ---------------------------------------------------------------- git's index


def git(folder: Path, *arguments: str) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git here")
    own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.fsmonitor=false"]
    subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)


def repository(folder: Path, *names: str) -> None:
    git(folder, "init", "-q", ".")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    git(folder, "add", "-f", ".")


@pytest.mark.parametrize("version", ["2", "4"])
def test_every_tracked_file_is_found_in_the_index_and_no_other(tmp_path: Path, version: str) -> None:
    names = [".vibe/agents/a.md", ".vibe/vibe.da", ".vibe/vibe.db", "deep/" * 30 + "file", "x/vibe.db2", "ä/ö"]
    repository(tmp_path, *names)
    git(tmp_path, "update-index", "--index-version", version)
    assert struct.unpack(">4sI", (tmp_path / ".git" / "index").read_bytes()[:8]) == (b"DIRC", int(version))
    others = [".vibe/vibe.d", "vibe.db", "x/vibe.db", ".vibe", "file", "x/.vibe/vibe.db", ".vibe/vibe.db2"]
    assert [name for name in (*names, *others) if tracked_by_git(tmp_path / name)] == names


@pytest.mark.parametrize("version", [3, 4])
def test_a_file_that_is_meant_to_be_added_is_tracked(tmp_path: Path, version: int) -> None:
    """Intent to add is an extended flag: it makes an index of version 2 one of version 3."""
    repository(tmp_path, "a", "z")
    if version == 4:
        git(tmp_path, "update-index", "--index-version", "4")
    (tmp_path / "store.db").write_text("x")
    git(tmp_path, "add", "-N", "store.db")
    assert (tmp_path / ".git" / "index").read_bytes()[4:8] == struct.pack(">I", version)
    names = ("a", "b", "store.db", "z")
    assert [name for name in names if tracked_by_git(tmp_path / name)] == ["a", "store.db", "z"]


def test_a_split_index_is_read_in_both_parts(tmp_path: Path) -> None:
    repository(tmp_path, "one")
    git(tmp_path, "update-index", "--split-index")
    (tmp_path / "two").write_text("x")
    git(tmp_path, "add", "two")
    assert [name for name in ("one", "two", "three") if tracked_by_git(tmp_path / name)] == ["one", "two"]


def test_a_worktree_and_a_repository_of_sha256_are_understood(tmp_path: Path) -> None:
    main, tree = tmp_path / "main", tmp_path / "tree"
    main.mkdir()
    repository(main, "a")
    git(main, "commit", "-q", "-m", "first")
    git(main, "worktree", "add", "-q", str(tree))
    assert tracked_by_git(tree / "a")
    assert not tracked_by_git(tree / "b")
    sha256 = tmp_path / "sha256"
    sha256.mkdir()
    git(sha256, "init", "-q", "--object-format=sha256", ".")
    (sha256 / "a").write_text("x")
    (sha256 / "ab").write_text("x")
    git(sha256, "add", ".")
    for version in ("2", "4"):
        git(sha256, "update-index", "--index-version", version)
        assert [name for name in ("a", "ab", "b") if tracked_by_git(sha256 / name)] == ["a", "ab"]


@pytest.mark.parametrize("index", [b"", b"DIRC", b"DIRC\0\0\0\4\0\0\0\xff" + b"x" * 70, b"GARBAGE" * 9])
def test_an_index_that_makes_no_sense_tracks_nothing(tmp_path: Path, index: bytes) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_bytes(index)
    assert not tracked_by_git(tmp_path / "a")


def test_outside_of_a_repository_nothing_is_tracked(tmp_path: Path) -> None:
    assert not tracked_by_git(tmp_path / "a")
