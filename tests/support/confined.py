"""What the tests of confined commands share: both routes, and a process that stands for the engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio

from vibe_workflows.sandbox.confine import (
    ALL_LAYERS,
    FLOOR_LAYERS,
    CommandEnd,
    Confinement,
    Level,
    run_confined,
)

ROUTES = {"namespaces": ALL_LAYERS, "floor": FLOOR_LAYERS}
PYTHON = os.path.realpath(sys.executable)


def run(argv: Sequence[str], project: Path, *, route: str = "namespaces", **options: Any) -> CommandEnd:
    """Run a command in `project` to its end, whatever level can be had."""
    policy = options.pop("policy", None) or Confinement(project=project)
    options.setdefault("layers", ROUTES[route])
    options.setdefault("cwd", project)

    async def main() -> CommandEnd:
        return await run_confined(argv, policy=policy, at_least=Level.WEAK, **options)

    return trio.run(main)


def shell(script: str, project: Path, **options: Any) -> CommandEnd:
    return run(["sh", "-c", script], project, **options)
