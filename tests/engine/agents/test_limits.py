"""Limits of a turn and of a step: turns, tokens, what tools may say; and replies that are odd but whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from tests.support.agents import USAGE, Bench, asks, says
from vibe_workflows.engine.agents.calls import CALLS_AT_ONCE
from vibe_workflows.engine.agents.outputs import HEAD_CHARS, MAX_OUTPUT_CHARS, MAX_TURN_CHARS, fitted, turn_chars
from vibe_workflows.engine.agents.prompts import SUBMIT_TOOL, last_turn
from vibe_workflows.engine.agents.structured import MAX_REPAIRS
from vibe_workflows.engine.config_keys import KEYS
from vibe_workflows.engine.errors import ProviderError, SchemaMismatch, Truncated, TurnLimit
from vibe_workflows.engine.model import JSON, FinishReason, ModelInfo, Role, ToolSpec
from vibe_workflows.engine.ports import ToolResult

OBJECT: JSON = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
LOOK = asks(("say", '{"chars":3}'))


class Say:
    """A tool that says so many characters, and keeps a list of who ran."""

    group = "read"

    def __init__(self, name: str = "say", *, observes: bool = True) -> None:
        self.spec = ToolSpec(name=name, description="", parameters={})
        self.observes = observes
        self.ran: list[JSON] = []

    def footprint(self, arguments: Mapping[str, JSON]) -> None:
        return None

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        self.ran.append(arguments.get("chars"))
        return ToolResult(text="x" * int(str(arguments.get("chars", 0))), data=None)


def _run(bench: Bench) -> Any:
    return trio.run(bench.advance)


def _results(bench: Bench, number: int) -> list[str]:
    return [message.text for message in bench.seen[number].messages if message.role is Role.TOOL]


# ---------------------------------------------------------------- the last turn


def test_before_its_last_turn_a_model_is_told_so_and_the_row_of_the_call_says_what_it_read() -> None:
    bench = Bench(
        [LOOK, asks(("say", '{"chars":1}'), ("say", '{"chars":2}')), says("found")], tools=(Say(),), max_turns=3
    )
    assert _run(bench).answer == "found"
    note = f"\n\n{last_turn(submit=False)}"
    assert _results(bench, 1) == ["xxx"]
    assert _results(bench, 2) == ["xxx", "x", "xx" + note]
    assert bench.calls[2, 2].output == "xx" + note
    assert [request.tools for request in bench.seen] == [bench.seen[0].tools] * 3  # the provider's cache stays good


@pytest.mark.parametrize("native", [True, False])
def test_the_last_turn_is_told_beside_a_correction_too(native: bool) -> None:
    wrong = says("{}") if native else asks((SUBMIT_TOOL, "{}"))
    right = says('{"n": 1}') if native else asks((SUBMIT_TOOL, '{"n": 1}'))
    bench = Bench([LOOK, wrong, right], tools=(Say(),), max_turns=3, schema=OBJECT, native=native)
    assert _run(bench).answer == {"n": 1}
    assert bench.seen[2].messages[-1].text.endswith(last_turn(submit=not native))
    assert ("submit_answer" in bench.seen[2].messages[-1].text) != native


def test_an_agent_without_tools_is_told_nothing_of_turns() -> None:
    bench = Bench([says("{}"), says('{"n": 1}')], max_turns=2, schema=OBJECT)
    assert _run(bench).answer == {"n": 1}
    assert "turn" not in bench.seen[1].messages[-1].text


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("text", ["", '{"n": 1}'])
def test_tool_calls_in_the_last_turn_are_the_turn_limit_also_with_a_schema_pending(native: bool, text: str) -> None:
    tool = Say()
    bench = Bench([LOOK, replace(LOOK, text=text)], tools=(tool,), max_turns=2, schema=OBJECT, native=native)
    with pytest.raises(TurnLimit, match=r"no answer after 2 turns \(max_turns=2\)"):
        _run(bench)
    assert tool.ran == [3]
    assert sorted(bench.turns) == [1, 2]


def test_a_submission_in_the_last_turn_that_does_not_fit_is_a_mismatch_with_what_came() -> None:
    bench = Bench([LOOK, asks((SUBMIT_TOOL, '{"n": "x"}'))], tools=(Say(),), max_turns=2, schema=OBJECT, native=False)
    with pytest.raises(SchemaMismatch) as raised:
        _run(bench)
    assert raised.value.answer == '{"n": "x"}'
    assert raised.value.corrections == 0
    assert bench.turns[2].outcome == "schema_mismatch"


# ---------------------------------------------------------------- answers that were cut off


def test_tool_calls_that_were_cut_off_are_not_run_and_not_an_answer() -> None:
    tool = Say(observes=False)
    cut = replace(asks(("say", '{"chars":1}'), ("say", '{"cha')), finish=FinishReason.LENGTH)
    bench = Bench([cut], tools=(tool,))
    with pytest.raises(Truncated, match=r"cut off in the middle of a tool call, after 3 tokens \(max_tokens=100\)"):
        _run(bench)
    assert tool.ran == []
    assert bench.calls == {}
    assert bench.turns[1].outcome == "length"


def test_an_answer_that_never_began_tells_of_the_thinking_that_took_its_tokens() -> None:
    usage = replace(USAGE, output_tokens=100, reasoning_tokens=100)
    bench = Bench([replace(says("", FinishReason.LENGTH), usage=usage, thinking=({"thinking": "so"},))])
    with pytest.raises(Truncated, match=r"cut off before it began, with 100 for thinking, after 100 tokens"):
        _run(bench)


def test_where_the_model_gives_less_than_max_tokens_raising_it_is_not_advised() -> None:
    async def main() -> None:
        bench = Bench([says("half", FinishReason.LENGTH)])
        run = await bench.start()
        run.use_model("small", bench.info(max_output_tokens=50))
        await run.advance()

    with pytest.raises(Truncated, match=r"\(small gives at most 50\); choose a model that gives more, or ask for less"):
        trio.run(main)


def test_an_answer_that_is_only_thinking_is_an_empty_one() -> None:
    thought = replace(says(""), thinking=({"thinking": "so"},))
    bench = Bench([thought, says("there")])
    assert _run(bench).answer == "there"
    assert bench.seen[0] == bench.seen[1]
    bench = Bench([thought, thought])
    with pytest.raises(ProviderError, match="nothing, twice"):
        _run(bench)
    assert [turn.outcome for turn in bench.turns.values()] == ["provider_error"] * 2


# ---------------------------------------------------------------- replies that are odd but whole


@pytest.mark.parametrize("schema", [None, OBJECT])
@pytest.mark.parametrize("native", [True, False])
def test_tool_calls_are_run_whatever_the_finish_reason_says_and_the_text_beside_them(
    schema: JSON, native: bool
) -> None:
    tool = Say()
    odd = replace(LOOK, finish=FinishReason.STOP, text='{"n": 1}')
    bench = Bench([odd, says('{"n": 2}')], tools=(tool,), schema=schema, native=native)
    assert _run(bench).answer == ('{"n": 2}' if schema is None else {"n": 2})
    assert tool.ran == [3]
    assert bench.seen[1].messages[-2].text == '{"n": 1}'


def test_of_several_submissions_the_first_that_fits_counts() -> None:
    both = asks((SUBMIT_TOOL, '{"n": "x"}'), (SUBMIT_TOOL, '{"n": 1}'), (SUBMIT_TOOL, '{"n": 2}'))
    bench = Bench([both], schema=OBJECT, native=False)
    assert _run(bench).answer == {"n": 1}


def test_several_submissions_that_do_not_fit_are_one_correction_and_each_gets_its_result() -> None:
    both = asks((SUBMIT_TOOL, '{"n": "x"}'), (SUBMIT_TOOL, "no json"))
    bench = Bench([both, both, asks((SUBMIT_TOOL, '{"n": 1}'))], schema=OBJECT, native=False)
    assert _run(bench).answer == {"n": 1}
    first, second = _results(bench, 1)
    assert "'x' is not of type 'integer'" in first
    assert "not a JSON object" in second


def test_a_reply_of_nothing_but_broken_calls_is_answered_call_by_call() -> None:
    bench = Bench([asks(("say", "{"), ("nothing", "{}"), ("", "")), says("sorry")], tools=(Say(),))
    assert _run(bench).answer == "sorry"
    broken, unknown, nameless = _results(bench, 1)
    assert "not a JSON object" in broken
    assert "no tool `nothing`. There are: say." in unknown
    assert "no tool ``" in nameless


def test_a_tool_that_does_not_observe_waits_for_what_stands_before_it_and_holds_up_what_comes_after() -> None:
    log: list[str] = []

    class Slow(Say):
        async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
            log.append(f"{arguments['n']} starts")
            await trio.sleep(float(str(arguments["s"])))
            log.append(f"{arguments['n']} ends")
            return ToolResult(text=str(arguments["n"]), data=None)

    work = [("look", 1, 9), ("look", 2, 1), ("edit", 3, 5), ("look", 4, 1), ("nothing", 5, 1), ("look", 6, 1)]
    request = asks(*((name, f'{{"n":{n},"s":{s}}}') for name, n, s in work))
    bench = Bench([request, says("done")], tools=(Slow("look"), Slow("edit", observes=False)))
    trio.run(bench.advance, clock=trio.testing.MockClock(autojump_threshold=0))
    assert set(log[:2]) == {"1 starts", "2 starts"}
    assert log[2:6] == ["2 ends", "1 ends", "3 starts", "3 ends"]
    assert set(log[6:8]) == {"4 starts", "6 starts"}
    assert [text[:1] for text in _results(bench, 1)] == ["1", "2", "3", "4", "E", "6"]


# ---------------------------------------------------------------- what tools may say


def test_an_output_is_cut_where_it_is_too_long_and_the_model_and_the_row_read_the_same() -> None:
    bench = Bench([asks(("say", '{"chars":60000}')), says("done")], tools=(Say(),))
    _run(bench)
    (text,) = _results(bench, 1)
    assert text == bench.calls[1, 1].output
    assert text.startswith("x" * MAX_OUTPUT_CHARS + "\n[cut: 10,000 of 60,000 characters were left out")
    assert text.endswith("Ask for a part of it.]")


def test_a_model_that_asks_for_fifty_files_at_once_reads_the_first_ones_whole_and_the_heads_of_others() -> None:
    wanted = [("say", '{"chars":30000}')] * 50 + [("say", '{"chars":5}')]
    bench = Bench([asks(*wanted), says("done")], tools=(Say(),))
    _run(bench)
    texts = _results(bench, 1)
    assert [len(text) for text in texts[:6]] == [30_000] * 6
    assert all(HEAD_CHARS < len(text) < HEAD_CHARS + 300 for text in texts[6:10])
    assert "Call the tool again in a message of its own." in texts[6]
    assert texts[-1] == "xxxxx"
    assert sum(map(len, texts)) < MAX_TURN_CHARS + 50 * 300


def test_with_a_small_window_one_message_of_results_takes_a_quarter_of_it_at_most() -> None:
    info = ModelInfo(input_price=None, output_price=None, max_input_tokens=8_000)
    assert turn_chars(info) == 7_000
    assert turn_chars(replace(info, max_input_tokens=None)) == MAX_TURN_CHARS
    assert turn_chars(replace(info, max_input_tokens=10**6)) == MAX_TURN_CHARS
    bench = Bench([asks(("say", '{"chars":9000}')), says("done")], tools=(Say(),), window=8_000)
    _run(bench)
    assert "one result holds at most 7,000" in _results(bench, 1)[0]


def test_hundreds_of_long_outputs_leave_a_note_each_at_most() -> None:
    texts = fitted(["line\n" * 1_000] * 500, 10_000)
    assert texts[:2] == ["line\n" * 1_000] * 2
    assert all(text.startswith("[cut: 5,000 of 5,000") for text in texts[2:])
    assert sum(map(len, texts)) < 10_000 + 500 * 250


def test_the_page_for_users_tells_the_limits_as_they_are() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "agents.md").read_text()
    assert f"| output of one tool call | {MAX_OUTPUT_CHARS:,} characters" in page
    assert f"| outputs of one reply together | {MAX_TURN_CHARS:,} characters" in page
    assert f"of the others the first {HEAD_CHARS} characters" in page
    assert f"| corrections of an answer that does not fit | {MAX_REPAIRS} |" in page
    assert f"| reading tools at the same time, of one reply | {CALLS_AT_ONCE} |" in page
    for key, default in (("max_turns", 30), ("max_tokens", 16_384), ("retries", 2), ("timeout", 600)):
        assert KEYS[key].default == default
        assert f"| {default:,} " in next(line for line in page.splitlines() if f"config `{key}`" in line)
