"""Runs jobs as programs of the person's own, without walls: those that a person named, and that need what a person has.

They work in a copy of the project, which is all that keeps them from the project itself.
"""

from __future__ import annotations

from contextlib import suppress

import trio
from msgspec import Struct

from ..errors import CommandUnavailable, SandboxError
from ..ports import CommandEnd, Ground, Job, OwnProgram, Programs

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
    """Implements `ports.JobRunner` for jobs that say what their program gets. They reach the network in any case."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    async def run(self, job: Job, ground: Ground) -> CommandEnd:
        """A program that closes both its outputs is given a moment to end."""
        assert ground.upper is None, "a view takes mounts, which are the walls' business"
        own = job.own or OwnProgram(environ={})
        program = self._programs.find(job.argv[0])
        if program is None:
            raise CommandUnavailable(f"{job.argv[0]}: no such program in PATH; install it, or name it by its full path")
        stdout, stderr = _Output(job.output_bytes), _Output(job.output_bytes)
        try:
            with trio.move_on_after(job.timeout_s) as limit:
                keeping = self._programs.keep((program, *job.argv[1:]), cwd=ground.folder, environ=own.environ)
                async with keeping as kept, trio.open_nursery() as nursery:
                    nursery.start_soon(_give, own.stdin, kept.stdin)
                    nursery.start_soon(stdout.collect, kept.stdout)
                    nursery.start_soon(stderr.collect, kept.stderr)
        except SandboxError as error:
            raise CommandUnavailable(f"{job.argv[0]}: {error.message}") from error
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


async def _give(data: bytes, stdin: trio.abc.SendStream) -> None:
    """All of it, as far as the program reads it; then it sees the end."""
    async with stdin:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stdin.send_all(data)


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
