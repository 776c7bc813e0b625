"""The digest of the whole project: what counts, what is asked and read again, and whom its cache believes."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from tests.support.memory_folder import memory_folder
from tests.support.trees import Tree
from vibe_workflows.engine.agents.tools.file_tree import FileTree
from vibe_workflows.engine.errors import ToolFailed
from vibe_workflows.engine.keys import DIGEST_BYTES
from vibe_workflows.engine.tree import scan


@pytest.fixture
def tree() -> Iterator[Tree]:
    with memory_folder() as folder:
        (folder / "project").mkdir()
        tree = Tree(folder / "project", folder / "cache")
        tree.write(".gitignore", "*.log\nbuild/\n")
        tree.write("a.py", "a")
        tree.write("src/b.py", "b")
        tree.write("src/x.log", "x")
        tree.write("build/out.o", "o")
        (tree.root / "link").symlink_to("a.py")
        yield tree


# ---------------------------------------------------------------- what counts


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "src/b.py").write_text("c"),
        lambda root: (root / "src/b.py").unlink(),
        lambda root: (root / "src/b.py").rename(root / "src/c.py"),
        lambda root: (root / "src").rename(root / "lib"),
        lambda root: (root / "src/b.py").chmod(0o744),
        lambda root: (root / "new").write_text(""),
        lambda root: (root / ".env").write_text("KEY=1"),
        lambda root: (root / ".gitignore").write_text("*.log\nbuild/\n\n"),
        lambda root: (root / "src/.gitignore").write_text("!x.log\n"),
        lambda root: ((root / "link").unlink(), (root / "link").symlink_to("src")),
        lambda root: ((root / "link").unlink(), (root / "link").write_text("a.py")),
        lambda root: ((root / "a.py").unlink(), (root / "a.py").symlink_to("src/b.py")),
        lambda root: os.mkfifo(root / "pipe"),
        lambda root: Path(os.fsdecode(os.fsencode(root) + b"/\xff.txt")).write_text(""),
        lambda root: Path(os.fsdecode(os.fsencode(root) + b"/\xff.log")).write_text(""),
    ],
)
def test_what_a_command_may_see_changes_the_digest(tree: Tree, change: Callable[[Path], object]) -> None:
    before = tree.digest()
    change(tree.root)
    assert tree.digest() == tree.from_scratch() != before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "src/x.log").write_text("y"),
        lambda root: (root / "src/new.log").write_text("y"),
        lambda root: (root / "build/new").write_text(""),
        lambda root: (root / "empty/folder").mkdir(parents=True),
        lambda root: (root / ".vibe").mkdir(),
        lambda root: ((root / "sub").mkdir(), (root / "sub/.git").write_text("gitdir: elsewhere")),
        lambda root: (root / "a.py").touch(),
        lambda root: (root / "a.py").chmod(0o600),
    ],
)
def test_what_git_does_not_show_leaves_the_digest_as_it_is(tree: Tree, change: Callable[[Path], object]) -> None:
    before = tree.digest()
    change(tree.root)
    assert tree.digest() == tree.from_scratch() == before


def test_a_name_that_is_no_utf8_counts_and_so_does_its_end(tree: Tree) -> None:
    before = tree.digest()
    strange = Path(os.fsdecode(os.fsencode(tree.root) + b"/\xff/in"))
    strange.parent.mkdir()
    strange.write_text("1")
    with_it = tree.digest()
    assert with_it != before
    strange.write_text("2")
    assert tree.digest() not in (before, with_it)
    shutil.rmtree(strange.parent)
    assert tree.digest() == before
    beside = Path(os.fsdecode(os.fsencode(tree.root) + b"/\xff"))
    beside.write_text("3")
    assert tree.digest() != before
    beside.unlink()
    assert tree.digest() == before


def test_a_socket_and_a_pipe_are_not_opened(tree: Tree) -> None:
    before = tree.digest()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tree.root / "s"))
        with_socket = tree.digest()
        (tree.root / "s").unlink()
        os.mkfifo(tree.root / "s")
        assert len({before, with_socket, tree.digest()}) == 3


def test_rules_that_cannot_be_applied_ignore_nothing(tree: Tree) -> None:
    tree.checker.refuses = True
    before = tree.digest()
    tree.write("src/x.log", "changed")
    tree.checker.asked.clear()
    assert tree.digest() != before
    assert "src/x.log" in tree.checker.asked  # next time they may be: it is not taken for decided
    tree.checker.refuses = False
    assert tree.digest() == tree.from_scratch()


def test_a_folder_that_is_gone_when_it_is_listed_has_no_files(tree: Tree) -> None:
    """Here: one that a view names, and the disk has a file in its place."""
    before = tree.digest()
    assert tree.digest({"a.py/new": None}) == before


@contextmanager
def _without_privileges() -> Iterator[None]:
    """Root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("shut", "mode", "change"),
    [
        ("src/b.py", 0o000, lambda root: (root / "src/b.py").write_text("longer")),
        ("src", 0o000, lambda root: (root / "src/new.py").write_text("")),
        ("src", 0o444, lambda root: (root / "src/new.py").write_text("")),  # names, but nothing else
    ],
)
def test_what_cannot_be_read_counts_by_what_is_known_of_it(
    tree: Tree, shut: str, mode: int, change: Callable[[Path], object]
) -> None:
    tree.root.parent.chmod(0o755)
    open_mode = (tree.root / shut).stat().st_mode
    seen = []
    for _ in range(2):
        (tree.root / shut).chmod(mode)
        with _without_privileges():
            seen += [trio.run(tree.tree.digest), trio.run(tree.tree.digest)]
        (tree.root / shut).chmod(open_mode)
        change(tree.root)
    assert seen[0] == seen[1] != seen[2] == seen[3]


# ---------------------------------------------------------------- what is asked and read again


def test_git_s_rules_are_asked_about_new_names_and_changed_rules_only(tree: Tree) -> None:
    tree.digest()
    assert set(tree.checker.asked) >= {"a.py", "src/", "build/", "src/x.log"}
    tree.checker.asked.clear()
    tree.restart()
    tree.digest()
    tree.write("src/b.py", "changed")
    tree.digest()
    assert tree.checker.asked == []

    tree.write("src/new.py")
    tree.write("src/new.log")
    tree.digest()
    assert sorted(tree.checker.asked) == ["src/new.log", "src/new.py"]
    tree.write("src/newer.log")
    tree.digest()
    tree.checker.asked.clear()
    tree.digest()
    assert tree.checker.asked == []

    tree.write("src/.gitignore", "b.py\n")
    tree.digest()
    assert "src/b.py" in tree.checker.asked
    assert "a.py" not in tree.checker.asked


def test_a_change_is_seen_whose_time_of_modification_was_set_back(tree: Tree) -> None:
    file = tree.root / "a.py"
    then = file.stat()
    before = tree.digest()
    file.write_text("z")
    os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert file.stat().st_mtime_ns == then.st_mtime_ns
    assert tree.digest() != before


def test_a_look_that_was_cancelled_leaves_nothing_behind(tree: Tree) -> None:
    async def cancelled_at_each_wait() -> str:
        for _ in range(20):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(tree.tree.digest)
                    await trio.testing.wait_all_tasks_blocked()
                    scope.cancel()
        return await tree.tree.digest()

    assert trio.run(cancelled_at_each_wait) == tree.from_scratch()


def test_looks_at_the_same_time_read_a_file_once(tree: Tree) -> None:
    async def several() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(tree.tree.digest)

    trio.run(several)
    assert len(tree.checker.asked) == len(set(tree.checker.asked))


# ---------------------------------------------------------------- whom the cache believes


def _cache_file(tree: Tree) -> Path:
    (file,) = (tree.cache / "trees").iterdir()
    return file


def _lying(tree: Tree) -> bytes:
    """The cache of the project, but a.py is said to be empty."""
    kept = msgspec.msgpack.decode(_cache_file(tree).read_bytes()[DIGEST_BYTES:])
    root = kept[2][""]
    root[1]["a.py"][1] = b"f" + blake2b(b"", digest_size=DIGEST_BYTES).digest()
    root[4] = b""
    body = msgspec.msgpack.encode(kept)
    return blake2b(body, digest_size=DIGEST_BYTES).digest() + body


def test_an_unchanged_file_is_known_from_the_cache_and_not_read(tree: Tree) -> None:
    """Which a cache that lies about it shows."""
    true = tree.digest()
    _cache_file(tree).write_bytes(_lying(tree))
    tree.restart()
    lie = tree.digest()
    assert lie != true
    (tree.root / "a.py").write_text("")
    assert lie == tree.from_scratch()


def test_a_file_that_changed_a_moment_ago_is_read_again(tree: Tree) -> None:
    """It may change once more within a tick of the file system's clock, and look the same."""
    tree.ahead_s = 0.0
    true = tree.digest()
    _cache_file(tree).write_bytes(_lying(tree))
    tree.restart()
    assert tree.digest() == true


def test_a_look_at_a_view_is_not_kept(tree: Tree) -> None:
    tree.digest()
    kept = _cache_file(tree).read_bytes()
    tree.digest({"src/b.py": b"z", "src/new.py": b"z", "a.py": None, ".gitignore": b"*.py"})
    assert _cache_file(tree).read_bytes() == kept


def test_names_that_come_and_go_do_not_pile_up(tree: Tree) -> None:
    tree.digest()
    kept = _cache_file(tree).stat().st_size
    for number in range(5):
        temporary = tree.write(f"src/{number}.log")
        tree.digest()
        temporary.unlink()
    tree.digest()
    assert _cache_file(tree).stat().st_size == kept


def test_a_file_that_a_view_replaces_is_as_executable_as_it_was(tree: Tree) -> None:
    (tree.root / "a.py").chmod(0o755)
    looked_at = tree.digest({"a.py": b"z"})
    (tree.root / "a.py").write_text("z")
    assert tree.digest() == looked_at


def _writable_by_all(tree: Tree, file: Path, lie: bytes) -> None:
    file.write_bytes(lie)
    file.chmod(0o666)


def _a_link(tree: Tree, file: Path, lie: bytes) -> None:
    elsewhere = tree.cache / "elsewhere"
    elsewhere.write_bytes(lie)
    file.unlink()
    file.symlink_to(elsewhere)


def _a_pipe(tree: Tree, file: Path, lie: bytes) -> None:
    file.unlink()
    os.mkfifo(file)


def _a_folder(tree: Tree, file: Path, lie: bytes) -> None:
    file.unlink()
    file.mkdir()


def _of_another_format(tree: Tree, file: Path, lie: bytes) -> None:
    kept = msgspec.msgpack.decode(lie[DIGEST_BYTES:])
    kept[0] += 1
    body = msgspec.msgpack.encode(kept)
    file.write_bytes(blake2b(body, digest_size=DIGEST_BYTES).digest() + body)


def _of_another_project(tree: Tree, file: Path, lie: bytes) -> None:
    kept = msgspec.msgpack.decode(lie[DIGEST_BYTES:])
    kept[1] += "-other"
    body = msgspec.msgpack.encode(kept)
    file.write_bytes(blake2b(body, digest_size=DIGEST_BYTES).digest() + body)


def _without_its_sum(tree: Tree, file: Path, lie: bytes) -> None:
    file.write_bytes(bytes(DIGEST_BYTES) + lie[DIGEST_BYTES:])


def _nonsense(tree: Tree, file: Path, lie: bytes) -> None:
    body = b"\x93\x01nonsense"
    file.write_bytes(blake2b(body, digest_size=DIGEST_BYTES).digest() + body)


@pytest.mark.parametrize(
    "damage",
    [
        _writable_by_all,
        _a_link,
        _a_pipe,
        _a_folder,
        _of_another_format,
        _of_another_project,
        _without_its_sum,
        _nonsense,
    ],
)
def test_a_cache_that_may_not_be_the_user_s_own_is_as_good_as_none(
    tree: Tree, damage: Callable[[Tree, Path, bytes], None]
) -> None:
    true = tree.digest()
    damage(tree, _cache_file(tree), _lying(tree))
    tree.restart()
    assert tree.digest() == true


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_cache_of_another_user_is_as_good_as_none(tree: Tree) -> None:
    true = tree.digest()
    _cache_file(tree).write_bytes(_lying(tree))
    os.chown(_cache_file(tree), 12_345, -1)
    tree.restart()
    assert tree.digest() == true


def test_nothing_is_kept_where_the_cache_folder_lies_in_the_project(tree: Tree) -> None:
    """A repository could bring it along; and it would be part of what it is about."""
    inside = Tree(tree.root, tree.root / ".cache")
    first = inside.digest()
    assert not (tree.root / ".cache").exists()
    assert inside.digest() == first == tree.digest()


def test_a_cache_that_cannot_be_written_costs_time_only(tree: Tree) -> None:
    tree.cache.write_text("a file where the folder should be")
    assert tree.digest() == tree.from_scratch()


def test_the_caches_of_the_projects_that_were_used_last_are_kept(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vibe_workflows.engine.tree.cache.MAX_PROJECTS", 2)
    others = [Tree(tree.root.parent / name, tree.cache) for name in ("one", "two", "three")]
    for other in others:
        other.root.mkdir()
        other.write("f")
        other.digest()
    assert len(list((tree.cache / "trees").iterdir())) == 2
    others[2].restart()
    assert trio.run(others[2].tree.digest) == others[2].from_scratch()


# ---------------------------------------------------------------- as a look


def test_the_look_gives_the_digest(tree: Tree) -> None:
    look = FileTree(tree.tree.digest)
    assert trio.run(look.run, {}).data == {"digest": tree.digest()}
    assert trio.run(FileTree(tree.tree.digest, {"a.py": b"z"}).run, {}).data == {"digest": tree.digest({"a.py": b"z"})}
    assert look.footprint({}).covers("src/b.py")


def test_a_tree_that_cannot_be_told_never_looks_the_same(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MAX_ENTRIES", 3)
    with pytest.raises(ToolFailed, match="more than 3 files and folders"):
        tree.digest()
    looks = [trio.run(FileTree(tree.tree.digest).run, {}) for _ in range(2)]
    assert looks[0].data != looks[1].data
    assert "more than 3" in looks[0].text
