"""A `Workbench` for tests of the engine: real programs in a real copy of the project, without any wall around them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from tests.support.commands import PlainCommands, PlainEnd
from tests.support.whole_runs import RunProject
from vibe_workflows.cli.benches import LazyBenches
from vibe_workflows.engine.errors import CommandUnavailable
from vibe_workflows.engine.ports import Command, FileMade, Job

#: What no command changes, and no copy has.
PROTECTED = (".git", ".vibe", "vibe.yaml")


async def _nothing() -> None:
    return None


@dataclass(frozen=True)
class CopiedWork:
    """What a job did in a copy of `project`."""

    end: PlainEnd
    files: tuple[FileMade, ...]
    beside: tuple[str, ...]
    project: Path
    copy: Path
    ignored: tuple[str, ...]
    refused: tuple[str, ...] = ()

    async def put_beside(self) -> None:
        for path in self.beside:
            os.symlink(os.readlink(self.copy / path), self.project / path)
        for name in self.ignored:
            if (self.copy / name).is_dir():
                shutil.copytree(self.copy / name, self.project / name, dirs_exist_ok=True, symlinks=True)


@dataclass
class CopyingBench:
    """`ignored` are folders that git ignores. `meanwhile` is called when a job has ended, before it is over.

    `began`: the first job is at work.
    """

    project: Path
    ignored: tuple[str, ...] = ("build",)
    jobs: list[Job] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] = _nothing
    began: trio.Event = field(default_factory=trio.Event)

    @asynccontextmanager
    async def working(self, job: Job, over: Mapping[str, bytes | None]) -> AsyncIterator[CopiedWork]:
        self.jobs.append(job)
        with tempfile.TemporaryDirectory(prefix="vibe-test-") as folder:
            copy = Path(folder, "project")
            shutil.copytree(self.project, copy, symlinks=True, ignore=_protected_of(self.project))
            for path, data in over.items():
                _lay(copy / path, data)
            before = self._contents(copy)
            links = _links(copy)
            self.began.set()
            try:
                end = await PlainCommands(copy).run(
                    Command(argv=job.argv, timeout_s=job.timeout_s, output_bytes=job.output_bytes)
                )
            except OSError as error:
                raise CommandUnavailable(f"{job.argv[0]}: {error.strerror}") from error
            after = self._contents(copy)
            made = tuple(
                FileMade(path=path, before=before.get(path), after=after.get(path))
                for path in sorted({*before, *after})
                if before.get(path) != after.get(path)
            )
            await self.meanwhile()
            beside = tuple(sorted(_links(copy) - links))
            yield CopiedWork(end, made, beside, self.project, copy, self.ignored)

    def _contents(self, folder: Path) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for place, folders, names in os.walk(folder):
            if Path(place) == folder:
                folders[:] = [name for name in folders if name not in self.ignored]
            for name in names:
                if not Path(place, name).is_symlink():
                    found[Path(place, name).relative_to(folder).as_posix()] = Path(place, name).read_bytes()
        return found


@pytest.fixture
def bench(project: RunProject, monkeypatch: pytest.MonkeyPatch) -> CopyingBench:
    """The one that commands of `project` work on."""
    made = CopyingBench(project.folder)
    monkeypatch.setattr(LazyBenches, "project", made)
    return made


def _protected_of(project: Path) -> Callable[[str, list[str]], set[str]]:
    return lambda place, names: set(PROTECTED) & set(names) if Path(place) == project else set()


def _links(folder: Path) -> set[str]:
    paths = [Path(place, name) for place, folders, names in os.walk(folder) for name in (*folders, *names)]
    return {path.relative_to(folder).as_posix() for path in paths if path.is_symlink()}


def _lay(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
