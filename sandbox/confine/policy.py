"""What a command may do, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..level import Level
from ..limits import MIB

#: No tool and no command writes these, whatever is granted.
PROTECTED_NAMES: Final = (".git", ".vibe", "vibe.yaml", ".claude")
MAX_TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLimits:
    """Of one command with all the processes that it starts."""

    memory_bytes: int = 4096 * MIB  # resident, of all processes together
    processes: int = 512  # and threads
    file_bytes: int = 2048 * MIB  # of each file that it writes
    scratch_bytes: int = 512 * MIB  # of /tmp; where mounts cannot be had, not limited
    cpu_s: int = 600  # of each process
    open_files: int = 4096  # of each process
    written_bytes: int = 8192 * MIB  # what the disk of `upper` may lose meanwhile, to whomever
    written_files: int = 1_000_000  # the same, in files; not every file system counts them


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """`project` is the one folder that the command may write to, but for `protected`, whether it is there or not.

    Not `writable`, it may write nowhere but to its own temporary folders. `readable` is what the command sees beside
    the system, its PATH and the interpreter. `environment` is added to the few variables that every command gets;
    nothing else of this process's environment is seen.

    With `upper`, a folder of this user's outside of the project, the command works on a copy-on-write view: what it
    writes goes there (`upper.written` tells what) and the project stays as it is. A later command with the same folder
    goes on from there; one at a time. `lower` is shown in the project's place, instead of the project itself, with
    those folders and files of the project that `linked` names, read-only.
    """

    project: Path
    protected: tuple[str, ...] = PROTECTED_NAMES  # relative to the project
    writable: bool = True
    readable: tuple[Path, ...] = ()
    network: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: CommandLimits = CommandLimits()
    upper: Path | None = None
    lower: Path | None = None
    linked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnd:
    """Exactly one of `exit_code` and `signal` is set, unless nobody could see the end."""

    exit_code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    stdout_dropped: int  # bytes beyond the cap, counted and thrown away
    stderr_dropped: int
    timed_out: bool
    over_limit: str  # which limit the command was killed for, in words; empty for none
    seconds: float
    level: Level
    layers: Mapping[str, str]  # as installed: empty for one that is not in force, `no LAYER` with the reason


class ConfinementRefused(Exception):
    """This command cannot be confined as asked. The message says why, and what to do."""


class NoOverlay(ConfinementRefused):
    """No copy-on-write view can be had here, or not of these folders. A command can work on a copy instead."""


class CommandNotStarted(Exception):
    """The program is not there, or is no program, as the confined command sees it."""
