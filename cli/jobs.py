"""The engine's `JobRunner` and `UpperLayers`: commands of agents, behind the sandbox's walls for commands."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from vibe_workflows.engine.errors import CommandsRefused, CommandUnavailable, OverlayUnavailable, ToolFailed
from vibe_workflows.engine.ports import CommandEnd, Ground, Job, LayerEntry
from vibe_workflows.sandbox import confine
from vibe_workflows.sandbox.confine import upper as layer
from vibe_workflows.sandbox.confine.paths import holds
from vibe_workflows.sandbox.confine.view import own_code
from vibe_workflows.sandbox.errors import SandboxUnavailable
from vibe_workflows.sandbox.level import Level

#: Four processes stand around each.
_AT_ONCE = 8


class ConfinedJobs:
    """Runs them at the level that the person accepts, or better: what a model asks for is a stranger's."""

    def __init__(
        self, *, accepted: str, readable: Sequence[Path] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        """`readable` and `environment` are what the person lets every command see beside what all of them do."""
        self._at_least = Level(accepted)
        self._readable = tuple(readable)
        self._environment = dict(environment or {})
        self._slots = trio.Semaphore(_AT_ONCE)

    async def run(self, job: Job, ground: Ground) -> CommandEnd:
        folder = Path(ground.folder)
        policy = confine.Confinement(
            project=folder,
            # A folder of its own is the command's: nothing of it is what its name says.
            protected=confine.PROTECTED_NAMES if ground.upper else (),
            readable=(*map(Path, ground.readable), *self._readable),
            environment=self._environment,
            network=job.network,
            upper=Path(ground.upper) if ground.upper else None,
            lower=Path(ground.lower) if ground.lower else None,
            linked=ground.linked,
        )
        try:
            async with self._slots:
                return await confine.run_confined(
                    job.argv,
                    cwd=folder,
                    policy=policy,
                    timeout_s=job.timeout_s,
                    output_bytes=job.output_bytes,
                    at_least=self._at_least,
                )
        except confine.NoOverlay as error:
            raise OverlayUnavailable(str(error)) from error
        except confine.CommandNotStarted as error:
            raise CommandUnavailable(str(error)) from error
        except (confine.ConfinementRefused, SandboxUnavailable) as error:
            raise CommandsRefused(str(error)) from error


class ConfinedLayers:
    """The upper layers that confined commands write to."""

    def files(self, upper: str) -> str:
        return f"{upper}/{layer.FILES}"

    def written(self, upper: str) -> Sequence[LayerEntry]:
        try:
            return [
                LayerEntry(path=each.path, kind=each.kind.value, mode=each.mode) for each in layer.written(Path(upper))
            ]
        except layer.TooMuchWritten as error:
            raise ToolFailed(f"the command did too much: {error}; nothing of it was kept") from error

    def put(self, upper: str, lower: str, path: str, data: bytes | None, *, executable: bool) -> None:
        layer.put(Path(upper), path, data, executable=executable, like=Path(lower))


def own_paths(project: str) -> list[str]:
    """Paths in the project, from its root, of what runs here: what was written there would run unconfined."""
    root = project.rstrip("/")
    return [os.path.relpath(path, root) for path in own_code() if holds(root, path) and path != root]
