"""A step that was cut off goes on where its finished turns left it, if what they saw holds now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.whole_runs import RunProject, body, new_project, prompt_of
from vibe_workflows.engine.errors import ExitCode, ProviderError, Refused
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, Role, ToolRequest, Usage
from vibe_workflows.engine.store.reader import open_reader

USAGE = Usage(input_tokens=1000, output_tokens=10, cost_microusd=5)
READER = body("return await agent('Read all four', tools=['read'], retries=0)")
FILES = ("a.txt", "b.txt", "c.txt", "d.txt")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    return new_project(tmp_path, monkeypatch)


def turns_made(request: ModelRequest) -> int:
    return sum(message.role is Role.ASSISTANT for message in request.messages)


def asks_for(turn: int, name: str, **arguments: str) -> ModelReply:
    call = ToolRequest(id=f"c{turn}", name=name, arguments=json.dumps(arguments))
    return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=USAGE, tool_requests=(call,))


def reads_one_file_a_turn(request: ModelRequest) -> ModelReply:
    turn = turns_made(request)
    if turn < len(FILES):
        return asks_for(turn, "read_file", path=FILES[turn])
    seen = [message.text.split("\t")[-1] for message in request.messages if message.role is Role.TOOL]
    return ModelReply(text=" ".join(seen), finish=FinishReason.STOP, usage=USAGE)


def fails_at(turn: int, error: Exception) -> Any:
    return lambda request: error if turns_made(request) == turn else reads_one_file_a_turn(request)


@pytest.fixture
def four(project: RunProject) -> RunProject:
    for name in FILES:
        (project.folder / name).write_text(f"text of {name}")
    return project


def asked_turns(project: RunProject) -> list[int]:
    return [turns_made(request) for request in project.backend.requests]


def answer_of(report: RunReport) -> Any:
    assert report.exit_code is ExitCode.DONE, report.error
    return json.loads(report.result or b"")


WHOLE = "text of a.txt text of b.txt text of c.txt text of d.txt"


def test_after_an_outage_only_the_turns_that_were_not_finished_are_asked_for(four: RunProject) -> None:
    assert four.run(READER, fails_at(2, ProviderError("down"))).exit_code is ExitCode.FAILED
    assert asked_turns(four) == [0, 1, 2]
    report = four.run(READER, reads_one_file_a_turn)
    assert answer_of(report) == WHOLE
    assert asked_turns(four) == [2, 3, 4]
    # What the step used is all five turns; what this invocation paid are three.
    assert report.run.usage.tokens == 5 * USAGE.tokens
    assert report.run.paid.tokens == 3 * USAGE.tokens
    assert answer_of(four.run(READER, lambda _request: pytest.fail("asked"))) == WHOLE


def test_a_step_that_is_cut_off_again_and_again_pays_each_turn_once(four: RunProject) -> None:
    asked = []
    for turn in (1, 1, 3, 4):
        four.run(READER, fails_at(turn, ProviderError("down")))
        asked.append(asked_turns(four))
    assert answer_of(four.run(READER, reads_one_file_a_turn)) == WHOLE
    assert [*asked, asked_turns(four)] == [[0, 1], [1], [1, 2, 3], [3, 4], [4]]
    reader = open_reader(four.folder / ".vibe/vibe.db")
    (last, *_rest) = reader.runs(1)
    (delivered,) = reader.deliveries(last.id)
    assert [turn.number for turn in reader.turns(delivered.step.id)] == [1, 2, 3, 4, 5]
    calls = reader.tool_calls(delivered.step.id)
    assert [(call.turn, json.loads(call.arguments)["path"]) for call in calls] == list(enumerate(FILES, 1))
    assert len(delivered.step.observations) == 4
    assert "goes on with" in delivered.delivery.reason
    reader.close()


def test_a_step_stopped_by_its_budget_goes_on_with_a_larger_one(four: RunProject) -> None:
    stopped = four.run(READER, reads_one_file_a_turn, flags={"budget": "3000", "max_tokens": "100"})
    assert stopped.exit_code is ExitCode.BUDGET
    made = len(four.backend.requests)
    assert 0 < made < 5
    assert answer_of(four.run(READER, reads_one_file_a_turn, flags={"budget": "20k", "max_tokens": "100"})) == WHOLE
    assert asked_turns(four) == list(range(made, 5))


def test_finished_turns_count_in_the_budget_of_the_run_that_goes_on(four: RunProject) -> None:
    four.run(READER, fails_at(4, ProviderError("down")))
    again = four.run(READER, reads_one_file_a_turn, flags={"budget": "3000", "max_tokens": "100"})
    assert again.exit_code is ExitCode.BUDGET
    assert four.backend.requests == []


def test_a_step_that_ran_out_of_time_goes_on(four: RunProject) -> None:
    reached: list[int] = []

    async def slow_at_two(request: ModelRequest) -> ModelReply:
        if turns_made(request) == 2:
            reached.append(2)
            await trio.sleep_forever()
        return reads_one_file_a_turn(request)

    for limit in ("0.5", "5", "50"):  # on a busy machine the time may be up earlier: then it goes on from there
        assert four.run(READER.replace("retries=0", f"timeout={limit}"), slow_at_two).exit_code is ExitCode.FAILED
        if reached:
            break
    assert answer_of(four.run(READER, reads_one_file_a_turn)) == WHOLE
    assert asked_turns(four) == [2, 3, 4]


def test_a_file_that_an_earlier_turn_read_and_that_changed_since_begins_the_step_anew(four: RunProject) -> None:
    four.run(READER, fails_at(3, ProviderError("down")))
    (four.folder / "a.txt").write_text("other text")
    assert answer_of(four.run(READER, reads_one_file_a_turn)) == WHOLE.replace("text of a.txt", "other text")
    assert asked_turns(four) == [0, 1, 2, 3, 4]


def test_a_file_of_the_last_finished_turn_is_read_again_as_it_is_now(four: RunProject) -> None:
    four.run(READER, fails_at(3, ProviderError("down")))
    (four.folder / "c.txt").write_text("other text")
    # The model asked for it and has not seen it yet.
    assert answer_of(four.run(READER, reads_one_file_a_turn)) == WHOLE.replace("text of c.txt", "other text")
    assert asked_turns(four) == [3, 4]


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        (READER.replace("four", "4"), {}),
        (READER.replace("retries=0", "cache='salt'"), {}),
        (READER.replace("retries=0", "ttl=1e-6"), {}),
    ],
)
def test_another_spec_or_horizon_begins_anew(four: RunProject, changed: str, flags: dict[str, str]) -> None:
    four.run(READER, fails_at(3, ProviderError("down")))
    assert answer_of(four.run(changed, reads_one_file_a_turn, flags=flags)) == WHOLE
    assert asked_turns(four) == [0, 1, 2, 3, 4]


def test_fresh_begins_anew(four: RunProject) -> None:
    four.run(READER, fails_at(3, ProviderError("down")))
    assert answer_of(four.run(READER, reads_one_file_a_turn, fresh=True)) == WHOLE
    assert asked_turns(four) == [0, 1, 2, 3, 4]


def test_a_failure_of_the_model_itself_is_tried_again_from_the_start(four: RunProject) -> None:
    four.run(READER, fails_at(3, Refused("no")))
    assert answer_of(four.run(READER, reads_one_file_a_turn)) == WHOLE
    assert asked_turns(four) == [0, 1, 2, 3, 4]


def test_identical_steps_that_were_cut_off_each_go_on_with_one_of_them(four: RunProject) -> None:
    source = READER.replace("await agent(", "await parallel(agent(").replace(
        "retries=0)", "retries=0) for _ in range(3))"
    )
    four.run(source, fails_at(2, ProviderError("down")))
    assert answer_of(four.run(source, reads_one_file_a_turn)) == [WHOLE] * 3
    assert sorted(asked_turns(four)) == [2, 2, 2, 3, 3, 3, 4, 4, 4]


def test_a_step_that_waits_to_go_on_while_another_one_is_found_to_edit_files_goes_on(four: RunProject) -> None:
    """Then all that has not begun is decided once more, by other rules."""
    source = (
        "async def chain():\n    await agent('Ask')\n    return await agent('Edit', tools=['write'])\n"
        "async def main(args):\n"
        "    read = agent('Read all four', tools=['read'], retries=0)\n"
        "    return await parallel([chain(), read], on_error='return')\n"
    )

    def answers(read: Any) -> Any:
        def answer(request: ModelRequest) -> Any:
            match prompt_of(request), turns_made(request):
                case "Edit", 0:
                    return asks_for(0, "write_file", path="e.txt", content="edited")
                case "Read all four", _:
                    return read(request)
                case prompt, _:
                    return f"{prompt} done"

        return answer

    grants = {"allow": ("write",)}
    four.run(source, answers(fails_at(2, ProviderError("down"))), flags=grants, args_json='{"number": 1}')
    report = four.run(source, answers(reads_one_file_a_turn), flags=grants, args_json='{"number": 2}')
    assert answer_of(report) == ["Edit done", WHOLE]
    read = [turns_made(each) for each in four.backend.requests if prompt_of(each) == "Read all four"]
    assert read == [2, 3, 4]
