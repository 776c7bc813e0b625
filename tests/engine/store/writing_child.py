"""A second process that writes to a store: `python -m tests.engine.store.writing_child STORE NAME COUNT`.

Says `ready REUSABLE` once the store is open, waits for a line, then writes steps NAME-0, NAME-1, ... in ten tasks and
says `done STEP` as soon as each is durable. An error of the store is said as `error MESSAGE`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from tests.engine.store.making import a_delivery, a_step, opened
from vibe_workflows.engine.errors import StoreError
from vibe_workflows.engine.model import StepKey, Turn
from vibe_workflows.engine.store.sqlite import SqliteStore


def say(*words: object) -> None:
    print(*words, flush=True)


async def write(store: SqliteStore, name: str, numbers: range) -> None:
    for number in numbers:
        id_ = f"{name}-{number}"
        step = a_step(id_, key=StepKey(f"s1:{id_}"), spec="p" * 3000 + id_, result=f'"{id_}"')
        turn = Turn(
            step_id=step.id,
            number=1,
            attempt=1,
            model="m",
            input="[]",
            output="{}",
            outcome="stop",
            started_at=1.0,
            finished_at=2.0,
        )
        await store.commit([step, turn, a_delivery(number, id_, run_id=name)])
        say("done", id_)


async def main(path: Path, name: str, count: int) -> None:
    try:
        async with opened(path) as store:
            say("ready", store.reusable)
            sys.stdin.readline()
            async with trio.open_nursery() as nursery:
                for first in range(10):
                    nursery.start_soon(write, store, name, range(first, count, 10))
    except* StoreError as errors:
        say("error", errors.exceptions[0])


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
