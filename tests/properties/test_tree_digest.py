"""The digest of a project is the same exactly where the files are that git shows, however it came to know them."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.support.memory_folder import memory_folder
from tests.support.trees import Counted, Tree

_FOLDERS = ("", "d/", "d/e/", "build/", ".git/", ".vibe/", "new/")
_NAMES = ("a", "b.py", "c.log", "build", ".env", "ä")
_PATHS = st.builds("{}{}".format, st.sampled_from(_FOLDERS), st.sampled_from(_NAMES))
_CONTENTS = st.sampled_from(["", "1", "2", "longer"])
_RULES = st.lists(st.sampled_from(["*.log", "build/", "build", "/a", "!c.log", "d/e/", ".env", "*"]), max_size=3)


class Write(Struct, frozen=True):
    path: str
    content: str

    def make(self, root: Path) -> None:
        file = root / self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.content)


class Ignore(Struct, frozen=True):
    folder: str
    rules: Sequence[str]

    def make(self, root: Path) -> None:
        Write(self.folder + ".gitignore", "\n".join(self.rules)).make(root)


class Remove(Struct, frozen=True):
    path: str

    def make(self, root: Path) -> None:
        file = root / self.path
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        else:
            file.unlink()


class Move(Struct, frozen=True):
    path: str
    to: str

    def make(self, root: Path) -> None:
        (root / self.path).rename(root / self.to)


class Mode(Struct, frozen=True):
    path: str
    mode: int

    def make(self, root: Path) -> None:
        (root / self.path).chmod(self.mode)


class Link(Struct, frozen=True):
    path: str
    target: str

    def make(self, root: Path) -> None:
        (root / self.path).symlink_to(self.target)


class SetBack(Struct, frozen=True):
    """New contents of the same length, with the old time of modification."""

    path: str
    content: str

    def make(self, root: Path) -> None:
        file = root / self.path
        before = file.stat()
        file.write_text(self.content[: before.st_size].ljust(before.st_size, "x"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


class Restart(Struct, frozen=True):
    """A new process, whose clock is ahead of that of the files by so much."""

    ahead_s: float


Edit: TypeAlias = Write | Ignore | Remove | Move | Mode | Link | SetBack
_EDITS: st.SearchStrategy[Edit] = st.one_of(
    st.builds(Write, _PATHS, _CONTENTS),
    st.builds(Ignore, st.sampled_from(_FOLDERS), _RULES),
    st.builds(Remove, _PATHS),
    st.builds(Remove, st.sampled_from(["d", "d/e", "build", "new"])),
    st.builds(Move, _PATHS, _PATHS),
    st.builds(Mode, _PATHS, st.sampled_from([0o644, 0o755, 0o600])),
    st.builds(Link, _PATHS, st.sampled_from(["a", "d", "nowhere"])),
    st.builds(SetBack, _PATHS, _CONTENTS),
)
_RESTARTS = st.builds(Restart, st.sampled_from([-86_400.0, 0.0, 1.0, 3_600.0]))
_FIRST = st.lists(st.builds(Write, _PATHS, _CONTENTS), min_size=4, max_size=12)


def _made(edit: Edit, root: Path) -> bool:
    try:
        edit.make(root)
    except OSError:  # there is no such file, or one in the way
        return False
    return True


@given(_FIRST, st.lists(_EDITS | _RESTARTS, min_size=1, max_size=10))
def test_a_digest_that_knows_the_past_is_that_of_someone_who_knows_nothing(
    first: list[Write], then: list[Edit | Restart]
) -> None:
    with memory_folder() as folder:
        tree = Tree(folder / "project", folder / "cache")
        tree.root.mkdir()
        for write in first:
            _made(write, tree.root)
        seen: dict[str, Counted] = {}
        for act in [Restart(3_600.0), *then]:
            if isinstance(act, Restart):
                tree.ahead_s = act.ahead_s
                tree.restart()
            elif not _made(act, tree.root):
                continue
            digest = tree.digest()
            assert digest == tree.from_scratch()
            counted = tree.counted()
            assert {path for path, (kind, _, _) in counted.items() if kind == "file"} == tree.shown()
            # The same digest exactly for the same files.
            assert seen.setdefault(digest, counted) == counted
            assert [each for each in seen if seen[each] == counted] == [digest]


@given(_FIRST, st.lists(st.builds(Write, _PATHS, _CONTENTS) | st.builds(Ignore, st.just("d/"), _RULES), max_size=4))
def test_files_that_are_looked_at_otherwise_count_as_if_they_were_there(
    first: list[Write], then: list[Write | Ignore]
) -> None:
    with memory_folder() as folder:
        tree = Tree(folder / "project", folder / "cache")
        tree.root.mkdir()
        for write in first:
            _made(write, tree.root)
        before = tree.digest()
        over: dict[str, bytes | None] = {}
        undo: dict[str, bytes | None] = {}
        for edit in then:
            path = edit.path if isinstance(edit, Write) else edit.folder + ".gitignore"
            was = (tree.root / path).read_bytes() if (tree.root / path).is_file() else None
            if _made(edit, tree.root):
                undo.setdefault(path, was)
                over[path] = (tree.root / path).read_bytes()
        after = tree.from_scratch()
        assert tree.digest(undo) == before
        for path, contents in undo.items():
            (tree.root / path).unlink()
            if contents is not None:
                (tree.root / path).write_bytes(contents)
        assert tree.digest(over) == after
        assert tree.digest() == before


@given(st.integers(0, 2**32))
def test_a_damaged_cache_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)
    with memory_folder() as folder:
        tree = Tree(folder / "project", folder / "cache")
        for name in ("a", "d/b", "d/e/c.log"):
            tree.write(name, name)
        tree.write(".gitignore", "*.log")
        true = tree.digest()
        (file,) = (tree.cache / "trees").iterdir()
        data = bytearray(file.read_bytes())
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    del data[at:]
                    data += chance.randbytes(chance.randrange(1, 9))
                case _:
                    data[at:at] = chance.randbytes(chance.randrange(1, 9))
        file.write_bytes(data)
        tree.restart()
        assert tree.digest() == true
        tree.restart()
        assert tree.digest() == true
