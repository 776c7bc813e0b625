"""Which run a person means by RUN: a unique beginning of its id, or nothing for the latest."""

from __future__ import annotations

from collections.abc import Callable

from vibe_workflows.engine.errors import ConfigError
from vibe_workflows.engine.model import Run
from vibe_workflows.engine.ports import StoreReader

_SHOWN = 10


def find_run(reader: StoreReader, prefix: str | None, *, wanted: Callable[[Run], bool] = lambda _run: True) -> Run:
    """The run that `prefix` names; without one the newest that is `wanted`. Raises ConfigError."""
    if not prefix:
        return _latest(reader, wanted)
    found = reader.find_runs(prefix)
    exact = [run for run in found if run.id == prefix]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise ConfigError(_unknown(prefix))
    lines = [f"  {run.id}  {run.workflow}  {run.status.value}" for run in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  and {len(found) - _SHOWN:,} more")
    raise ConfigError("\n".join([f"{len(found):,} runs begin with {prefix!r}; give more of the id:", *lines]))


def _unknown(prefix: str) -> str:
    if prefix.endswith(".py"):
        return f"a run is named by its id, not by its file: `vibe run {prefix}` goes on with the latest one of the file"
    return f"no run's id begins with {prefix!r}; `vibe runs` lists them"


def _latest(reader: StoreReader, wanted: Callable[[Run], bool]) -> Run:
    limit = 20
    while True:
        runs = reader.runs(limit)
        for run in runs:
            if wanted(run):
                return run
        if not runs:
            raise ConfigError("no run of this project is stored yet; `vibe run` makes one")
        if len(runs) < limit:
            raise ConfigError(
                "every run of this project has completed, or a later one went on with it; `vibe run` starts another"
            )
        limit *= 8
