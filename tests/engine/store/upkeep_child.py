"""A second process beside a collection: `python -m tests.engine.store.upkeep_child STORE collect|hold|run ARGUMENT`.

`collect` takes all but the newest ARGUMENT runs and says `done RUNS STEPS TEXTS`. `hold` owns the run ARGUMENT, says
so, and keeps it until its input ends. `run` makes ARGUMENT runs one after the other, each as the engine does: its lock,
its row, then a look at the pool, then the delivery of what it was offered there, or of a step of its own.
Each says `ready` first and waits for a line.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from tests.engine.store.making import a_delivery, a_run, a_step, in_trio, opened
from vibe_workflows.engine.model import LineageId, RunId, RunStatus
from vibe_workflows.engine.ports import Source
from vibe_workflows.engine.store.gc import collect
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.engine.store.retention import Retention
from vibe_workflows.engine.store.sqlite import SqliteStore

NOW = 1_000.0


def say(*words: object) -> None:
    print(*words, flush=True)


def collect_once(path: Path, keep: int) -> None:
    done = collect(path, Retention(keep_runs=keep), NOW)
    say("done", done.runs, done.steps, done.texts)


def hold(path: Path, run: RunId) -> None:
    with RunLocks(path).hold(run):
        say("held")
        sys.stdin.read()


async def one_run(path: Path, store: SqliteStore, number: int) -> None:
    id_ = RunId(f"busy{number}")
    run = a_run(id_, lineage=LineageId(id_), status=RunStatus.RUNNING, started_at=500.0 + number, finished_at=None)
    with RunLocks(path).hold(id_), closing(open_reader(path)) as reader:
        await store.commit([Source(digest=run.source_digest, text="s" * 3000), run])
        offered = reader.pool(a_step("any").key)
        for _look in range(20):  # time in which what was offered is in the memory of this process alone
            reader.runs(5)
        own = a_step(f"{id_}-1", run_id=id_, spec="p" * 3000, result=f'"{id_}"')
        if not offered:
            await store.commit([own])
        await store.commit([a_delivery(1, offered[0].id if offered else own.id, run_id=id_)])
        await store.commit([replace(run, status=RunStatus.COMPLETED, finished_at=run.started_at)])
    say("ran", id_, "stored" if offered else "live")


def make_runs(path: Path, count: int) -> None:
    async def main() -> None:
        async with opened(path) as store:
            for number in range(count):
                await one_run(path, store, number)

    in_trio(main)


if __name__ == "__main__":
    store_path, action, argument = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    say("ready")
    sys.stdin.readline()
    if action == "collect":
        collect_once(store_path, int(argument))
    elif action == "hold":
        hold(store_path, RunId(argument))
    else:
        make_runs(store_path, int(argument))
