"""A step is cut off at every moment of its life, in every way: what was open is closed before its row says so."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.support.behaviours import Answer, Behaviour, Call, Fail, Hang
from tests.support.openai_plugin import openai_server as openai_server
from tests.support.openai_server import OpenAIServer
from tests.support.works import PLAYED, Finished, Works, connections_to, open_works
from vibe_workflows.engine.errors import Refused
from vibe_workflows.engine.model import ModelRequest, RunStatus, StepStatus
from vibe_workflows.engine.ports import Limits
from vibe_workflows.engine.run import Stop
from vibe_workflows.sandbox.launcher import Zygote, start_zygote

# pytest undoes the filters that litellm sets for what pydantic says of its types.
pytestmark = pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)")

#: Of the step that is cut off. Nothing here comes near it, except where the clock is turned on.
TIMEOUT_S = 40.0
SLOW = r"^(a+)+$"  # with a text that nearly fits, this keeps the locked worker busy for as long as it may be


class Way(StrEnum):
    """How a step is cut off."""

    STOP = "the run is stopped"
    TIMEOUT = "its time is up"
    SIBLING = "another branch fails and the fan-out with it"


#: At a point of the code itself: what the script does about a branch that failed would come too late.
AT_ONCE = (Way.STOP, Way.TIMEOUT)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A moment in a step's life: how it comes to it, and what must be found after it was cut off there."""

    work: str = ""  # options of the step
    behave: tuple[Behaviour, ...] = ()
    at: str = ""  # cut off by the very code that reaches this point
    until: Callable[[Works, OpenAIServer], Awaitable[object]] | None = None  # else after this
    answering: int | None = None  # the request that is under way
    requests: int = 1
    turns: int = 0
    calls: int = 0
    paid: bool = True  # whether anything may have been billed
    estimated: bool = False
    completes: bool = False  # too late: the answer is there
    ways: tuple[Way, ...] = tuple(Way)


def requests(count: int) -> Callable[[Works, OpenAIServer], Awaitable[object]]:
    return lambda _works, server: server.until_requests(count)


def point(name: str) -> Callable[[Works, OpenAIServer], Awaitable[object]]:
    return lambda works, _server: works.moments.until(name)


CALLS = Answer(calls=(Call(name="grep", arguments='{"pattern": "alpha"}', id="c1"),), finish="tool_calls")
SLOW_CALL = Answer(calls=(Call(name="grep", arguments=f'{{"pattern": "{SLOW}"}}', id="c1"),), finish="tool_calls")
COUNT = "schema={'type': 'object', 'properties': {'n': {'type': 'integer'}}, 'required': ['n']}"
SLOW_SCHEMA = f"schema={{'type': 'object', 'properties': {{'n': {{'type': 'string', 'pattern': '{SLOW}'}}}}}}"

MOMENTS = {
    "while its schema is checked": Moment(work=COUNT, at="check_schema", requests=0, paid=False, ways=AT_ONCE),
    "before its call is sent": Moment(at="count", requests=0, paid=False, ways=(Way.STOP,)),
    "while it waits for headers": Moment(behave=(Hang(),), until=requests(1), answering=1, estimated=True),
    "in mid-stream": Moment(behave=(Hang(text="half an"),), until=point("text"), answering=1, estimated=True),
    "when its answer is there": Moment(at="reply", turns=1, completes=True, ways=(Way.STOP,)),
    "while its turn is committed": Moment(work="tools=['read']", behave=(CALLS,), at="reply", turns=1, ways=AT_ONCE),
    "when a tool begins": Moment(work="tools=['read']", behave=(CALLS,), at="tool", turns=1, ways=AT_ONCE),
    "in a slow tool": Moment(work="tools=['read']", behave=(SLOW_CALL,), until=point("search"), turns=1),
    "in the turn after a tool": Moment(
        work="tools=['read']",
        behave=(CALLS, Hang()),
        until=requests(2),
        answering=2,
        requests=2,
        turns=1,
        calls=1,
        estimated=True,
    ),
    "while its answer is validated": Moment(
        work=COUNT, behave=(Answer(text='{"n": 1}'),), at="validate", turns=1, ways=AT_ONCE
    ),
    "in a slow validation": Moment(
        work=SLOW_SCHEMA, behave=(Answer(text=f'{{"n": "{"a" * 40}!"}}'),), until=point("validate"), turns=1
    ),
    "in the turn of a correction": Moment(
        work=COUNT,
        behave=(Answer(text='{"n": "x"}'), Hang(text="{")),
        until=requests(2),
        answering=2,
        requests=2,
        turns=1,
        estimated=True,
    ),
    "between two attempts": Moment(behave=(Fail(status=500),), until=point("retry"), paid=False),
    "in its second attempt": Moment(
        behave=(Fail(status=500), Hang(text="x")), until=requests(2), answering=2, requests=2, estimated=True
    ),
}


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    held = start_zygote()
    try:
        yield held
    finally:
        held.close()


@dataclass
class Scene:
    """One step and another branch beside it, which fails when `kill` is set."""

    zygote: Zygote
    folder: Path
    server: OpenAIServer
    clock: MockClock

    def __post_init__(self) -> None:
        self.kill = trio.Event()
        self.stop = Stop()
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


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, moment in MOMENTS.items() for way in moment.ways])
def test_a_step_is_cut_off(zygote: Zygote, tmp_path: Path, openai_server: OpenAIServer, name: str, way: Way) -> None:
    moment = MOMENTS[name]
    clock = MockClock(rate=1.0)
    openai_server.behave(*moment.behave)

    async def main() -> None:
        scene = Scene(zygote, tmp_path, openai_server, clock)
        async with open_works(zygote, tmp_path, openai_server.port, played=scene.killed) as works:
            if moment.at:
                works.moments.at[moment.at] = lambda: scene.act(way)
            done = await _run(works, scene, moment, way)
            _check(done, works, moment, way)
            if moment.answering is not None:
                (end,) = [each for each in works.ended if each.step.id == done.prompted("work").step.id]
                assert end.connections == 0
                await _check_closed(openai_server, moment.answering)
            done.check_nothing_is_held()
            # Everything is still of use.
            again = await works.run("return await agent('after', tools=['read'])")
            assert again.report.run.status is RunStatus.COMPLETED

    trio.run(main, clock=clock)


async def _run(works: Works, scene: Scene, moment: Moment, way: Way) -> Finished:
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


def _check(done: Finished, works: Works, moment: Moment, way: Way) -> None:
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
    assert done.budget.run.spent_tokens == sum(each.step.usage.tokens for each in done.steps)
    assert done.report.run.usage == sum((each.step.usage for each in done.steps), type(usage)())


async def _check_closed(server: OpenAIServer, request: int) -> None:
    closes = await server.until_closed(1)
    assert [close.by for close in closes if close.request == request] == ["client"]
