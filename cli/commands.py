"""The engine's `CommandRunner`: programs that only read the project, behind the sandbox's walls for commands."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from copy import copy
from pathlib import Path

import trio

from vibe_workflows.engine.errors import CommandUnavailable
from vibe_workflows.engine.ports import Command, CommandEnd
from vibe_workflows.sandbox.errors import SandboxUnavailable
from vibe_workflows.sandbox.level import Level
from vibe_workflows.sandbox.limits import MIB

#: Four processes stand around each: a fan-out of agents that all ask git takes turns.
_AT_ONCE = 8


class ConfinedCommands:
    """Runs what reads in the project's folder, at the good level or better.

    Good is enough for a program that Vibe chose, that writes nothing and reaches nothing: what it lacks to strong is
    how much the program sees of other processes and of which files exist. Weak is no wall, so that it takes the
    person's word (`sandbox.accept: weak`).
    """

    def __init__(self, project: Path, *, accepted: str, environ: Mapping[str, str]) -> None:
        self._project = Path(os.path.realpath(project))
        self._at_least = Level.WEAK if Level(accepted) is Level.WEAK else Level.GOOD
        self._slots = trio.Semaphore(_AT_ONCE)
        self._path = folders_outside(environ.get("PATH", os.defpath), self._project)

    def elsewhere(self, folder: Path) -> ConfinedCommands:
        """The same for another folder, with which it takes turns."""
        other = copy(self)
        other._project = Path(os.path.realpath(folder))
        other._path = folders_outside(self._path, other._project)
        return other

    def find(self, program: str) -> str | None:
        found = shutil.which(program, path=self._path)
        if found is None:
            return None
        found = os.path.realpath(found)  # where a link leads may lie in no folder that a command sees
        return None if lies_in(found, self._project) else found

    async def run(self, command: Command) -> CommandEnd:
        from vibe_workflows.sandbox import confine  # most runs are answered from the store, and run nothing

        policy = confine.Confinement(
            project=self._project,
            writable=False,
            readable=tuple(map(Path, (*command.readable, command.argv[0]))),
            environment=command.environment,
            limits=confine.CommandLimits(
                memory_bytes=1024 * MIB, processes=64, file_bytes=MIB, scratch_bytes=MIB, cpu_s=120
            ),
        )
        try:
            async with self._slots:
                return await confine.run_confined(
                    command.argv,
                    cwd=self._project,
                    policy=policy,
                    timeout_s=command.timeout_s,
                    output_bytes=command.output_bytes,
                    at_least=self._at_least,
                )
        except (confine.ConfinementRefused, confine.CommandNotStarted, SandboxUnavailable) as error:
            raise CommandUnavailable(str(error)) from error


def folders_outside(path: str, project: Path) -> str:
    """Of a PATH, without entries that are relative, or lie in the project: a repository must not bring its own git."""
    entries = [entry for entry in path.split(os.pathsep) if os.path.isabs(entry)]
    return os.pathsep.join(entry for entry in entries if not lies_in(os.path.realpath(entry), project))


def program_outside(project: Path, path: str, name: str) -> str | None:
    """Where a program of this bare name lies in a PATH: an absolute path, and never one of the project's files.

    A link stays as it is: where it leads may be told by its name what to be, as Python is.
    """
    project = Path(os.path.realpath(project))
    found = None if "/" in name else shutil.which(name, path=folders_outside(path, project))
    return None if found is None or lies_in(os.path.realpath(found), project) else found


def lies_in(path: str, project: Path) -> bool:
    return path == str(project) or path.startswith(str(project).rstrip("/") + "/")
