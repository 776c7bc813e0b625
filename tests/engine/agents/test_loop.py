"""The turn loop: what a reply leads to, and that every failure has its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from tests.support.agents import USAGE, Bench, asks, read_messages, says
from tests.support.projects import Project
from vibe_workflows.engine.agents.calls import CALLS_AT_ONCE
from vibe_workflows.engine.agents.prompts import SUBMIT_TOOL, default_system_text
from vibe_workflows.engine.agents.task import AgentOutcome
from vibe_workflows.engine.errors import (
    AgentError,
    BudgetExceeded,
    ProviderError,
    RateLimited,
    Refused,
    SchemaMismatch,
    StoreError,
    ToolDenied,
    ToolFailed,
    Truncated,
    TurnLimit,
)
from vibe_workflows.engine.model import (
    AGENT_CALL,
    JSON,
    FinishReason,
    ModelReply,
    Observation,
    Role,
    StepId,
    ToolCall,
    ToolRequest,
    ToolSpec,
)
from vibe_workflows.engine.ports import ToolResult

OBJECT: JSON = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
NUMBERS: JSON = {"type": "array", "items": {"type": "integer"}}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("a.txt", "alpha\n")
    project.write("b.txt", "beta\n")
    return project


def _run(bench: Bench) -> Any:
    return trio.run(bench.advance)


class Probe:
    """A tool that tells when it starts and ends, and waits in between."""

    def __init__(self, name: str, log: list[str], *, observes: bool = True, error: Exception | None = None) -> None:
        self.spec = ToolSpec(name=name, description="", parameters={})
        self.group = "read" if observes else "write"
        self.observes = observes
        self._log = log
        self._error = error

    def footprint(self, arguments: Mapping[str, JSON]) -> None:
        return None

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        self._log.append(f"{self.spec.name}{arguments['n']} starts")
        await trio.sleep(10 - float(str(arguments["n"])))  # the later asked, the sooner done
        self._log.append(f"{self.spec.name}{arguments['n']} ends")
        if self._error is not None:
            raise self._error
        return ToolResult(text=f"{self.spec.name} {arguments['n']}", data=None)


def _fast(bench: Bench) -> Any:
    return trio.run(bench.advance, clock=trio.testing.MockClock(autojump_threshold=0))


# ---------------------------------------------------------------- what is sent


def test_an_answer_without_tools_is_one_turn_that_the_caller_records() -> None:
    bench = Bench([says("the answer")], context="shared context")
    outcome = _run(bench)
    assert outcome.answer == "the answer"
    assert (outcome.turns, outcome.observations, outcome.usage) == (1, (), USAGE)
    assert bench.turns == {}
    turn = outcome.last_turn
    assert (turn.number, turn.attempt, turn.model, turn.outcome, turn.error) == (1, 1, "asked-model", "stop", "")
    assert (turn.started_at, turn.finished_at) == (1, 2)
    assert turn.output == '{"role":"assistant","text":"the answer"}'
    (request,) = bench.seen
    assert [(message.role, message.text) for message in request.messages] == [
        (Role.SYSTEM, "system"),
        (Role.USER, "shared context\n\ndo it"),
    ]
    assert read_messages(turn.input) == list(request.messages)
    assert (request.model, request.max_tokens, request.timeout_s) == ("asked-model", 100, 60)
    assert (request.temperature, request.effort, request.tools, request.schema) == (0.5, "low", (), None)


def test_an_empty_system_text_sends_no_system_message() -> None:
    bench = Bench([says("x")], system="")
    _run(bench)
    assert [message.role for message in bench.seen[0].messages] == [Role.USER]


def test_the_default_system_text_speaks_of_tools_and_schemas_only_where_there_are_some(project: Project) -> None:
    tools = project.tools.select(["read"])
    plain = default_system_text((), None)
    assert "tool" not in plain
    assert "JSON" not in plain
    assert default_system_text(tools, None).startswith(plain)
    assert SUBMIT_TOOL in default_system_text((), OBJECT)
    assert default_system_text(tools, OBJECT) == default_system_text(tools[:1], NUMBERS)


# ---------------------------------------------------------------- tools


def test_results_come_back_in_the_order_of_the_requests_and_are_recorded(project: Project) -> None:
    bench = Bench(
        [
            asks(("read_file", '{"path":"b.txt"}'), ("glob", '{"pattern":"*"}'), ("read_file", '{"path":"a.txt"}')),
            says("done"),
        ],
        tools=project.tools.select(["read"]),
    )
    outcome = _run(bench)
    assert bench.log == ["reply 1", "turn 1", "tools 1", "reply 2"]
    assistant, *results = bench.seen[1].messages[2:]
    assert [request.id for request in assistant.tool_requests] == ["id1", "id2", "id3"]
    assert [(message.role, message.tool_call_id) for message in results] == [
        (Role.TOOL, "id1"),
        (Role.TOOL, "id2"),
        (Role.TOOL, "id3"),
    ]
    assert "beta" in results[0].text
    assert results[1].text == "a.txt\nb.txt"
    calls = [bench.calls[1, number] for number in (1, 2, 3)]
    assert [call.output for call in calls] == [message.text for message in results]
    assert [call.outcome for call in calls] == ["ok"] * 3
    assert outcome.observations == tuple(seen for call in calls for seen in call.observations)
    assert outcome.turns == 2
    assert outcome.usage == USAGE + USAGE


def test_tools_that_only_observe_run_at_the_same_time_and_others_alone_and_in_order() -> None:
    log: list[str] = []
    tools = (Probe("read", log), Probe("edit", log, observes=False))
    names = ["read", "read", "edit", "edit", "read", "read"]
    bench = Bench([asks(*((name, f'{{"n":{n}}}') for n, name in enumerate(names))), says("done")], tools=tools)
    _fast(bench)
    assert {*log[:2]} == {"read0 starts", "read1 starts"}
    assert log[2:8] == ["read1 ends", "read0 ends", "edit2 starts", "edit2 ends", "edit3 starts", "edit3 ends"]
    assert {*log[8:10]} == {"read4 starts", "read5 starts"}
    assert log[10:] == ["read5 ends", "read4 ends"]
    assert [message.text for message in bench.seen[1].messages[-6:]] == [f"{name} {n}" for n, name in enumerate(names)]
    assert [not bench.calls[1, number].observations for number in range(1, 7)] == [name == "edit" for name in names]


def test_a_model_that_asks_for_hundreds_of_calls_gets_them_a_few_at_a_time() -> None:
    most = running = 0

    class Counting(Probe):
        async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
            nonlocal most, running
            running += 1
            most = max(most, running)
            await trio.sleep(1)
            running -= 1
            return ToolResult(text="", data=None)

    bench = Bench([asks(*(("c", "{}") for _ in range(100))), says("done")], tools=(Counting("c", []),))
    _fast(bench)
    assert most == CALLS_AT_ONCE
    assert len(bench.calls) == 100


@pytest.mark.parametrize(
    ("name", "arguments", "outcome", "text", "observed"),
    [
        ("gerp", "{}", "error", "there is no tool `gerp`. There are: read_file, list_files, glob, grep", False),
        ("read_file", '{"path": ', "error", "not a JSON object", False),
        ("read_file", "[1]", "error", "not a JSON object", False),
        ("read_file", '{"n": NaN}', "error", "not a JSON object", False),
        ("read_file", "[" * 100_000, "error", "nested too deeply", False),
        ("read_file", "", "error", "`path` is missing", False),
        ("read_file", '{"file":"a"}', "error", "it takes path, start, end", False),
        ("read_file", '{"path":"none"}', "error", "Error: none: no such file", True),
        ("read_file", '{"path":"../x"}', "denied", "Denied: ../x", True),
        ("list_files", "", "ok", "a.txt", True),
    ],
)
def test_a_call_that_goes_wrong_is_told_to_the_model_and_the_loop_goes_on(
    project: Project, name: str, arguments: str, outcome: str, text: str, observed: bool
) -> None:
    bench = Bench([asks((name, arguments)), says("done")], tools=project.tools.select(["read"]))
    result = _run(bench)
    call = bench.calls[1, 1]
    assert (call.name, call.arguments, call.outcome) == (name, arguments, outcome)
    assert text in call.output
    assert bench.seen[1].messages[-1].text == call.output
    assert bool(call.observations) == observed
    assert len(result.observations) == observed


@pytest.mark.parametrize("together", [1, 3])
def test_an_error_that_is_no_tools_failure_ends_the_run_bare_and_stops_the_other_calls(together: int) -> None:
    log: list[str] = []
    tools = (Probe("bad", log, error=StoreError("disk full")), Probe("good", log))
    requests = [("good", '{"n":0}')] * (together - 1) + [("bad", '{"n":9}')]
    bench = Bench([asks(*requests), says("done")], tools=tools)
    with pytest.raises(StoreError, match="disk full"):
        _fast(bench)
    assert "good0 ends" not in log


@pytest.mark.parametrize("error", [ToolFailed("x"), ToolDenied("y")])
def test_a_tool_that_fails_and_does_not_observe_leaves_no_observation(error: AgentError) -> None:
    bench = Bench([asks(("t", '{"n":1}')), says("ok")], tools=(Probe("t", [], observes=False, error=error),))
    assert _fast(bench).observations == ()


def test_the_same_look_twice_is_one_observation_and_a_changed_one_two(project: Project) -> None:
    same = ("read_file", '{"path":"a.txt"}')

    async def edit(event: str) -> None:
        if event == "turn" and 2 in bench.turns:
            project.write("a.txt", "changed\n")

    bench = Bench([asks(same, same), asks(same), says("done")], tools=project.tools.select(["read"]), at=edit)
    first, second = _run(bench).observations
    assert first.arguments == second.arguments
    assert first.digest != second.digest


def test_ids_that_are_missing_or_repeated_are_made_unique(project: Project) -> None:
    request = ToolRequest(id="same", name="list_files", arguments="{}")
    reply = replace(asks(), tool_requests=(request, request, replace(request, id=""), replace(request, id="own")))
    bench = Bench([reply, says("done")], tools=project.tools.select(["read"]))
    _run(bench)
    assistant, *results = bench.seen[1].messages[-5:]
    ids = [message.tool_call_id for message in results]
    assert ids == ["call_1_1", "call_1_2", "call_1_3", "own"]
    assert [request.id for request in assistant.tool_requests] == ids


def test_half_a_surrogate_pair_from_a_provider_harms_nothing() -> None:
    bench = Bench([asks(("no\ud800", '"\udfff')), says("cut \ud83d")])
    outcome = _run(bench)
    assert outcome.answer == "cut ?"
    assert bench.calls[1, 1].name == "no?"


# ---------------------------------------------------------------- how it ends without an answer


@pytest.mark.parametrize(
    ("finish", "error", "words"),
    [
        (FinishReason.LENGTH, Truncated, "cut off .*after 3 tokens .max_tokens=100.; raise max_tokens="),
        (FinishReason.CONTENT_FILTER, Refused, "content filter"),
    ],
)
@pytest.mark.parametrize("schema", [None, OBJECT])
@pytest.mark.parametrize("native", [True, False])
def test_a_cut_off_or_filtered_reply_is_an_error_even_if_it_could_be_taken_for_an_answer(
    finish: FinishReason, error: type[AgentError], words: str, schema: JSON, native: bool
) -> None:
    for reply in (says('{"n": 1}', finish), replace(asks((SUBMIT_TOOL, '{"n": 1}')), finish=finish)):
        bench = Bench([reply], schema=schema, native=native)
        with pytest.raises(error, match=words) as raised:
            _run(bench)
        assert not raised.value.retryable
        assert bench.turns[1].outcome == finish.value
        assert bench.turns[1].error == raised.value.message
        assert bench.calls == {}


def test_an_empty_reply_gets_one_more_try_with_the_same_messages() -> None:
    bench = Bench([says(" \n"), says("there")])
    outcome = _run(bench)
    assert outcome.answer == "there"
    assert bench.seen[0] == bench.seen[1]
    assert (bench.turns[1].outcome, bench.turns[1].error) == ("provider_error", "empty answer")
    assert outcome.last_turn.input == "[]"


def test_two_empty_replies_in_a_row_are_a_provider_error_that_may_be_retried(project: Project) -> None:
    look = asks(("list_files", "{}"))
    tools = project.tools.select(["read"])
    bench = Bench([says(""), look, says(""), says(""), says(""), says("at last")], tools=tools)
    with pytest.raises(ProviderError) as raised:
        _run(bench)
    assert raised.value.retryable
    assert len(bench.seen) == 4
    assert _run(bench).answer == "at last"


def test_the_turn_limit_counts_every_turn_and_runs_no_tool_in_vain(project: Project) -> None:
    look = asks(("list_files", "{}"))
    bench = Bench([look, look, look], tools=project.tools.select(["read"]), max_turns=2)
    for _ in range(2):
        with pytest.raises(TurnLimit, match=r"no answer after 2 turns \(max_turns=2\); raise max_turns="):
            _run(bench)
    assert len(bench.seen) == 2
    assert sorted(bench.turns) == [1, 2]
    assert sorted(bench.calls) == [(1, 1)]


def test_the_last_turn_may_still_answer(project: Project) -> None:
    bench = Bench([asks(("list_files", "{}")), says("x")], tools=project.tools.select(["read"]), max_turns=2)
    assert _run(bench).turns == 2


@pytest.mark.parametrize(
    "error",
    [RateLimited("slow down"), BudgetExceeded("no tokens left", scope="run", unit="tokens", needed=2, left=1)],
)
def test_an_error_of_a_call_leaves_no_turn_and_the_next_attempt_goes_on_from_there(
    project: Project, error: Exception
) -> None:
    bench = Bench(
        [asks(("list_files", "{}")), error, says("done")],
        tools=project.tools.select(["read"]),
    )
    with pytest.raises(type(error)):
        _run(bench)
    assert bench.run is not None
    assert (bench.run.turns, bench.run.usage, len(bench.run.observations)) == (1, USAGE, 1)
    bench.run.attempt = 2
    outcome = _run(bench)
    assert (outcome.turns, outcome.last_turn.number, outcome.last_turn.attempt) == (2, 2, 2)
    assert bench.seen[1] == bench.seen[2]
    assert bench.log == ["reply 1", "turn 1", "tools 1", "raised", "reply 2"]


def test_a_run_cancelled_while_its_tools_run_takes_them_again_and_records_the_turn_once() -> None:
    log: list[str] = []
    bench = Bench([asks(("t", '{"n":1}')), says("done")], tools=(Probe("t", log),))

    async def main() -> Any:
        with trio.move_on_after(1):
            await bench.advance()
        return await bench.advance()

    outcome = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert outcome.answer == "done"
    assert log == ["t1 starts", "t1 starts", "t1 ends"]
    assert bench.log == ["reply 1", "turn 1", "tools 1", "reply 2"]


# ---------------------------------------------------------------- answers in a schema


def test_in_native_mode_the_schema_goes_with_the_request_and_the_text_is_the_answer(project: Project) -> None:
    bench = Bench([says('{"n": 1}')], schema=OBJECT, tools=project.tools.select(["glob"]))
    assert _run(bench).answer == {"n": 1}
    assert bench.seen[0].schema == OBJECT
    assert [tool.name for tool in bench.seen[0].tools] == ["glob"]


def test_without_native_mode_a_submit_tool_takes_the_answer(project: Project) -> None:
    bench = Bench([asks((SUBMIT_TOOL, '{"n": 1}'))], schema=OBJECT, native=False, tools=project.tools.select(["glob"]))
    outcome = _run(bench)
    assert outcome.answer == {"n": 1}
    assert outcome.last_turn.outcome == "tool_calls"
    assert bench.seen[0].schema is None
    assert [tool.name for tool in bench.seen[0].tools] == ["glob", SUBMIT_TOOL]
    assert bench.seen[0].tools[1].parameters == OBJECT
    assert bench.turns == {}


def test_a_submission_that_nobody_asked_for_is_an_answer_or_goes_on_with_the_submit_tool() -> None:
    """No row tells what a model was asked: who takes the conversation up would take it for one."""
    assert _run(Bench([asks((SUBMIT_TOOL, '{"n": 1}'))], schema=OBJECT)).answer == {"n": 1}
    bench = Bench([asks((SUBMIT_TOOL, '{"n": "x"}')), says("It is 7."), says('{"n": 7}')], schema=OBJECT)
    assert _run(bench).answer == {"n": 7}
    assert "n: 'x' is not of type 'integer'" in bench.seen[1].messages[-1].text
    assert [(request.schema is None, len(request.tools)) for request in bench.seen] == [
        (False, 0),
        (True, 1),
        (True, 1),
    ]
    assert SUBMIT_TOOL in bench.seen[2].messages[-1].text


def test_a_submission_is_none_where_no_schema_was_given() -> None:
    bench = Bench([asks((SUBMIT_TOOL, '{"n": 1}')), says("done")])
    assert _run(bench).answer == "done"
    assert bench.calls[1, 1].outcome == "error"


def test_a_valid_submission_ends_the_loop_and_other_calls_beside_it_are_not_run(project: Project) -> None:
    bench = Bench(
        [asks(("list_files", "{}"), (SUBMIT_TOOL, "[]"), (SUBMIT_TOOL, '{"value": [1, 2]}'))],
        schema=NUMBERS,
        native=False,
        tools=project.tools.select(["read"]),
    )
    assert _run(bench).answer == [1, 2]
    assert bench.calls == {}


def test_problems_go_back_to_the_model_at_most_twice_in_native_mode() -> None:
    bench = Bench([says("sorry"), says('{"n": "x"}'), says('{"n": 3}')], schema=OBJECT)
    assert _run(bench).answer == {"n": 3}
    assert "not JSON" in bench.seen[1].messages[-1].text
    assert bench.seen[1].messages[-1].role is Role.USER
    assert "n: 'x' is not of type 'integer'" in bench.seen[2].messages[-1].text
    assert "n: 'x'" in bench.turns[2].error
    assert bench.turns[2].outcome == "stop"

    bench = Bench([says("one"), says("two"), says('{"n": "three"}'), says('{"n": 4}')], schema=OBJECT)
    with pytest.raises(SchemaMismatch, match=r"after 2 corrections: n: 'three' .*; it was: ..n.: .three"):
        _run(bench)
    assert sorted(bench.turns) == [1, 2, 3]


def test_problems_of_a_submission_are_the_result_of_its_call(project: Project) -> None:
    bench = Bench(
        [
            asks((SUBMIT_TOOL, '{"value": ["a"]}'), ("list_files", "{}")),
            asks((SUBMIT_TOOL, "no json")),
            asks((SUBMIT_TOOL, '{"value": [5]}')),
        ],
        schema=NUMBERS,
        native=False,
        tools=project.tools.select(["read"]),
    )
    assert _run(bench).answer == [5]
    bad, listed = bench.seen[1].messages[-2:]
    assert (bad.role, bad.tool_call_id) == (Role.TOOL, "id1")
    assert "value[0]: 'a' is not of type 'integer'" in bad.text
    assert listed.text == "a.txt\nb.txt"
    assert (bench.calls[1, 1].name, bench.calls[1, 1].outcome) == (SUBMIT_TOOL, "error")
    assert "value[0]" in bench.turns[1].error
    assert "not a JSON object" in bench.seen[2].messages[-1].text


def test_submissions_that_never_fit_end_in_a_schema_mismatch() -> None:
    bad = asks((SUBMIT_TOOL, '{"n": "x"}'))
    bench = Bench([bad, bad, bad], schema=OBJECT, native=False)
    with pytest.raises(SchemaMismatch, match="after 2 corrections"):
        _run(bench)
    assert sorted(bench.turns) == [1, 2, 3]


def test_a_text_instead_of_a_submission_counts_if_it_fits_and_is_sent_back_otherwise() -> None:
    assert _run(Bench([says("```json\n[1]\n```")], schema=NUMBERS, native=False)).answer == [1]
    bench = Bench([says("It is 7."), asks((SUBMIT_TOOL, '{"value": [7]}'))], schema=NUMBERS, native=False)
    assert _run(bench).answer == [7]
    assert SUBMIT_TOOL in bench.seen[1].messages[-1].text


def test_without_a_turn_left_for_a_correction_the_mismatch_says_so() -> None:
    bench = Bench([says("x"), says("y")], schema=OBJECT, max_turns=1)
    with pytest.raises(SchemaMismatch, match="max_turns leaves no turn"):
        _run(bench)
    assert len(bench.seen) == 1


def test_a_tool_named_like_the_submit_tool_is_unknown_in_a_text_task() -> None:
    bench = Bench([asks((SUBMIT_TOOL, "{}")), says("text")])
    assert _run(bench).answer == "text"
    assert "there is no tool" in bench.calls[1, 1].output


def test_usage_that_a_caller_left_out_counts_as_none() -> None:
    bench = Bench([ModelReply(text="x", finish=FinishReason.STOP, usage=None)])
    assert _run(bench).usage.tokens == 0


def test_a_turn_of_a_program_counts_with_the_call_of_its_work_and_without_it_is_made_again() -> None:
    first = Bench([says("one")], works_alone=True)
    work = ToolCall(
        step_id=StepId("s1"),
        turn=1,
        number=0,
        call_id=AGENT_CALL,
        name="codex",
        arguments="{}",
        output="",
        outcome="ok",
        started_at=1,
        finished_at=2,
        observations=(Observation(tool="file_tree", arguments="{}", digest="all", epoch=1),),
    )

    async def with_work(event: str) -> None:
        if event == "call":
            assert first.run is not None
            first.run.worked(work)

    first.at = with_work

    async def go_on(bench: Bench, *kept: ToolCall) -> AgentOutcome:
        run = await bench.start()
        run.go_on([first.turns[1]], [seen for call in kept for seen in call.observations], kept)
        return await run.advance()

    whole = _run(first)
    assert first.log == ["reply 1", "turn 1", "tools 1"], "its work belongs to the turn, and is recorded with it"
    assert (first.calls, whole.observations) == ({(1, 0): work}, work.observations)
    done, undone = Bench([], works_alone=True), Bench([says("two")], works_alone=True)
    assert trio.run(go_on, done, work).answer == "one"
    outcome = trio.run(go_on, undone)
    assert (outcome.answer, outcome.turns) == ("two", 2)
    assert undone.seen[0].messages == first.seen[0].messages
