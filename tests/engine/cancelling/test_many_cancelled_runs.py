"""Hundreds of runs that are cut off at random leave the process as it was. VIBE_SOAK=300 makes it three hundred."""

from __future__ import annotations

import gc
import os
import random
from dataclasses import dataclass
from pathlib import Path

import psutil
import trio

from tests.engine.cancelling.scene import COUNT
from tests.support.behaviours import Answer, Behaviour, Call, Drop, Fail, Hang
from tests.support.exchanges import SeenRequest
from tests.support.leaks import Held
from tests.support.model_calls import LITELLM_WARNINGS
from tests.support.model_server import ModelServer
from tests.support.works import Works, open_works
from vibe_workflows.engine.model import RunStatus
from vibe_workflows.engine.run import Stop
from vibe_workflows.sandbox.launcher import Zygote

pytestmark = LITELLM_WARNINGS

RUNS = int(os.environ.get("VIBE_SOAK", "40"))
#: What the interpreter and litellm load once is loaded by then.
WARM_UP = 10
POOLED = 8
CACHES_KIB = 20_000.0  # of SQLite, of the allocator: they fill up within the first hundreds of runs
MOST_GROWTH_KIB_A_RUN = 30.0
MOST_OBJECTS_A_RUN = 50.0

BRANCHES = 4
FAN_OUT = f"return await parallel(agent(f'work {{n}}', tools=['read'], retries=1, {COUNT}) for n in range({BRANCHES}))"
BEHAVIOURS: tuple[Behaviour, ...] = (
    Answer(text='{"n": 1}'),
    Answer(text='{"n": "x"}'),
    Answer(calls=(Call(name="read_file", arguments='{"path": "a.txt"}', id="c1"),), finish="tool_calls"),
    Hang(),
    Hang(text="half an ans"),
    Drop(text="half"),
    Fail(status=500),
)


@dataclass(frozen=True)
class Weight:
    """What the process has at a moment when no run is under way."""

    held: Held
    memory_kib: float
    objects: int  # that the collector follows
    connections: int

    @classmethod
    def now(cls, server: ModelServer) -> Weight:
        gc.collect()
        return cls(
            Held.now(), psutil.Process().memory_info().rss / 1024, len(gc.get_objects()), len(server.open_connections)
        )


async def _cut_off(works: Works, server: ModelServer, draw: random.Random) -> None:
    """One run, cut off when some of the requests came that each of its branches makes, or a moment later."""
    for log in (server.requests, server.answers, server.closes):  # which would be the growth that is measured
        log.clear()
    stop = Stop()
    after = draw.randint(1, BRANCHES)
    delay_s = draw.choice([0.0, 0.0, 0.001, 0.005, 0.02, 0.05])
    async with trio.open_nursery() as nursery:

        async def cut() -> None:
            await server.until_requests(after)
            await trio.sleep(delay_s)
            stop.ask(RunStatus.INTERRUPTED, stop.exit_code)

        nursery.start_soon(cut)
        done = await works.run(FAN_OUT, stop=stop, timeout_s=5.0)
        nursery.cancel_scope.cancel()
    done.check_nothing_is_held()
    assert done.budget.run.spent_tokens == sum(each.step.usage.tokens for each in done.steps)
    assert all(end.step.status.value != "running" for end in works.ended)


def test_runs_that_are_cut_off_at_random_leave_nothing_behind(
    zygote: Zygote, tmp_path: Path, model_server: ModelServer
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    tmp_path.joinpath("a.txt").write_text("alpha\n")

    def behave(_request: SeenRequest) -> Behaviour:
        return draw.choice(BEHAVIOURS)

    model_server.handler = behave

    async def main() -> None:
        async with open_works(zygote, tmp_path, model_server.port) as works:
            for _ in range(WARM_UP):
                await _cut_off(works, model_server, draw)
            before = Weight.now(model_server)
            for _ in range(RUNS):
                await _cut_off(works, model_server, draw)
            after = Weight.now(model_server)
            # Within the bounds of pools: idle connections, the workers of the checker, threads that wait for work.
            assert len(after.held.files) - len(before.held.files) <= POOLED
            assert len(after.held.threads) - len(before.held.threads) <= POOLED
            assert after.held.children == before.held.children
            assert after.connections <= before.connections + POOLED
            growth_kib = after.memory_kib - before.memory_kib
            objects = (after.objects - before.objects) / RUNS
            print(f"{RUNS} runs: {growth_kib:,.0f} KiB in all, {objects:.1f} objects a run")
            assert objects < MOST_OBJECTS_A_RUN
            assert growth_kib < CACHES_KIB + RUNS * MOST_GROWTH_KIB_A_RUN

    trio.run(main)
