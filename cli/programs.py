"""The engine's `Programs`: the person's own, found in PATH and kept by the sandbox's keeper."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from vibe_workflows.engine.errors import SandboxError
from vibe_workflows.engine.ports import KeptProgram

from .commands import folders_outside, lies_in


class PersonsPrograms:
    def __init__(self, project: Path, environ: Mapping[str, str]) -> None:
        self._home = environ.get("HOME", "/")
        self._project = Path(os.path.realpath(project))
        self._path = folders_outside(environ.get("PATH", os.defpath), self._project)

    def find(self, program: str) -> str | None:
        """Links stay as they are: where Python is one, it tells whose packages are loaded."""
        if program.startswith("~/"):
            program = self._home + program[1:]
        found = shutil.which(program, path=self._path)
        if found is None or "/" in program:
            return found
        return None if lies_in(os.path.realpath(found), self._project) else found

    @asynccontextmanager
    async def keep(self, argv: Sequence[str], *, cwd: str, environ: Mapping[str, str]) -> AsyncIterator[KeptProgram]:
        from vibe_workflows.sandbox.errors import SandboxUnavailable
        from vibe_workflows.sandbox.kept import kept  # most runs start none

        async with AsyncExitStack() as stack:
            try:
                keeping = kept(argv, cwd=cwd, environ={**environ, "PATH": self._path})
                program = await stack.enter_async_context(keeping)
            except SandboxUnavailable as error:
                raise SandboxError(str(error)) from error
            yield program
