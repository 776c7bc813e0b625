"""A scene of cancellation: one step that is cut off, another branch beside it, and what must hold afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import trio
from trio.testing import MockClock

from tests.support.behaviours import Behaviour
from tests.support.model_server import ModelServer
from tests.support.works import PLAYED, Finished, Works
from vibe_workflows.engine.errors import Refused
from vibe_workflows.engine.model import ModelRequest, RunStatus, StepStatus
from vibe_workflows.engine.run import Stop
from vibe_workflows.sandbox.launcher import Zygote

#: Of the step that is cut off. Nothing here comes near it, except where the clock is turned on.
TIMEOUT_S = 40.0
#: An option of a step: its answer is a JSON object with a whole number.
COUNT = "schema={'type': 'object', 'properties': {'n': {'type': 'integer'}}, 'required': ['n']}"


class Way(StrEnum):
    """How a step is cut off."""

    STOP = "the run is stopped"
    TIMEOUT = "its time is up"
    SIBLING = "another branch fails and the fan-out with it"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A moment in a step's life: how it comes to it, and what must be found after it was cut off there."""

    work: str = ""  # options of the step
    behave: tuple[Behaviour, ...] = ()
    at: str = ""  # cut off by the very code that reaches this point
    until: Callable[[Works, ModelServer], Awaitable[object]] | None = None  # else after this
    answering: int | None = None  # the request that is under way
    requests: int = 1
    turns: int = 0
    calls: int = 0
    paid: bool = True  # whether anything may have been billed
    estimated: bool = False
    completes: bool = False  # too late: the answer is there
    ways: tuple[Way, ...] = tuple(Way)


@dataclass
class Scene:
    """One step and another branch beside it, which fails when `kill` is set."""

    zygote: Zygote
    folder: Path
    server: ModelServer
    clock: MockClock
    kill: trio.Event = field(default_factory=trio.Event)
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        self.folder.joinpath("a.txt").write_text(f"alpha\n{'a' * 40}!\n")

    def act(self, way: Way) -> None:
        match way:
            case Way.STOP:
                self.stop.ask(RunStatus.INTERRUPTED, self.stop.exit_code)
            case Way.TIMEOUT:
                self.clock.jump(TIMEOUT_S + 1)
            case Way.SIBLING:
                self.kill.set()

    async def killed(self, _request: ModelRequest) -> Exception:
        await self.kill.wait()
        return Refused("no")


def source(work: str) -> str:
    return (
        "return await parallel([\n"
        f"    agent('work', timeout={TIMEOUT_S:g}, {work}),\n"
        f"    agent('kill', model='{PLAYED}'),\n"
        "], on_error='raise')\n"
    )


async def run_to_the_end(works: Works, scene: Scene, moment: Moment, way: Way) -> Finished:
    """The run with its step cut off. What it waits for comes, or the step's own time limit ends the run."""
    results: list[Finished] = []
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            results.append(await works.run(source(moment.work), stop=scene.stop))
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        if moment.until is not None:
            await moment.until(works, scene.server)
            scene.act(way)
    assert len(scene.server.requests) == moment.requests
    return results[0]


def check(done: Finished, works: Works, moment: Moment, way: Way) -> None:
    work = done.prompted("work")
    cut_off = StepStatus.TIMED_OUT if way is Way.TIMEOUT else StepStatus.CANCELLED
    assert work.step.status is (StepStatus.COMPLETED if moment.completes else cut_off)
    if way is Way.STOP:
        assert done.report.run.status is RunStatus.INTERRUPTED
    elif not moment.completes:
        assert done.report.run.status is RunStatus.FAILED
        assert done.report.error is not None
        assert done.report.error.type == ("Timeout" if way is Way.TIMEOUT else "Refused")
    assert (len(work.turns), len(work.calls)) == (moment.turns, moment.calls)
    usage = work.step.usage
    assert (usage.tokens > 0, usage.estimated) == (moment.paid, moment.estimated)
    assert work.step.usage == sum((each.usage for each in work.attempts), type(usage)())
    assert done.budget.run.spent_tokens == sum(each.step.usage.tokens for each in done.steps)
    assert done.report.run.usage == sum((each.step.usage for each in done.steps), type(usage)())


async def check_closed(server: ModelServer, request: int) -> None:
    closes = await server.until_closed(1)
    assert [close.by for close in closes if close.request == request] == ["client"]
