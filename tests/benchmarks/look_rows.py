"""The costs of looking again at what reused steps have seen."""

from __future__ import annotations

import json
import shutil
import statistics
import sys

from . import scripts
from .looking import MODEL, write_sources
from .table import Bench, Row
from .tree_costs import plain_hash_s


def looks(bench: Bench) -> list[Row]:
    """Reused steps that each looked at the project five times, so that all of that is looked at again.

    One that ran live would fail: outside of the run that fills the store there is no such model.
    """
    without = bench.vibe("run", "fan_out.py", "--offline", runs=5).seconds
    rows: list[Row] = []
    for name, script, files in (
        ("3 files, glob, grep", scripts.SHARED_LOOKS, 1000),
        ("5 files of its own", scripts.OWN_LOOKS, 5000),
    ):
        shutil.rmtree(bench.project)
        bench.project.mkdir()
        write_sources(bench.project, files)
        (bench.project / "vibe.yaml").write_text("concurrency: 16\n")
        (bench.project / "looks.py").write_text(script)
        bench.once(sys.executable, "-m", "tests.benchmarks.looking", "looks.py")
        taken = bench.vibe("run", "looks.py", "--model", MODEL, runs=5).seconds
        plain = statistics.median(plain_hash_s(bench.project / "src") for _ in range(5))
        rows += [
            Row(name=f"1,000 reused steps, which saw {name}", value=taken, unit="s", goal=1.0,
                beside=f"the same without looks: {without:.3f} s", ratio=taken / without),
            Row(name="", value=taken, unit="s", goal=None,
                beside=f"hashing these files: {plain:.3f} s", ratio=taken / plain),
        ]  # fmt: skip
    return rows


def tree(bench: Bench) -> list[Row]:
    """The cache takes no file for settled that changed in the last two seconds: writing 50,000 takes longer."""
    write_sources(bench.project, 50_000)
    git = (
        "git",
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@localhost",
        "-c",
        "core.untrackedCache=true",
        "-c",
        "gc.auto=0",
    )
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "all")):
        bench.once(*git, *command)
    status = bench.process(*git, "status", "--porcelain").seconds

    def measured() -> tuple[float, float]:
        arguments = (str(bench.project), str(bench.folder / "cache"))
        found = json.loads(bench.process_output(sys.executable, "-m", "tests.benchmarks.tree_costs", *arguments))
        return found["digest_s"], found["plain_s"]

    first, _ = measured()
    later = [measured() for _ in range(6)][1:]
    again, plain = (statistics.median(each) for each in zip(*later, strict=True))
    hashing = f"hashing these files: {plain:.3f} s"
    name = "digest of 50,000 files"
    return [
        Row(name=f"{name}, nothing known", value=first, unit="s", goal=None, beside=hashing, ratio=first / plain),
        Row(name=f"{name}, nothing changed", value=again, unit="s", goal=0.4, beside=hashing, ratio=again / plain),
        Row(name="", value=again, unit="s", goal=None, beside=f"git status: {status:.3f} s", ratio=again / status),
    ]
