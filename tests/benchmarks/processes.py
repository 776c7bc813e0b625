"""Times whole processes: several runs after a warm-up, the median to quote."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VIBE = (sys.executable, "-m", "vibe_workflows.cli.main")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    seconds: float  # median of the wall times
    fastest: float
    slowest: float


def timed(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], runs: int = 7) -> Timing:
    """Raises CalledProcessError where the command fails."""
    times = []
    for number in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, cwd=cwd, env=dict(environ), check=True, capture_output=True)
        if number:  # the first one warms caches
            times.append(time.perf_counter() - started)
    return Timing(seconds=statistics.median(times), fastest=min(times), slowest=max(times))


def clean_environment(home: Path) -> dict[str, str]:
    """A new user's: an empty home, no configuration, byte code cached as usual."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    return {**kept, "HOME": str(home), "NO_COLOR": "1"}


def peak_rss_mb() -> float:
    """Of this process, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
