"""Gates: a command judges an agent's answer, and what is red goes back to the agent."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import trio_test

from tests.support.agents import Bench, asks, read_messages, says
from tests.support.gate_hands import BareHands, Ended
from vibe_workflows.engine.agents import prompts
from vibe_workflows.engine.agents.tools.run_command import RunCommand
from vibe_workflows.engine.errors import GateFailed, ProviderError, ToolDenied, ToolFailed
from vibe_workflows.engine.gates import GATE_S, GatedRun, GateTool
from vibe_workflows.engine.model import FILE_TREE, Message, Role, StepId, ToolCall
from vibe_workflows.engine.ports import Job

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

#: Fails so many times, and counts its runs in a file.
COUNTING = (
    "import pathlib, sys; count = pathlib.Path('count'); runs = int(count.read_text()) + 1 if count.exists() else 1; "
    "count.write_text(str(runs)); print('run', runs); print('oops', file=sys.stderr); sys.exit(runs <= {fails})"
)


RUN = RunCommand(["command"], shutil.which)


def gate(fails: int) -> list[str]:
    return [sys.executable, "-c", COUNTING.format(fails=fails)]


class Gated:
    """A Bench whose answers a gate judges."""

    def __init__(self, folder: Path, bench: Bench, *, fails: int = 0, retries: int = 2, **more: Any) -> None:
        self.bench = bench
        self.hands: BareHands = more.pop("hands", None) or BareHands(folder, lambda: bench.at("gate"))
        self._argv = more.pop("argv", gate(fails))
        self._retries = retries
        self._more = more

    async def start(self) -> GatedRun:
        run = await self.bench.start()
        return GatedRun(
            run,
            **{
                "gate": GateTool(RUN, self._argv),
                "retries": self._retries,
                "hands": self.hands,
                "step_id": StepId("s1"),
                "left_s": lambda: 60.0,
                "record_tools": self.bench._record_tools,
                "clock": self.bench._clock,
                **self._more,
            },
        )

    async def advance(self) -> Any:
        return await (await self.start()).advance()

    @property
    def gates(self) -> list[ToolCall]:
        return [call for _, call in sorted(self.bench.calls.items()) if call.name == "gate"]


def last_message(bench: Bench, call: int) -> Message:
    return bench.seen[call].messages[-1]


@trio_test
async def test_a_green_gate_lets_the_answer_count_once_its_turn_is_durable(tmp_path: Path) -> None:
    gated = Gated(tmp_path, Bench([says("done")]))
    outcome = await gated.advance()
    assert (outcome.answer, outcome.turns) == ("done", 1)
    assert gated.bench.log == ["reply 1", "turn 1", "tools 1"]
    (call,) = gated.gates
    assert (call.turn, call.number, call.outcome, call.call_id) == (1, 1, "ok", "")
    assert call.output == "ended with exit code 0\n\nrun 1\noops"
    assert [look.tool for look in outcome.observations] == [FILE_TREE, "file_state"]
    assert call.observations == outcome.observations
    assert [told.observations for told in gated.hands.told_along if isinstance(told, ToolCall)] == [call.observations]


@trio_test
async def test_a_red_gate_goes_back_to_the_agent_until_it_is_green(tmp_path: Path) -> None:
    bench = Bench([says("one"), says("two"), says("three")])
    gated = Gated(tmp_path, bench, fails=2)
    outcome = await gated.advance()
    assert (outcome.answer, outcome.turns, outcome.usage.output_tokens) == ("three", 3, 9)
    assert [(call.turn, call.outcome) for call in gated.gates] == [(1, "error"), (2, "error"), (3, "ok")]
    for number in (1, 2):
        message = last_message(bench, number)
        assert message.role is Role.USER
        assert f"{gate(2)[0]} -c " in message.text
        assert f"ended with exit code 1. The end of its output:\n\nrun {number}\noops\n\nMend what" in message.text
        assert read_messages(bench.turns[number + 1].input) == [message]
    assert not any(turn.error for turn in bench.turns.values())


@trio_test
async def test_a_gate_that_stays_red_fails_the_step_and_tells_all(tmp_path: Path) -> None:
    bench = Bench([says("one"), says("two"), says("three")])
    gated = Gated(tmp_path, bench, fails=9, retries=1)
    with pytest.raises(GateFailed, match=r"ended with exit code 1; tried 2 times\nrun 2\noops") as failed:
        await gated.advance()
    assert failed.value.fields == {
        "argv": gate(9),
        "exit_code": 1,
        "output": "run 2\noops",
        "tries": 2,
        "answer": "two",
    }
    assert not failed.value.retryable
    assert len(bench.seen) == 2
    assert bench.run is not None
    assert bench.run.unrecorded is None


@trio_test
async def test_without_retries_the_first_red_gate_is_the_last(tmp_path: Path) -> None:
    bench = Bench([says("one")])
    with pytest.raises(GateFailed) as failed:
        await Gated(tmp_path, bench, fails=1, retries=0).advance()
    assert (failed.value.tries, len(bench.seen)) == (1, 1)
    assert "tried" not in failed.value.message


@pytest.mark.parametrize("native", [True, False])
@trio_test
async def test_an_answer_in_a_schema_is_judged_too(tmp_path: Path, native: bool) -> None:
    def answer(n: int) -> Any:
        return says(f'{{"n": {n}}}') if native else asks((prompts.SUBMIT_TOOL, f'{{"n": {n}}}'), ("other", "{}"))

    bench = Bench([answer(1), answer(2)], schema=SCHEMA, native=native)
    gated = Gated(tmp_path, bench, fails=1)
    assert (await gated.advance()).answer == {"n": 2}
    told = bench.seen[1].messages[3:] if native else bench.seen[1].messages[-2:]
    if native:
        assert [message.role for message in told] == [Role.USER]
    else:
        assert [(message.role, message.tool_call_id) for message in told] == [(Role.TOOL, "id1"), (Role.TOOL, "id2")]
        assert told[1].text == prompts.NOT_RUN
    assert "The answer does not count yet" in told[0].text
    assert [call.number for call in gated.gates] == ([1, 1] if native else [3, 3])


@trio_test
async def test_where_no_turn_is_left_the_error_says_so(tmp_path: Path) -> None:
    bench = Bench([says("one"), says("two")], max_turns=2)
    with pytest.raises(GateFailed, match="tried 2 times; max_turns= leaves the agent no turn to mend it"):
        await Gated(tmp_path, bench, fails=9).advance()


@trio_test
async def test_a_provider_that_fails_in_between_costs_no_turn_and_no_retry(tmp_path: Path) -> None:
    bench = Bench([says("one"), ProviderError("down"), says("two"), says("three")])
    gated = Gated(tmp_path, bench, fails=2)
    run = await gated.start()
    with pytest.raises(ProviderError):
        await run.advance()
    run.attempt = 2
    assert (await run.advance()).answer == "three"
    assert [turn.attempt for _, turn in sorted(bench.turns.items())] == [1, 2, 2]


@trio_test
async def test_another_model_may_mend_what_the_first_did(tmp_path: Path) -> None:
    bench = Bench([says("one"), ProviderError("down"), says("two")])
    gated = Gated(tmp_path, bench, fails=1)
    run = await gated.start()
    with pytest.raises(ProviderError):
        await run.advance()
    run.use_model("other", bench.info())
    assert (await run.advance()).answer == "two"
    assert bench.seen[-1].model == "other"


# ---------------------------------------------------------------- cut off


@trio_test
async def test_a_step_that_was_killed_in_its_gate_goes_on_with_the_gate_and_pays_for_nothing(tmp_path: Path) -> None:
    first = Bench([says("one"), says("two")])
    gated = Gated(tmp_path, first, fails=2)

    async def killed(event: str) -> None:
        if event == "gate" and len(first.turns) == 2:
            raise KeyboardInterrupt

    first.at = killed
    with pytest.raises(KeyboardInterrupt):
        await gated.advance()
    turns = [first.turns[1], first.turns[2]]

    second = Bench([says("three")])
    again = Gated(tmp_path, second, fails=2, retries=2)
    run = await again.start()
    assert second.run is not None
    second.run.go_on(turns, gated.gates[0].observations)
    assert second.run.sent_back == 1
    outcome = await run.advance()
    assert (outcome.answer, len(second.seen)) == ("three", 1)
    assert [message.text[:10] for message in second.seen[0].messages[2:]] == ["one", "The answer", "two", "The answer"]
    assert [(call.turn, call.outcome) for call in again.gates] == [(2, "error"), (3, "ok")]
    assert second.run.sent_back == 2


@pytest.mark.parametrize("native", [True, False])
@trio_test
async def test_what_was_sent_back_before_counts_against_the_retries(tmp_path: Path, native: bool) -> None:
    unfit, fit = '{"n": "x"}', '{"n": 1}'
    replies = [asks(("glob", "{}")), *([says(unfit), says(fit)] if native else [submit(unfit), submit(fit)])]
    first = Bench([*replies, replies[-1], says("never")], schema=SCHEMA, native=native)
    done = Gated(tmp_path, first, fails=9, retries=1)
    with pytest.raises(GateFailed):
        await done.advance()
    assert len(first.turns) == 4
    again = Bench([], schema=SCHEMA, native=native)
    run = await again.start()
    run.go_on([first.turns[number] for number in range(1, 5)], ())
    assert run.sent_back == 1


def submit(arguments: str) -> Any:
    return asks((prompts.SUBMIT_TOOL, arguments))


@trio_test
async def test_a_cancelled_gate_is_over_before_the_step_is(tmp_path: Path) -> None:
    bench = Bench([says("one")])
    started = trio.Event()

    async def at_gate(event: str) -> None:
        if event == "gate":
            started.set()

    bench.at = at_gate
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    run = await Gated(tmp_path, bench, argv=sleeper).start()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.advance)
            await started.wait()
            nursery.cancel_scope.cancel()
    assert list(bench.turns) == [1]
    assert bench.calls == {}


# ---------------------------------------------------------------- what cannot be run, and how it ends


@trio_test
async def test_a_gate_that_cannot_be_run_is_no_red_gate(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match=r"the gate `no-such-program -q` cannot be run: there is no `no-such"):
        await Gated(tmp_path, Bench([says("one")]), argv=["no-such-program", "-q"]).advance()


@trio_test
async def test_what_a_gate_may_not_change_is_denied_to_its_step(tmp_path: Path) -> None:
    class Refusing(BareHands):
        async def command(self, tool: Any, arguments: Any, along: Any) -> Any:
            return ToolDenied("vibe.yaml is no file for tools"), ()

    with pytest.raises(ToolDenied, match="no file for tools"):
        await Gated(tmp_path, Bench([says("one")]), hands=Refusing(tmp_path)).advance()


@trio_test
async def test_a_gate_has_what_its_step_has_left(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(GateFailed, match="was still running after 0 s") as failed:
        await Gated(tmp_path, Bench([says("one")]), argv=sleeper, retries=0, left_s=lambda: 0.05).advance()
    assert failed.value.fields["exit_code"] is None


JOB = Job(argv=("x",), timeout_s=GATE_S)


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (Ended(0), "ended with exit code 0"),
        (Ended(2, b"a\n", b"b\n"), "ended with exit code 2\n\na\nb"),
        (Ended(None), "was killed by a signal"),
        (Ended(None, over_limit="1 GB of memory"), "was killed: 1 GB of memory"),
        (Ended(None, timed_out=True), "was still running after 600 s"),
        (Ended(1, b"\xff!"), "ended with exit code 1\n\n�!"),
    ],
)
def test_it_is_told_how_a_gate_ended(end: Ended, text: str) -> None:
    assert GateTool(RUN, ["x"]).told(JOB, end, ()).text == text


@pytest.mark.parametrize(
    ("out", "err", "kept_out", "kept_err"),
    [
        (20_000, 0, 8_192, 0),
        (0, 20_000, 0, 8_192),
        (20_000, 20_000, 5_120, 3_072),
        (20_000, 100, 8_092, 100),
        (100, 20_000, 100, 8_092),
    ],
)
def test_of_long_outputs_the_ends_are_kept(out: int, err: int, kept_out: int, kept_err: int) -> None:
    result = GateTool(RUN, ["x"]).told(JOB, Ended(1, b"o" * out, b"e" * err), ())
    assert isinstance(result.data, dict)
    said = str(result.data["output"])
    assert (said.count("o"), said.count("e")) == (kept_out, kept_err)
    assert (result.whole.count("o"), result.whole.count("e")) == (out, err)
