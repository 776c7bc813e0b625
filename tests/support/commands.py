"""A `CommandRunner` for tests of the engine: real programs, without any wall around them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trio

from vibe_workflows.engine.ports import Command


@dataclass(frozen=True)
class PlainEnd:
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    stdout_dropped: int
    stderr_dropped: int
    timed_out: bool = False
    over_limit: str = ""
    level: str = "weak"


@dataclass
class PlainCommands:
    """Keeps what it was asked to run. `environ` is what a careless engine would hand on beside the command's own."""

    project: Path
    environ: Mapping[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    ran: list[Command] = field(default_factory=list)

    def find(self, program: str) -> str | None:
        return shutil.which(program, path=self.environ.get("PATH", os.defpath))

    async def run(self, command: Command) -> PlainEnd:
        self.ran.append(command)
        with trio.move_on_after(command.timeout_s) as limit:
            done = await trio.run_process(
                command.argv,
                cwd=self.project,
                env={**self.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        if limit.cancelled_caught:
            return PlainEnd(None, b"", b"", 0, 0, timed_out=True)
        most = command.output_bytes
        return PlainEnd(
            exit_code=done.returncode if done.returncode >= 0 else None,
            stdout=done.stdout[:most],
            stderr=done.stderr[:most],
            stdout_dropped=max(0, len(done.stdout) - most),
            stderr_dropped=max(0, len(done.stderr) - most),
        )
