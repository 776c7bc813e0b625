"""A project whose workflow edits its files, and the product that runs it, in this process.

The model is deterministic: its answers, and what it writes into files, are hashes of all that it saw. So a stale look
anywhere shows in an answer or in a file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.editing_model import Files, Model, files_in
from tests.support.editing_scripts import Script, Tree, script_of
from tests.support.reuse_world import FLOW
from vibe_workflows.cli import assembly, wiring
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import (
    RunId,
    RunStatus,
    StepKey,
)
from vibe_workflows.engine.ports import FileChange, StoredStep, StoreReader
from vibe_workflows.sandbox.launcher import Zygote

#: Another workflow of the same project.
OTHER_FLOW = ".vibe/workflows/other.py"


class Died(BaseException):
    """The process dies here: nothing of the engine catches it."""


@contextmanager
def dying_at(number: int | None, *, after: bool) -> Iterator[None]:
    """Die before or after the `number`-th time that a file of the project is written."""
    if number is None:
        yield
        return
    write, count = WorkspaceFiles.write, 0

    async def write_and_die(files: WorkspaceFiles, path: str, old: bytes | None, new: bytes | None) -> None:
        nonlocal count
        count += 1
        if count < number or after:
            await write(files, path, old, new)
        if count >= number:
            raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkspaceFiles, "write", write_and_die)
        yield


def _settle(group: Sequence[FileChange], files: Files, reader: StoreReader) -> None:
    """Edits that were to be made together: what is missing is made, unless the first of them came too late."""

    def lies(path: str, digest: str | None) -> bool:
        return (None if path not in files else content_digest(files[path])) == digest

    left = [entry.change for entry in group if not lies(entry.change.path, entry.change.after)]
    possible = [change for change in left if lies(change.path, change.before)]
    if len(left) == len(group) and len(possible) < len(left):
        return
    for change in possible:
        if change.after is None:
            del files[change.path]
        else:
            files[change.path] = reader.contents(change.after) or b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run, and how the project was when it began."""

    tree: Tree
    script: Script
    report: RunReport
    model: Model
    before: Files
    ignored: tuple[bytes, ...] = ()  # what commands have written meanwhile into the file that git ignores

    @property
    def killed(self) -> bool:
        return self.report.run.status is RunStatus.INTERRUPTED


@dataclass
class World:
    """One project with its store."""

    zygote: Zygote
    folder: Path
    tree: Tree
    dressing: str = "plain"
    concurrency: int = 16
    flow: str = FLOW
    paid: int = 0  # model calls of all runs
    ignored: list[bytes] = field(default_factory=list)  # written in the present run into the file that git ignores
    settings: dict[int, Settings] = field(default_factory=dict)  # by concurrency

    def write(self, path: str, content: str | None) -> None:
        place = self.folder / path
        if content is None:
            if not place.exists():
                return
            place.unlink()
            while place.parent != self.folder and not any(place.parent.iterdir()):
                place = place.parent
                place.rmdir()
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)

    def run(
        self,
        *,
        failing: frozenset[str] = frozenset(),
        kill_at: int | None = None,
        die_at: int | None = None,
        die_late: bool = False,
        **wanted: Any,
    ) -> Outcome | None:
        """None where the process died, as it does at its `die_at`-th edit."""
        script = script_of(self.tree, self.dressing)
        self.write(self.flow, script.source)
        before = self._settled(files_in(self.folder))
        self.ignored.clear()
        model = Model(self.folder, failing, kill_at)
        request = RunRequest(target=self.flow, **wanted)
        try:
            with dying_at(die_at, after=die_late):
                report = assembly.run_workflow(self.zygote, self._settings(), request, [], ScriptedBackend(model))
        except BaseExceptionGroup as group:
            if group.split(Died)[1] is not None:
                raise
            return None
        finally:
            self.paid += model.paid
        return Outcome(self.tree, script, report, model, before, tuple(self.ignored))

    def _settled(self, files: Files) -> Files:
        """As the next run finds them: edits that a process died over are made first."""
        if not self.store_path.exists():
            return files
        with self.store() as reader:
            for group in reader.unsettled_changes():
                _settle(group, files, reader)
        return files

    def undo(self) -> None:
        """Take the edits of the latest run back."""
        if self.store_path.exists():
            wiring.undo(self._settings(), lambda reader: reader.runs(1)[0], dry_run=False)

    def edited(self) -> list[tuple[str, str | None]]:
        """Files that steps have edited, with what each lay as before the latest edit of it."""
        if not self.store_path.exists():
            return []
        with self.store() as reader:
            latest = {}
            for entry in reader.chains([path for (path,) in self.rows("SELECT DISTINCT path FROM changes")]):
                latest[entry.change.path] = entry.change.before
            return sorted((path, self._text(reader, digest)) for path, digest in latest.items())

    @staticmethod
    def _text(reader: StoreReader, digest: str | None) -> str | None:
        data = None if digest is None else reader.contents(digest)
        return None if data is None else data.decode()

    @contextmanager
    def store(self) -> Iterator[StoreReader]:
        with closing(wiring.open_reader(self._settings())) as reader:
            yield reader

    def rows(self, sql: str, *cells: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.store_path)) as connection:
            return connection.execute(sql, cells).fetchall()

    @property
    def store_path(self) -> Path:
        return self._settings().db_path

    def samples_before(self, run: RunId) -> list[StoredStep]:
        """Completed steps of the store that a run may have been answered by when it began."""
        others = "SELECT DISTINCT key FROM steps WHERE status = 'completed' AND run_id <> ?"
        keys = self.rows(others, run)
        with self.store() as reader:
            return [
                sample for (key,) in keys for sample in reader.pool(StepKey(key)) if not sample.id.startswith(f"{run}-")
            ]

    def _settings(self) -> Settings:
        if self.concurrency not in self.settings:
            self.settings[self.concurrency] = self._load()
        return self.settings[self.concurrency]

    def _load(self) -> Settings:
        flags = {
            "model": "scripted",
            "max_usd": "none",
            "concurrency": str(self.concurrency),
            "allow": ("write", "command"),
        }
        return wiring.load(flags)
