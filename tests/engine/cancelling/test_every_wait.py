"""A step is cut off at its first wait, at its second, and so on to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio
from trio.testing import MockClock

from tests.engine.cancelling.scene import COUNT
from tests.support.behaviours import Answer, Behaviour, Call, Fail
from tests.support.model_calls import LITELLM_WARNINGS
from tests.support.model_server import ModelServer
from tests.support.works import Works, open_works
from vibe_workflows.engine.model import RunStatus, StepStatus
from vibe_workflows.engine.run import Stop
from vibe_workflows.sandbox.launcher import Zygote

pytestmark = LITELLM_WARNINGS

#: The tasks of a step, by the names of what they run: itself, and each of several tool calls.
STEP = ("LocalExecutor._work", "_run_together")
CONVERSATION: tuple[Behaviour, ...] = (
    Fail(status=429),
    Fail(status=500),
    Answer(
        calls=(Call(name="read_file", arguments='{"path": "a.txt"}', id="c1"), Call(name="none", id="c2")),
        finish="tool_calls",
    ),
    Answer(text='{"n": "x"}'),
    Answer(text='{"n": 1}'),
)


class CutOff(trio.abc.Instrument):
    """Asks for the end of a run when the tasks of its step have stopped to wait for the `nth` time."""

    def __init__(self, nth: int, ask: Callable[[], None]) -> None:
        self.waits = 0
        self._nth = nth
        self._ask = ask

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if not any(name in task.name for name in STEP):
            return
        self.waits += 1
        if self.waits == self._nth:
            self._ask()


def test_a_step_can_be_cut_off_at_each_of_its_waits(zygote: Zygote, tmp_path: Path, model_server: ModelServer) -> None:
    """A rate limit, a failed attempt, two tools at once, a correction, an answer, and a cut at each wait of them."""
    tmp_path.joinpath("a.txt").write_text("alpha\n")
    text = f"return await agent('work', tools=['read'], retries=1, {COUNT})"
    clock = MockClock(rate=1.0)
    cut_off = 0

    async def once(works: Works, nth: int) -> bool:
        """Whether the step came to its end before its `nth` wait."""
        model_server.behave(*CONVERSATION)
        stop = Stop()
        instrument = CutOff(nth, lambda: stop.ask(RunStatus.INTERRUPTED, stop.exit_code))
        trio.lowlevel.add_instrument(instrument)
        try:
            done = await works.run(text, stop=stop)
        finally:
            trio.lowlevel.remove_instrument(instrument)
            model_server.forget()
        work = done.prompted("work")
        done.check_nothing_is_held()
        assert done.budget.run.spent_tokens == work.step.usage.tokens
        assert sum(each.usage.tokens for each in work.turns) <= work.step.usage.tokens
        assert work.step.status in (StepStatus.CANCELLED, StepStatus.COMPLETED)
        completed = done.report.run.status is RunStatus.COMPLETED
        assert completed == (instrument.waits < nth)
        return completed

    async def main() -> None:
        nonlocal cut_off
        async with open_works(zygote, tmp_path, model_server.port, clock=clock) as works:
            while not await once(works, cut_off + 1):
                cut_off += 1

    trio.run(main, clock=clock)
    assert cut_off > 10
