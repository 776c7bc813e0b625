"""A project whose digest is taken, and what the digest has to be a digest of, found in the plainest way."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import trio

from vibe_workflows.engine.agents.tools.walk import find_files
from vibe_workflows.engine.agents.tools.workspace import Place, Workspace
from vibe_workflows.engine.tree import ProjectTree, TreeCache
from vibe_workflows.sandbox import patterns

from .checking import PlainChecker

PRIVATE = (".git", ".vibe")

#: By path: kind, executable, contents or target.
Counted: TypeAlias = dict[str, tuple[str, bool, bytes]]


class CountingChecker(PlainChecker):
    """Remembers the paths that it was asked about. Where it `refuses`, all rules take too long."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses = False

    async def ignored(self, rules: Mapping[str, str], paths: Sequence[str]) -> Sequence[str]:
        self.asked += paths
        if self.refuses:
            raise ValueError("the .gitignore files take more than 2 s")
        return await super().ignored(rules, paths)


class Tree:
    """`cache` outlives what looks at the project; `ahead_s` is how far the clock is ahead of that of the files."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        self.cache = cache
        self.checker = CountingChecker()
        self.workspace = Workspace(root, self.checker)
        self.ahead_s = 3600.0  # all files have settled
        self.restart()

    def restart(self) -> None:
        """As a new process: what is known comes from the cache."""
        cache = TreeCache(self.cache, self.workspace.root)
        self.tree = ProjectTree(self.workspace, cache, lambda: time.time() + self.ahead_s)

    def digest(self, over: Mapping[str, bytes | None] | None = None) -> str:
        self._tick()
        return trio.run(self.tree.digest, over or {})

    def from_scratch(self) -> str:
        """By someone who knows nothing."""
        nowhere = TreeCache(self.root, self.workspace.root)  # inside of the project nothing is kept
        return trio.run(ProjectTree(self.workspace, nowhere, time.time).digest)

    def write(self, path: str, content: str | bytes = "") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def counted(self) -> Counted:
        files = {path.relative_to(self.root).as_posix(): path for path in self._all(self.root)}
        rules = {
            path.removesuffix(".gitignore"): file.read_text()
            for path, file in files.items()
            if file.name == ".gitignore" and not file.is_symlink()
        }
        names = list(files)
        ignored = {names[number] for number in patterns.ignored(rules, names)}
        return {path: _contents(file) for path, file in files.items() if path not in ignored}

    def shown(self) -> set[str]:
        """The regular files that a walk of the tools shows."""
        return set(trio.run(find_files, self.workspace, Place(path=".", parts=())))

    def _all(self, folder: Path) -> list[Path]:
        found: list[Path] = []
        for item in folder.iterdir():
            if item.name in PRIVATE:
                continue
            found += self._all(item) if item.is_dir() and not item.is_symlink() else [item]
        return found

    def _tick(self) -> None:
        """Return when the clock of the file system has moved on, so that a later change cannot look like an earlier.

        The clock of the tests is ahead, and takes files for settled that were written just now.
        """
        probe = self.cache.parent / "probe"
        probe.write_bytes(b"")
        first = os.stat(probe).st_ctime_ns
        while os.stat(probe).st_ctime_ns == first:
            os.utime(probe)


def _contents(file: Path) -> tuple[str, bool, bytes]:
    mode = file.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link", False, os.fsencode(os.readlink(file))
    if stat.S_ISREG(mode):
        return "file", bool(mode & stat.S_IXUSR), file.read_bytes()
    return "other", False, b""
