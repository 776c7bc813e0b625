"""What snapshots, worktrees and commands on them cost. Prints medians of a few tries, in milliseconds.

    python -m tests.benchmarks.bench_costs [FOLDER]

FOLDER lies on the file system that counts; a temporary one otherwise.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from tests.support.benches import InCopies, Yard, shell
from vibe_workflows.cli.jobs import ConfinedJobs

_TRIES = 3
_WORKTREES = 20


def main(folder: Path | None) -> None:
    for files in (1_000, 50_000):
        with tempfile.TemporaryDirectory(dir=folder) as home:
            print(f"{files:,} files of 100 bytes")
            _measure(Path(home), files)


def _measure(home: Path, files: int) -> None:
    yard = Yard(home, ConfinedJobs(accepted="strong"))
    for number in range(files):
        yard.tree.write(f"{number // 200}/{number}.py", f"{number:0100}")
    print(f"  look at all files, first         {_timed(yard.tree.tree.digest):9.1f}")
    print(f"  look at all files, next          {_timed(yard.tree.tree.digest):9.1f}")
    print(f"  snapshot, first                  {_timed(lambda: _open(yard, 1)):9.1f}")
    print(f"  snapshot, unchanged              {_median(lambda: _open(yard, 1)):9.1f}")
    print(f"  snapshot, one file changed       {_median(lambda: _changed(yard)):9.1f}")
    print(f"  {_WORKTREES} worktrees at once            {_timed(lambda: _open(yard, _WORKTREES)):9.1f}")
    print(f"  a job on a view of the project   {_median(lambda: _work(yard)):9.1f}")
    print(f"  two jobs on a worktree, by view  {_median(lambda: _work_twice(yard)):9.1f}")
    yard.benches.close()
    copying = Yard(home, InCopies(ConfinedJobs(accepted="strong")))
    trio.run(copying.tree.tree.digest)
    print(f"  a job in a copy of the project   {_median(lambda: _work(copying)):9.1f}")
    print(f"  two jobs on a worktree, by copy  {_median(lambda: _work_twice(copying)):9.1f}")
    began = time.perf_counter()
    copying.benches.close()
    print(f"  close                            {(time.perf_counter() - began) * 1_000:9.1f}")


async def _open(yard: Yard, number: int) -> None:
    async def one() -> None:
        async with yard.benches.worktrees.open():
            opened.release()
            await done.wait()

    opened, done = trio.Semaphore(0), trio.Event()
    async with trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(one)
        for _ in range(number):
            await opened.acquire()
        done.set()


async def _changed(yard: Yard) -> None:
    yard.tree.write("0/0.py", os.urandom(50))
    await _open(yard, 1)


async def _work(yard: Yard) -> None:
    async with yard.benches.project.working(shell("echo new > 0/new; echo more >> 1/200.py"), {}) as worked:
        assert len(worked.files) == 2


async def _work_twice(yard: Yard) -> None:
    async with yard.benches.worktrees.open() as worktree:
        for _ in range(2):
            async with worktree.bench.working(shell("echo more >> 1/200.py"), {}) as worked:
                assert len(worked.files) == 1


def _timed(work: Callable[[], Awaitable[object]]) -> float:
    async def run() -> float:
        began = time.perf_counter()
        await work()
        return (time.perf_counter() - began) * 1_000

    return trio.run(run)


def _median(work: Callable[[], Awaitable[object]]) -> float:
    return statistics.median(_timed(work) for _ in range(_TRIES))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
