"""Prints the table of costs: python -m tests.benchmarks [NAME ...]."""

from __future__ import annotations

import compileall
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .baselines import sqlite_read_ms, sqlite_write_ms
from .look_rows import looks, tree
from .naming_rows import naming
from .table import ROOT, Bench, Row


def start_up(bench: Bench) -> list[Row]:
    plain = bench.process(sys.executable, "-c", "pass").seconds
    rows = []
    for arguments, goal in ((("--help",), 0.15), (("list",), 0.15)):
        taken = bench.vibe(*arguments).seconds
        beside = f"python -c pass: {plain:.3f} s"
        rows.append(
            Row(name=f"vibe {arguments[0]}", value=taken, unit="s", goal=goal, beside=beside, ratio=taken / plain)
        )
    return rows


def reused(bench: Bench) -> list[Row]:
    plain = bench.process(sys.executable, "-c", "pass").seconds
    one = bench.vibe("run", "one_step.py", "--offline").seconds
    counts = (1000, 3000)
    many = [bench.vibe("run", "fan_out.py", "--n", str(count), "--offline", runs=5).seconds for count in counts]
    each = (many[1] - many[0]) / (counts[1] - counts[0]) * 1000
    read = sqlite_read_ms_of(bench)
    return [
        Row(name="vibe run, one step from the store, whole process", value=one, unit="s", goal=0.25,
            beside=f"python -c pass: {plain:.3f} s", ratio=one / plain),
        Row(name="1,000 reused steps, whole process", value=many[0], unit="s", goal=0.4,
            beside=f"python -c pass: {plain:.3f} s", ratio=many[0] / plain),
        Row(name="each further reused step", value=each, unit="ms", goal=0.1,
            beside=f"SQLite look-up: {read:.4f} ms", ratio=each / read),
    ]  # fmt: skip


def sqlite_read_ms_of(bench: Bench) -> float:
    path = bench.folder / "reads.db"
    sqlite_write_ms(path, 5000, group=1000)
    return sqlite_read_ms(path, 5000)


def live(bench: Bench) -> list[Row]:
    grouped = sqlite_write_ms(bench.folder / "grouped.db", 10_000, group=500)
    alone = sqlite_write_ms(bench.folder / "alone.db", 300, group=1)
    rows = []
    for count in (1000, 10_000):
        work = bench.work("fan_out.py", count)
        each = work.seconds / count * 1000
        rows.append(
            Row(name=f"live step, no latency, fan-out of {count:,}", value=each, unit="ms", goal=0.3,
                beside=f"SQLite, 500 a commit: {grouped:.4f} ms", ratio=each / grouped)
        )  # fmt: skip
    sequence = bench.work("in_sequence.py", 300).seconds / 300 * 1000
    rows.append(
        Row(name="live step, no latency, in sequence", value=sequence, unit="ms", goal=0.8,
            beside=f"SQLite, one a commit: {alone:.3f} ms", ratio=sequence / alone)
    )  # fmt: skip
    return rows


def concurrency(bench: Bench) -> list[Row]:
    work = bench.work("fan_out.py", 1000, latency_s=0.2, concurrency=100)
    idle = bench.work("one_step.py", 0)
    wide = bench.work("fan_out.py", 10_000, latency_s=0.2, concurrency=1000, runs=1)
    return [
        Row(name="1,000 steps of 200 ms, concurrency 100", value=work.seconds, unit="s", goal=2.15,
            beside="ideal: 2.0 s", ratio=work.seconds / 2.0),
        Row(name="10,000 concurrent steps, memory above the idle engine", value=wide.peak_mb - idle.peak_mb, unit="MB",
            goal=150, beside=f"idle engine: {idle.peak_mb:.0f} MB", ratio=wide.peak_mb / idle.peak_mb),
    ]  # fmt: skip


def views(bench: Bench) -> list[Row]:
    from .view_costs import view_cost

    costs = [view_cost(steps, project=bench.project, environ=bench.environ) for steps in (2_000, 10_000)]
    return [
        Row(name=f"live view of a fan-out of {cost.steps:,}, CPU of the whole run", value=cost.ratio, unit="x",
            goal=1.15, beside=f"{cost.live_s:.2f} s; plain lines into a file: {cost.plain_s:.2f} s", ratio=cost.ratio)
        for cost in costs
    ]  # fmt: skip


def rate_limits(bench: Bench) -> list[Row]:
    """Wall times as multiples of the ideal, so that the goal is a number of times, too."""
    from .rate_limits import CALLS, RATE, Limited, ideal_s

    def measured(limit: str, calls: int = CALLS) -> Limited:
        done = bench.process_output(sys.executable, "-m", "tests.benchmarks.rate_limits", limit, str(calls))
        return Limited(**json.loads(done))

    half_more = measured("none", CALLS * 3 // 2).seconds  # as many calls as it takes where a third is refused
    allowed = f"ideal at {RATE:g} calls/s: {ideal_s():.2f} s"
    rows = []
    for limit, name, ideal, beside in (
        ("bucket", "a token bucket", ideal_s(), allowed),
        ("bucket-retry-after", "the same, with Retry-After", ideal_s(), allowed),
        (
            "every-third",
            "every third one refused",
            half_more,
            f"{CALLS * 3 // 2} calls, none refused: {half_more:.2f} s",
        ),
    ):
        found = measured(limit)
        refused = found.refused / (CALLS + found.refused)
        told = f"{beside}; {refused:.0%} refused, {found.failed} steps failed"
        times = found.seconds / ideal if found.failed == 0 else math.inf
        rows.append(Row(name=f"{CALLS} calls, {name}", value=times, unit="x", goal=2.0, beside=told, ratio=times))
    return rows


def sandbox(bench: Bench) -> list[Row]:
    from .sandbox_costs import calls, memory, starts, workers

    del bench
    start, call, weight, worker = starts(), calls(), memory(), workers()
    python = f"python -c pass: {start.python_ms:.0f} ms"
    process = f"plain process that is sent it: {start.process_ms:.0f} ms"
    pipe = f"a pipe there and back: {call.pipe_us:.0f} us"
    rows = []
    for what, taken, goal in (("cold", start.cold_ms, 50), ("warm zygote", start.warm_ms, 5)):
        name = f"sandbox, {what}: request to the script's first line"
        rows += [
            Row(name=name, value=taken, unit="ms", goal=goal, beside=python, ratio=taken / start.python_ms),
            Row(name="", value=taken, unit="ms", goal=None, beside=process, ratio=taken / start.process_ms),
        ]
    rows += [
        Row(name="call and answer across the wall, one at a time", value=call.one_at_a_time_us, unit="us", goal=None,
            beside=pipe, ratio=call.one_at_a_time_us / call.pipe_us),
        Row(name=f"the same in parallel ({1e6 / call.parallel_us:,.0f} calls/s)", value=call.parallel_us, unit="us",
            goal=None, beside=pipe, ratio=call.parallel_us / call.pipe_us),
        Row(name="memory of a running child", value=weight.child_mb, unit="MB", goal=None,
            beside=f"idle Python process: {weight.python_mb:.0f} MB", ratio=weight.child_mb / weight.python_mb),
    ]  # fmt: skip
    if weight.own_mb is not None:
        rows.append(
            Row(name="of it not shared with the zygote", value=weight.own_mb, unit="MB", goal=None,
                beside=f"idle Python process: {weight.python_mb:.0f} MB", ratio=weight.own_mb / weight.python_mb)
        )  # fmt: skip
    plain = f"the same in this process: {worker.plain_ms:.3f} ms"
    return [
        *rows,
        Row(name="locked worker, first validation, its start included", value=worker.first_ms, unit="ms", goal=None,
            beside=python, ratio=worker.first_ms / start.python_ms),
        Row(name="locked worker, each further one", value=worker.further_ms, unit="ms", goal=None,
            beside=plain, ratio=worker.further_ms / worker.plain_ms),
    ]  # fmt: skip


def guards(bench: Bench) -> list[Row]:
    from .guard_costs import compilation, operations

    del bench
    rows = [
        Row(name=f"in the sandbox: {name}, in a loop", value=cost.guarded, unit="us", goal=None,
            beside=f"plain Python: {cost.plain:.3f} us", ratio=cost.ratio)
        for name, cost in operations().items()
    ]  # fmt: skip
    return rows + [
        Row(name=f"check, compile and verify {lines:,} lines", value=cost.guarded, unit="ms", goal=None,
            beside=f"compile(): {cost.plain:.2f} ms", ratio=cost.ratio)
        for lines, cost in compilation().items()
    ]  # fmt: skip


def litellm(bench: Bench) -> list[Row]:
    from .litellm_costs import call_costs

    rows: list[Row] = []
    for cost in call_costs():
        beside = f"and {cost.piece_ms:.2f} ms for each further piece of the answer"
        name = f"litellm's own CPU per call, {cost.name}"
        rows.append(Row(name=name, value=cost.call_ms, unit="ms", goal=None, beside=beside))
    return rows


BENCHES: dict[str, Callable[[Bench], list[Row]]] = {
    "start-up": start_up,
    "naming": naming,
    "reused": reused,
    "looks": looks,
    "tree": tree,
    "live": live,
    "concurrency": concurrency,
    "sandbox": sandbox,
    "guards": guards,
    "litellm": litellm,
    "rate-limits": rate_limits,
    "views": views,
}


def main(names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in BENCHES]:
        raise SystemExit(f"no benchmark is named {unknown[0]!r}; there are: {', '.join(BENCHES)}")
    # As installed from a wheel: byte code is there. A checkout may never have been imported.
    for room in ("catalog", "cli", "engine", "sandbox"):
        compileall.compile_dir(ROOT / room, quiet=2)
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; medians"
    )
    print(f"{'':<58} {'measured':>11}  {'at most':>10} {'':<5} {'ratio':>7}  beside")
    for name in names or BENCHES:
        with tempfile.TemporaryDirectory(prefix="vibe-bench-") as folder:
            for row in BENCHES[name](Bench(Path(folder))):
                print(row.line(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
