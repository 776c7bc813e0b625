"""A step is cut off at every moment of its life, in every way: what was open is closed before its row says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.engine.cancelling.scene import COUNT, Moment, Scene, Way, check, check_closed, run_to_the_end
from tests.support.behaviours import Answer, Call, Fail, Hang
from tests.support.model_calls import LITELLM_WARNINGS
from tests.support.model_server import ModelServer
from tests.support.works import Works, open_works
from vibe_workflows.engine.model import RunStatus
from vibe_workflows.sandbox.launcher import Zygote

pytestmark = LITELLM_WARNINGS

SLOW = r"^(a+)+$"  # with a text that nearly fits, this keeps the locked worker busy for as long as it may be
#: At a point of the code itself: what the script does about a branch that failed would come too late.
AT_ONCE = (Way.STOP, Way.TIMEOUT)


def requests(count: int) -> Callable[[Works, ModelServer], Awaitable[object]]:
    return lambda _works, server: server.until_requests(count)


def point(name: str) -> Callable[[Works, ModelServer], Awaitable[object]]:
    return lambda works, _server: works.moments.until(name)


CALLS = Answer(calls=(Call(name="grep", arguments='{"pattern": "alpha"}', id="c1"),), finish="tool_calls")
SLOW_CALL = Answer(calls=(Call(name="grep", arguments=f'{{"pattern": "{SLOW}"}}', id="c1"),), finish="tool_calls")
SLOW_SCHEMA = f"schema={{'type': 'object', 'properties': {{'n': {{'type': 'string', 'pattern': '{SLOW}'}}}}}}"

TWO_SLOW_CALLS = replace(SLOW_CALL, calls=(*SLOW_CALL.calls, replace(SLOW_CALL.calls[0], id="c2")))

MOMENTS = {
    "while its schema is checked": Moment(work=COUNT, at="check_schema", requests=0, paid=False, ways=AT_ONCE),
    "before its call is sent": Moment(at="count", requests=0, paid=False, ways=(Way.STOP,)),
    "while it waits for headers": Moment(behave=(Hang(),), until=requests(1), answering=1, estimated=True),
    "in mid-stream": Moment(behave=(Hang(text="half an"),), until=point("text"), answering=1, estimated=True),
    "when its answer is there": Moment(at="reply", turns=1, completes=True, ways=(Way.STOP,)),
    "while its turn is committed": Moment(work="tools=['read']", behave=(CALLS,), at="reply", turns=1, ways=AT_ONCE),
    "when a tool begins": Moment(work="tools=['read']", behave=(CALLS,), at="tool", turns=1, ways=AT_ONCE),
    "in a slow tool": Moment(work="tools=['read']", behave=(SLOW_CALL,), until=point("search"), turns=1),
    "in two slow tools at once": Moment(
        work="tools=['read']", behave=(TWO_SLOW_CALLS,), until=point("search"), turns=1
    ),
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
    # Waits in queues are no part of a step's time.
    "while it rests after a rate limit": Moment(
        behave=(Fail(status=429),), until=point("retry"), paid=False, ways=(Way.STOP, Way.SIBLING)
    ),
    "when it asks again after a rate limit": Moment(
        behave=(Fail(status=429), Hang(text="x")), until=requests(2), answering=2, requests=2, estimated=True
    ),
    "in its second attempt": Moment(
        behave=(Fail(status=500), Hang(text="x")), until=requests(2), answering=2, requests=2, estimated=True
    ),
}


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, moment in MOMENTS.items() for way in moment.ways])
def test_a_step_is_cut_off(zygote: Zygote, tmp_path: Path, model_server: ModelServer, name: str, way: Way) -> None:
    moment = MOMENTS[name]
    clock = MockClock(rate=1.0)
    model_server.behave(*moment.behave)

    async def main() -> None:
        scene = Scene(zygote, tmp_path, model_server, clock)
        async with open_works(zygote, tmp_path, model_server.port, played=scene.killed) as works:
            if moment.at:
                works.moments.at[moment.at] = lambda: scene.act(way)
            done = await run_to_the_end(works, scene, moment, way)
            check(done, works, moment, way)
            if moment.answering is not None:
                (end,) = [each for each in works.ended if each.step.id == done.prompted("work").step.id]
                assert end.connections == 0
                await check_closed(model_server, moment.answering)
            done.check_nothing_is_held()
            # Everything is still of use.
            again = await works.run("return await agent('after', tools=['read'])")
            assert again.report.run.status is RunStatus.COMPLETED

    trio.run(main, clock=clock)
