"""Another model goes on with a conversation: how it is asked for its answer, and whose thinking it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from msgspec.structs import replace

from tests.support.agents import Bench, asks, read_messages, says, sent_at, transcript
from tests.support.projects import Project
from vibe_workflows.engine.agents.prompts import SUBMIT_TOOL
from vibe_workflows.engine.errors import AgentError, ProviderError, RateLimited, Refused, SchemaMismatch, Truncated
from vibe_workflows.engine.model import JSON, FinishReason, Message, ModelReply, ModelRequest, Role

OBJECT: JSON = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
DOWN = ProviderError("down", retryable=True)
THOUGHT: dict[str, object] = {"type": "thinking", "thinking": "hm", "signature": "of the first"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("a.txt", "alpha\n")
    return project


def _switching(bench: Bench, *models: tuple[str, bool]) -> Any:
    """Run to the end, with another model, native or not, after each error."""

    async def main() -> Any:
        run = await bench.start()
        for model, native in models:
            with pytest.raises(AgentError) as raised:
                await run.advance()
            bench.errors.append(raised.value)
            run.use_model(model, bench.info(native_schema=native))
        return await run.advance()

    return trio.run(main)


def _texts(request: ModelRequest) -> list[str]:
    return [message.text for message in request.messages]


def _asked(bench: Bench) -> list[tuple[str, bool, bool]]:
    """Model, native schema, submit tool, of each request."""
    return [
        (request.model, request.schema is not None, SUBMIT_TOOL in [tool.name for tool in request.tools])
        for request in bench.seen
    ]


def test_from_a_native_schema_to_the_submit_tool(project: Project) -> None:
    bench = Bench(
        [asks(("list_files", "{}")), says('{"n": "x"}'), DOWN, says("It is 4."), asks((SUBMIT_TOOL, '{"n": 4}'))],
        schema=OBJECT,
        tools=project.tools.select(["read"]),
    )
    outcome = _switching(bench, ("second", False))
    assert outcome.answer == {"n": 4}
    assert _asked(bench) == [("asked-model", True, False)] * 3 + [("second", False, True)] * 2
    assert _texts(bench.seen[3]) == _texts(bench.seen[2])  # the conversation as it stands
    assert SUBMIT_TOOL in bench.seen[4].messages[-1].text
    assert [turn.model for turn in bench.turns.values()] == ["asked-model", "asked-model", "second"]
    assert outcome.last_turn.model == "second"


def test_from_the_submit_tool_to_a_native_schema_before_anything_was_submitted(project: Project) -> None:
    bench = Bench(
        [asks(("list_files", "{}")), DOWN, says('{"n": 4}')],
        schema=OBJECT,
        native=False,
        tools=project.tools.select(["read"]),
    )
    assert _switching(bench, ("second", True)).answer == {"n": 4}
    assert _asked(bench) == [("asked-model", False, True)] * 2 + [("second", True, False)]


def test_a_conversation_that_submitted_once_goes_on_so_with_a_native_model() -> None:
    bench = Bench(
        [asks((SUBMIT_TOOL, '{"n": "x"}')), DOWN, asks((SUBMIT_TOOL, '{"n": 4}'))], schema=OBJECT, native=False
    )
    assert _switching(bench, ("second", True)).answer == {"n": 4}
    assert _asked(bench)[-1] == ("second", False, True)


def test_a_native_mode_that_does_not_go_with_tools_is_not_used_beside_them(project: Project) -> None:
    async def main(*tools: str) -> Any:
        bench = Bench([says("{}"), asks((SUBMIT_TOOL, '{"n": 1}'))], schema=OBJECT, tools=project.tools.select(tools))
        run = await bench.start()
        run.use_model("gemini", bench.info(schema_beside_tools=False))
        await run.advance()
        return _asked(bench)

    assert trio.run(main, "glob") == [("gemini", False, True)] * 2
    bench = Bench([says('{"n": 1}')], schema=OBJECT)
    trio.run(bench.advance)
    assert _asked(bench) == [("asked-model", True, False)]


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([says('{"n": 1}', FinishReason.LENGTH)], Truncated),
        ([says('{"n": 1}', FinishReason.CONTENT_FILTER)], Refused),
        ([says("a"), says("b"), says("c")], SchemaMismatch),
    ],
)
def test_an_answer_that_failed_for_good_is_not_shown_to_the_next_model(
    replies: list[ModelReply], error: type[AgentError]
) -> None:
    bench = Bench([*replies, says("d"), says("e"), says('{"n": 4}')], schema=OBJECT)
    outcome = _switching(bench, ("second", True))
    assert outcome.answer == {"n": 4}  # it has two corrections of its own
    assert type(bench.errors[0]) is error
    assert bench.seen[len(replies)].messages == bench.seen[len(replies) - 1].messages
    turns = list(bench.turns.values())
    for number, request in enumerate(bench.seen[:-1]):
        assert sent_at(turns[:number], turns[number]) == list(request.messages)


def _thinking(request: ModelRequest) -> list[tuple[dict[str, object], ...]]:
    return [message.thinking for message in request.messages if message.role is Role.ASSISTANT]


def test_thinking_goes_back_to_the_model_that_did_it_and_to_no_other(project: Project) -> None:
    look = asks(("list_files", "{}"))
    mine = {"type": "thinking", "thinking": "I", "signature": "of the second"}
    bench = Bench(
        [
            replace(look, thinking=(THOUGHT,)),
            replace(look, thinking=(THOUGHT, {"more": [1]})),
            DOWN,
            replace(look, thinking=(mine,)),
            RateLimited("wait"),
            says("done"),
        ],
        tools=project.tools.select(["read"]),
    )
    outcome = _switching(bench, ("second", True), ("asked-model", True))
    assert outcome.answer == "done"
    both = (THOUGHT, {"more": [1]})
    assert [_thinking(request) for request in bench.seen] == [
        [],
        [(THOUGHT,)],
        [(THOUGHT,), both],
        [(), ()],
        [(), (), (mine,)],
        [(THOUGHT,), both, ()],
    ]
    turns = list(bench.turns.values())
    assert [message.thinking for message in transcript(turns) if message.role is Role.ASSISTANT] == [
        (THOUGHT,),
        both,
        (mine,),
    ]
    assert sent_at(turns, outcome.last_turn) == list(bench.seen[-1].messages)


def _ids(request: ModelRequest) -> list[str | None]:
    """Of calls and of results, in order."""
    ids: list[str | None] = []
    for message in request.messages:
        ids += [call.id for call in message.tool_requests]
        ids += [message.tool_call_id] if message.role is Role.TOOL else []
    return ids


def test_calls_of_another_model_get_ids_that_every_provider_takes(project: Project) -> None:
    two = asks(("list_files", "{}"), ("glob", '{"pattern":"*"}'))
    bench = Bench(
        [two, asks(("list_files", "{}")), DOWN, two, DOWN, says("done")], tools=project.tools.select(["read"])
    )
    outcome = _switching(bench, ("second", True), ("asked-model", True))
    first, own = ["id1", "id2", "id1", "id2"], ["id1", "id1"]
    assert _ids(bench.seen[2]) == first + own
    assert _ids(bench.seen[3]) == ["call00001", "call00002"] * 2 + ["call00003"] * 2
    assert _ids(bench.seen[4]) == _ids(bench.seen[3]) + first
    assert _ids(bench.seen[5]) == first + own + ["call00004", "call00005"] * 2
    assert [call.call_id for call in bench.calls.values()] == ["id1", "id2", "id1", "id1", "id2"]
    assert sent_at(list(bench.turns.values()), outcome.last_turn) == list(bench.seen[5].messages)


def test_another_model_may_take_over_while_tools_still_run(project: Project) -> None:
    async def main() -> Any:
        run = await bench.start()
        with trio.CancelScope() as scope:

            async def cut(event: str) -> None:
                if event == "tools":
                    scope.cancel()
                    await trio.lowlevel.checkpoint()

            bench.at = cut
            await run.advance()
        run.use_model("second", bench.info())
        return await run.advance()

    thought = replace(asks(("list_files", "{}")), thinking=(THOUGHT,))
    bench = Bench([thought, says("done")], tools=project.tools.select(["read"]))
    outcome = trio.run(main)
    assert (_ids(bench.seen[1]), _thinking(bench.seen[1])) == (["call00001"] * 2, [()])
    assert [turn.model for turn in bench.turns.values()] == ["asked-model"]
    assert sent_at(list(bench.turns.values()), outcome.last_turn) == list(bench.seen[1].messages)


def test_an_answer_that_is_to_be_corrected_takes_its_thinking_along() -> None:
    for native in (True, False):
        first = says("no") if native else asks((SUBMIT_TOOL, "{}"))
        bench = Bench([replace(first, thinking=(THOUGHT,)), says('{"n": 1}')], schema=OBJECT, native=native)
        trio.run(bench.advance)
        assert _thinking(bench.seen[1]) == [(THOUGHT,)]


def test_an_answer_that_is_dropped_takes_its_thinking_with_it_and_the_trace_keeps_it() -> None:
    empty = replace(says(""), thinking=(THOUGHT,))
    cut = replace(says("half", FinishReason.LENGTH), thinking=(THOUGHT,))
    bench = Bench([empty, cut, says("whole")])
    outcome = _switching(bench, ("second", True))
    assert outcome.answer == "whole"
    assert [_thinking(request) for request in bench.seen] == [[], [], []]
    kept = [msgspec.json.decode(turn.output, type=Message).thinking for turn in bench.turns.values()]
    assert kept == [(THOUGHT,), (THOUGHT,)]
    assert read_messages(outcome.last_turn.input) == []


def test_a_thought_that_no_store_takes_is_set_right() -> None:
    block: dict[str, object] = {"thinking": "cut \ud83d", "deep": [{"a": "\udc00"}], "n": 1.5}
    bench = Bench([replace(says("text"), thinking=(block, THOUGHT))])
    outcome = trio.run(bench.advance)
    assert '"thinking":[{"thinking":"cut ?","deep":[{"a":"?"}],"n":1.5},{' in outcome.last_turn.output


def test_a_shortened_conversation_stays_so_for_the_next_model(project: Project) -> None:
    look = asks(("read_file", '{"path":"big.txt"}'))
    project.write("big.txt", "".join(f"line {number} of many\n" for number in range(400)))
    bench = Bench([look, look, DOWN, says("done")], tools=project.tools.select(["read_file"]), limit=4_500)
    outcome = _switching(bench, ("second", True))
    assert [each.outputs for each in bench.shortened] == [1]
    assert _texts(bench.seen[-1]) == _texts(bench.seen[-2])
    assert [place.message for place in outcome.last_turn.shortened] == [3]
