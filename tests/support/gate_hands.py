"""Hands that run a step's commands in a folder, bare: for what is about gates and not about walls."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

from tests.support.kept_records import KeptRecords
from vibe_workflows.engine.errors import ToolFailed
from vibe_workflows.engine.journal import Journal, Observers
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import FILE_STATE, FILE_TREE, JSON, Change, Observation, RunId
from vibe_workflows.engine.ports import Along, CommandTool, Outcome
from vibe_workflows.engine.timeline.hands import StepHands

from .hands import new_project, new_witness


@dataclass(frozen=True)
class Ended:
    """Implements `CommandEnd`."""

    exit_code: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_dropped: int = 0
    stderr_dropped: int = 0
    timed_out: bool = False
    over_limit: str = ""
    level: str = "weak"


async def _nothing() -> None:
    return None


class BareHands(StepHands):
    """Its commands run in `folder`. What they change there is told as edits; `along` is asked as for real ones."""

    def __init__(self, folder: Path, before: Callable[[], Awaitable[None]] = _nothing) -> None:
        """`before` is awaited before each command."""
        journal = Journal(RunId("r1"), KeptRecords(), Observers([]), lambda: 0.0)
        super().__init__(new_project(journal, folder), new_witness(), 1)
        self._folder = folder
        self._before = before
        self._epoch = 0
        self.told_along: list[object] = []  # what was to be durable before changes

    async def command(
        self, tool: CommandTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, tuple[Observation, ...]]:
        job = tool.job(arguments)
        await self._before()
        before = self._files()
        try:
            end = await self._ran(job.argv, job.timeout_s)
        except FileNotFoundError:
            return ToolFailed(f"there is no `{job.argv[0]}` here"), ()
        after = self._files()
        self._epoch += 1
        tree = Observation(tool=FILE_TREE, arguments="{}", digest=str(sorted(before.items())), epoch=self._epoch)
        changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        seen = (tree, *(self._changed(path, before.get(path), after.get(path)) for path in changed))
        result = tool.told(job, end, changed)
        if changed:
            self.told_along += along(result, seen)
        return result, seen

    async def _ran(self, argv: tuple[str, ...], timeout_s: float) -> Ended:
        with trio.move_on_after(timeout_s) as limit:
            done = await trio.run_process(
                list(argv), cwd=self._folder, capture_stdout=True, capture_stderr=True, check=False
            )
        if limit.cancelled_caught:
            return Ended(None, timed_out=True)
        ended: subprocess.CompletedProcess[bytes] = done
        return Ended(ended.returncode if ended.returncode >= 0 else None, ended.stdout, ended.stderr)

    def _files(self) -> dict[str, str]:
        return {path.name: content_digest(path.read_bytes()) for path in self._folder.iterdir()}

    def _changed(self, path: str, before: str | None, after: str | None) -> Observation:
        self._epoch += 1
        change = Change(path=path, before=before, after=after)
        return Observation(
            tool=FILE_STATE, arguments=f'{{"path":"{path}"}}', digest=str(before), epoch=self._epoch, change=change
        )
