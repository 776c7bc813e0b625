"""A line of the table of costs, and the project in which it is measured."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import scripts
from .processes import VIBE, Timing, clean_environment, timed

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    value: float
    unit: str
    goal: float | None  # at most
    beside: str  # the same measured plainly, in this run
    ratio: float | None = None

    def line(self) -> str:
        goal = "" if self.goal is None else f"{self.goal:g} {self.unit}"
        mark = "" if self.goal is None else ("ok" if self.value <= self.goal else "MISS")
        ratio = "" if self.ratio is None else f"{self.ratio:.1f}x"
        value = f"{self.value:.3g} {self.unit}"
        return f"{self.name:<58} {value:>11}  {goal:>10} {mark:<5} {ratio:>7}  {self.beside}"


class Bench:
    """A project in a folder of its own, with an empty home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        home = folder / "home"
        home.mkdir()
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "vibe.yaml").write_text("concurrency: 16\n")
        for name in ("ONE_STEP", "FAN_OUT", "IN_SEQUENCE", "NOTHING"):
            (self.project / f"{name.lower()}.py").write_text(getattr(scripts, name))
        self.environ = {**clean_environment(home), "PYTHONPATH": str(ROOT)}

    def process(self, *command: str, runs: int = 7, **environ: str) -> Timing:
        return timed(command, cwd=self.project, environ={**self.environ, **environ}, runs=runs)

    def once(self, *command: str) -> None:
        subprocess.run(command, cwd=self.project, env=self.environ, check=True, stdout=subprocess.DEVNULL)

    def vibe(self, *arguments: str, runs: int = 7) -> Timing:
        return self.process(*VIBE, *arguments, runs=runs)

    def process_output(self, *command: str) -> str:
        """What a process prints in a project without a store."""
        with tempfile.TemporaryDirectory(dir=self.folder) as store:
            environ = {**self.environ, "VIBE_DB": f"{store}/vibe.db"}
            run = subprocess.run(command, cwd=self.project, env=environ, capture_output=True, text=True, check=False)
        if run.returncode:
            raise SystemExit(run.stderr)
        return run.stdout

    def work(self, script: str, count: int, *, latency_s: float = 0.0, concurrency: int = 1000, runs: int = 3) -> Work:
        """The median of runs in processes and stores of their own."""
        found = [self._work_once(script, count, latency_s, concurrency) for _ in range(runs)]
        return sorted(found, key=lambda each: each.seconds)[len(found) // 2]

    def _work_once(self, script: str, count: int, latency_s: float, concurrency: int) -> Work:
        arguments = (script, str(count), str(latency_s), str(concurrency))
        return Work(**json.loads(self.process_output(sys.executable, "-m", "tests.benchmarks.worker", *arguments)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    seconds: float
    peak_mb: float
    live: int
    stored: int
