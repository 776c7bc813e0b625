"""What the tests of confined commands share: both routes, and a process that stands for the engine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
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
ROOT = Path(__file__).parents[2]
_DEADLINE_S = 30.0
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


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + _DEADLINE_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def running(text: str) -> list[int]:
    found = subprocess.run(["pgrep", "-f", "--", text], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def as_nobody(source: str) -> subprocess.CompletedProcess[str]:
    """Run `source` in a Python of an ordinary user, to whom the interpreter is shown where it lies. Needs root."""
    base = os.path.realpath(sys.base_prefix)
    top = "/" + base.split("/")[1]
    show = (
        f"mount -t tmpfs t /mnt && mkdir /mnt/python && mount --bind {base} /mnt/python && "
        f"mount -t tmpfs -o mode=755 t {top} && mkdir -p {base} && mount --move /mnt/python {base}"
    )
    drop = "setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --inh-caps=-all"
    start = f'{"true" if top == "/usr" else show} && exec {drop} "$@"'
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", start, "sh", sys.executable, "-B", "-c", source],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
    )
