"""Workbenches and worktrees for thousands of runs: commands are functions of this process, on copies in memory.

They keep what the ports promise (`engine/ports/commands.py`). That the real ones give the same is tested beside them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import trio

from tests.support import tree_program
from tests.support.commands import PlainEnd
from tests.support.memory_folder import memory_folder
from vibe_workflows.cli.working import Trees
from vibe_workflows.engine.agents.tools.secrets import is_temporary
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.errors import CommandUnavailable
from vibe_workflows.engine.ports import CommandEnd, FileMade, Job, Workbench, Worktree, Worktrees

#: Contents by path.
Files = dict[str, bytes]
#: As `cli.benches.open_benches`.
OpenBenches: TypeAlias = Callable[[Settings, Workspace, Trees], AbstractAsyncContextManager["MemoryBenches"]]
#: How many other tasks may come in between while a command runs, at most.
_LONGEST = 6


def counted(files: Mapping[str, bytes]) -> Files:
    """Without those that git ignores."""
    ignored = ".gitignore" in files
    return {path: data for path, data in files.items() if not (ignored and path.endswith(".log"))}


def files_below(folder: Path) -> Files:
    """Without what no command and no snapshot has; edits under way come and go."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".vibe" not in path.parts and not is_temporary(path.name)
    }


def lay(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def run_program(files: Mapping[str, bytes], argv: tuple[str, ...]) -> tuple[CommandEnd, Files]:
    """How it ends, and the files that it leaves."""
    interpreter, option, _program, *arguments = argv
    if (interpreter, option) != (sys.executable, "-c"):
        raise CommandUnavailable(f"{interpreter}: not of these stories")
    with memory_folder() as folder:
        lay(folder, files)
        code, said = tree_program.main(str(folder), arguments)
        return PlainEnd(code, f"{said}\n".encode(), b"", 0, 0), files_below(folder)


async def _others() -> None:
    """Let them come in between."""
    for _ in range(random.randrange(_LONGEST)):
        await trio.lowlevel.checkpoint()


@dataclass(frozen=True)
class MemoryWork:
    """Implements `ports.Worked`."""

    end: CommandEnd
    files: tuple[FileMade, ...]
    ignored: Mapping[str, bytes]
    keep: Callable[[Mapping[str, bytes]], None]
    beside: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    async def put_beside(self) -> None:
        self.keep(self.ignored)


@dataclass
class MemoryBench:
    """Implements `ports.Workbench` for what lies in a folder; of a snapshot, nothing that is ignored goes there."""

    folder: Path
    heard: list[bytes]  # what was written into ignored files of the project
    of_snapshot: bool = False
    left: Files = field(default_factory=dict)  # ignored files of a snapshot, for the next command

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[MemoryWork]:
        await _others()
        there: dict[str, bytes | None] = {**files_below(self.folder), **self.left, **over}
        before = {path: data for path, data in there.items() if data is not None}
        await _others()
        end, after = run_program(before, job.argv)
        shown = counted(after).keys() | counted(before).keys()
        made = tuple(
            FileMade(path=path, before=before.get(path), after=after.get(path))
            for path in sorted(shown)
            if before.get(path) != after.get(path)
        )
        ignored = {path: after[path] for path in after.keys() - shown if before.get(path) != after[path]}
        if self.of_snapshot:
            self.left.update(ignored)
        yield MemoryWork(end, made, ignored, self._keep)

    def _keep(self, ignored: Mapping[str, bytes]) -> None:
        if not self.of_snapshot:
            lay(self.folder, ignored)
            self.heard += ignored.values()


@dataclass(frozen=True)
class MemoryWorktree:
    root: str
    tree: str
    bench: Workbench


@dataclass
class MemoryWorktrees:
    """Implements `ports.Worktrees`. `tree` is that of the project, whose digests are the product's."""

    folder: Path
    tree: Callable[[], Awaitable[str]]
    heard: list[bytes]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Worktree]:
        digest = await self.tree()
        with memory_folder() as folder:
            lay(folder, counted(files_below(self.folder)))
            yield MemoryWorktree(str(folder), digest, MemoryBench(folder, self.heard, of_snapshot=True))


@dataclass(frozen=True)
class MemoryBenches:
    project: Workbench
    worktrees: Worktrees


def memory_benches(heard: list[bytes]) -> OpenBenches:
    """What takes the place of `cli.benches.open_benches`; `heard` gets what is written into ignored files."""

    @asynccontextmanager
    async def open_benches(settings: Settings, workspace: Workspace, trees: Trees) -> AsyncIterator[MemoryBenches]:
        folder = Path(workspace.root)
        worktrees = MemoryWorktrees(folder, lambda: trees.project.digest(), heard)
        yield MemoryBenches(MemoryBench(folder, heard), worktrees)

    return open_benches
