"""Programs of this machine, confined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Command(Struct, frozen=True, kw_only=True):
    """One program to run in the project, of which it may write nothing; it reaches no network and starts no shell."""

    argv: tuple[str, ...]
    readable: tuple[str, ...] = ()  # absolute paths that it may read beside the project and the system
    environment: Mapping[str, str] = {}  # added to the few variables that every command gets
    timeout_s: float
    output_bytes: int  # kept of each stream; the rest is counted


class CommandEnd(Protocol):
    """How a command ended. `exit_code` is None where it was killed: by a signal, at its time limit, for its memory."""

    @property
    def exit_code(self) -> int | None: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...
    @property
    def stdout_dropped(self) -> int:
        """Bytes beyond what is kept."""
        ...

    @property
    def stderr_dropped(self) -> int: ...
    @property
    def timed_out(self) -> bool: ...
    @property
    def over_limit(self) -> str:
        """The limit that it was killed for, in words; empty for none."""
        ...

    @property
    def level(self) -> str:
        """strong, good or weak: what held it."""
        ...


class CommandRunner(Protocol):
    """Runs programs behind the walls of the operating system."""

    def find(self, program: str) -> str | None:
        """Where this machine has `program`: an absolute path, and never one of the project's files."""
        ...

    async def run(self, command: Command) -> CommandEnd:
        """Returns when nothing of it is left; its working directory is the project. Cancelled, it is killed first.

        Raises CommandUnavailable where it cannot be run here, or not held well enough.
        """
        ...
