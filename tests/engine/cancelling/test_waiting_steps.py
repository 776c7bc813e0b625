"""A step is cut off while it waits for others: for a connection, for room in the budget, for the store."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.engine.cancelling.scene import TIMEOUT_S, Moment, Scene, Way, check, check_closed, run_to_the_end, source
from tests.support.behaviours import Hang
from tests.support.leaks import wait_until
from tests.support.model_calls import LITELLM_WARNINGS
from tests.support.model_server import ModelServer
from tests.support.watched import connections_asked_of, connections_to
from tests.support.works import PLAYED, Finished, Works, open_works
from vibe_workflows.engine.model import StepStatus
from vibe_workflows.engine.ports import Limits
from vibe_workflows.sandbox.launcher import Zygote

pytestmark = LITELLM_WARNINGS


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("accepts", [True, False], ids=["never read", "never accepted"])
def test_a_step_is_cut_off_while_it_connects(
    zygote: Zygote,
    tmp_path: Path,
    model_server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
    way: Way,
    accepts: bool,
) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-deepseek-0123456789")
    clock = MockClock(rate=1.0)

    async def main() -> None:
        scene = Scene(zygote, tmp_path, model_server, clock)
        with contextlib.ExitStack() as sockets:
            port = _deaf_port(sockets, full=not accepts)
            before = connections_to(port)
            bases = {"deepseek": f"http://127.0.0.1:{port}/v1"}
            async with open_works(zygote, tmp_path, port, api_bases=bases, played=scene.killed) as works:
                connecting = connections_to if accepts else connections_asked_of

                async def connected(_works: Works, _server: ModelServer) -> None:
                    came = partial(wait_until, lambda: connecting(port) == (before + 1 if accepts else 1))
                    assert await trio.to_thread.run_sync(came)

                moment = Moment(work="model='deepseek/test'", until=connected, requests=0, estimated=True)
                done = await run_to_the_end(works, scene, moment, way)
                check(done, works, moment, way)
                (end,) = [each for each in works.ended if each.step.id == done.prompted("work").step.id]
                assert end.connections == before
                assert connections_asked_of(port) == 0
                done.check_nothing_is_held()

    trio.run(main, clock=clock)


def _deaf_port(sockets: contextlib.ExitStack, *, full: bool) -> int:
    """A port whose server accepts nobody: a connection comes about all the same until its queue is full."""
    listening = sockets.enter_context(socket.socket())
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    port: int = listening.getsockname()[1]
    if full:
        sockets.enter_context(socket.create_connection(("127.0.0.1", port)))
    return port


@pytest.mark.parametrize("way", [Way.STOP, Way.SIBLING])
def test_a_step_is_cut_off_while_it_waits_for_room_in_the_budget(
    zygote: Zygote, tmp_path: Path, model_server: ModelServer, way: Way
) -> None:
    """Room that the branch before it holds, which is cut off with it: none of it is taken."""
    model_server.behave(Hang(text="x"))

    async def main() -> None:
        scene = Scene(zygote, tmp_path, model_server, MockClock())
        text = (
            "return await parallel([\n"
            "    agent('first', system='s', max_tokens=900),\n"
            "    agent('second', system='s', max_tokens=900),\n"
            f"    agent('kill', model='{PLAYED}', max_tokens=10),\n"
            "], on_error='raise')\n"
        )
        results: list[Finished] = []
        async with open_works(zygote, tmp_path, model_server.port, played=scene.killed) as works:
            async with trio.open_nursery() as nursery:

                async def run() -> None:
                    results.append(await works.run(text, stop=scene.stop, budget=Limits(tokens=1_500)))

                nursery.start_soon(run)
                await works.moments.until("text")
                await wait_all_tasks_blocked(0.01)
                scene.act(way)
            (done,) = results
            [request] = model_server.requests
            sent = request.conversation().messages[0].text
            answered = done.prompted(sent).step
            waiting = done.prompted({"first": "second", "second": "first"}[sent]).step
            assert (answered.status, waiting.status) == (StepStatus.CANCELLED, StepStatus.CANCELLED)
            assert answered.usage.estimated
            assert (waiting.usage.tokens, waiting.turns) == (0, 0)
            assert done.budget.run.spent_tokens == sum(each.step.usage.tokens for each in done.steps)
            await check_closed(model_server, 1)
            done.check_nothing_is_held()

    trio.run(main)


@pytest.mark.parametrize("way", [Way.STOP, Way.TIMEOUT])
def test_steps_are_cut_off_while_one_of_them_goes_ahead_with_their_prefix(
    zygote: Zygote, tmp_path: Path, model_server: ModelServer, way: Way
) -> None:
    """Stopped, none of those that waited was sent. Where only the first one's time is up, the next one goes ahead."""
    model_server.behave(Hang())
    clock = MockClock(rate=1.0)
    fan_out = f"agent(f'work {{n}}', context={'shared ' * 1_000!r}, timeout={TIMEOUT_S:g}) for n in range(4)"

    async def main() -> None:
        scene = Scene(zygote, tmp_path, model_server, clock)
        results: list[Finished] = []
        async with open_works(zygote, tmp_path, model_server.port) as works:
            async with trio.open_nursery() as nursery:

                async def run() -> None:
                    results.append(await works.run(f"return await parallel({fan_out})", stop=scene.stop))

                nursery.start_soon(run)
                await model_server.until_requests(1)
                await wait_all_tasks_blocked(0.01)
                assert len(model_server.requests) == 1
                scene.act(way)
            (done,) = results
        done.check_nothing_is_held()
        statuses = sorted(each.step.status for each in done.steps)
        paid = [each.step for each in done.steps if each.step.usage.tokens > 0]
        if way is Way.STOP:
            assert statuses == [StepStatus.CANCELLED] * 4
            assert (len(model_server.requests), len(paid)) == (1, 1)
        else:
            assert statuses == [*[StepStatus.COMPLETED] * 3, StepStatus.TIMED_OUT]
            assert (len(model_server.requests), len(paid)) == (4, 4)
        await check_closed(model_server, 1)

    trio.run(main, clock=clock)


@pytest.mark.parametrize("way", list(Way))
def test_no_row_can_say_that_a_step_is_over_before_the_server_saw_the_close(
    zygote: Zygote, tmp_path: Path, model_server: ModelServer, way: Way
) -> None:
    """By force: while another process's lock keeps all rows back, the server still sees the close."""
    model_server.behave(Hang(text="half an"))
    clock = MockClock(rate=1.0)

    async def main() -> None:
        scene = Scene(zygote, tmp_path, model_server, clock)
        results: list[Finished] = []
        async with open_works(zygote, tmp_path, model_server.port, played=scene.killed) as works:
            async with trio.open_nursery() as nursery:

                async def run() -> None:
                    results.append(await works.run(source(""), stop=scene.stop))

                nursery.start_soon(run)
                await works.moments.until("text")
                if way is Way.SIBLING:
                    scene.act(way)  # its own row has to be written before the script can know of it
                    await model_server.until_closed(1)
                else:
                    with _locked(tmp_path / ".vibe" / "vibe.db") as other:
                        scene.act(way)
                        [closed] = await model_server.until_closed(1)
                        assert closed.by == "client"
                        assert other.execute("SELECT status FROM steps WHERE spec LIKE '%\"work\"%'").fetchall() == []
            (done,) = results
            step = done.prompted("work").step
            assert step.status in (StepStatus.CANCELLED, StepStatus.TIMED_OUT)
            (end,) = [each for each in works.ended if each.step.id == step.id]
            assert end.connections == 0

    trio.run(main, clock=clock)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[sqlite3.Connection]:
    """The store, locked for writing by this connection."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        other.execute("ROLLBACK")
