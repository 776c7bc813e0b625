"""Runs jobs as programs of the person's own, without walls: those that a person named, and that need what a person has.

They work in a copy of the project, which is all that keeps them from the project itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import trio
from msgspec import Struct

from ..errors import CommandUnavailable
from ..ports import CommandEnd, Ground, Job, Programs

_CHUNK = 65_536


class ProgramEnd(Struct, frozen=True, kw_only=True):
    """Implements `ports.CommandEnd`."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    stdout_dropped: int
    stderr_dropped: int
    timed_out: bool
    over_limit: str = ""
    level: str = "weak"


class ProgramJobs:
    """Implements `ports.JobRunner`. `environ` is what the programs get; they reach the network, whatever a job says."""

    def __init__(self, programs: Programs, environ: Mapping[str, str]) -> None:
        self._programs = programs
        self._environ = environ

    async def run(self, job: Job, ground: Ground) -> CommandEnd:
        """A program that closes both its outputs is given a moment to end."""
        assert ground.upper is None, "a view takes mounts, which are the walls' business"
        program = self._programs.find(job.argv[0])
        if program is None:
            raise CommandUnavailable(f"{job.argv[0]}: no such program in PATH; install it, or name it by its full path")
        stdout, stderr = _Output(job.output_bytes), _Output(job.output_bytes)
        with trio.move_on_after(job.timeout_s) as limit:
            keeping = self._programs.keep((program, *job.argv[1:]), cwd=ground.folder, environ=self._environ)
            async with keeping as kept:
                await kept.stdin.aclose()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stdout.collect, kept.stdout)
                    nursery.start_soon(stderr.collect, kept.stderr)
        if kept.problem:
            raise CommandUnavailable(f"{job.argv[0]}: {kept.problem}")
        return ProgramEnd(
            exit_code=kept.status if kept.status is not None and kept.status >= 0 else None,
            stdout=bytes(stdout.kept),
            stderr=bytes(stderr.kept),
            stdout_dropped=stdout.dropped,
            stderr_dropped=stderr.dropped,
            timed_out=limit.cancelled_caught,
        )


class _Output:
    """Keeps the first `most` bytes, counts the others."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.kept = bytearray()
        self.dropped = 0

    async def collect(self, stream: trio.abc.ReceiveStream) -> None:
        while data := await stream.receive_some(_CHUNK):
            room = self._most - len(self.kept)
            self.kept += data[:room]
            self.dropped += max(0, len(data) - room)
