"""Whole runs in this process: a real sandbox, a real store, and a model made of a function."""

from __future__ import annotations

import contextlib
import gc
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio

from tests.support.whole_runs import RunProject, body, new_project, prompt_of
from vibe_workflows.cli import wiring
from vibe_workflows.engine.backends.estimate import request_tokens
from vibe_workflows.engine.errors import ContextTooLong, ExitCode, ProviderError, RateLimited, Refused
from vibe_workflows.engine.events import ContextShortened, Event, StepFinished, StepRetried, TurnFinished, Warned
from vibe_workflows.engine.launch import RunRequest
from vibe_workflows.engine.model import (
    FAILED_STEP,
    FinishReason,
    ModelReply,
    ModelRequest,
    Role,
    RunStatus,
    ToolRequest,
    Usage,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    return new_project(tmp_path, monkeypatch)


def after(order: list[str]) -> Callable[[ModelRequest], Any]:
    """A model that answers in a fixed order, whatever the order of the questions."""
    done: dict[str, trio.Event] = {}

    async def answer(request: ModelRequest) -> str:
        prompt = prompt_of(request)
        place = order.index(prompt)
        if place:
            await done.setdefault(order[place - 1], trio.Event()).wait()
        done.setdefault(prompt, trio.Event()).set()
        return prompt.upper()

    return answer


def test_a_rerun_hands_answers_over_in_the_order_in_which_they_first_came(project: RunProject) -> None:
    source = body(
        "came = []",
        "async def ask(name):",
        "    came.append(await agent(name))",
        "    if name == 'b':",
        "        came.append(await agent('b2'))",
        "await parallel(ask(name) for name in ['a', 'b', 'c'])",
        "return [came, await agent('merge ' + ' '.join(came))]",
    )
    order = ["b", "c", "b2", "a", "merge B C B2 A"]
    first = project.result(source, after(order))
    assert first[0] == ["B", "C", "B2", "A"]
    again = project.result(source, lambda request: pytest.fail(f"asked: {prompt_of(request)}"))
    assert again == first


def test_three_identical_voters_are_three_samples_and_keep_their_answers(project: RunProject) -> None:
    votes = iter(["yes", "no", "maybe"])
    source = body("return await parallel(agent('vote') for _ in range(3))")
    first = project.result(source, lambda _request: next(votes))
    assert sorted(first) == ["maybe", "no", "yes"]
    assert project.result(source, lambda _request: "never") == first
    assert project.prompts == []
    four = project.result(source.replace("range(3)", "range(4)"), lambda _request: "new")
    assert four == [*first, "new"]


def test_identical_steps_behind_different_answers_keep_their_own_samples_when_items_move(project: RunProject) -> None:
    source = body(
        "async def item(name):",
        "    seen = await agent(name)",
        "    vote = await agent('vote')",
        "    return await agent(f'{seen}: {vote}?')",
        "return await parallel(item(name) for name in NAMES)",
    )
    count = iter(range(100))
    answers: dict[str, str] = {}

    def answer(request: ModelRequest) -> str:
        prompt = prompt_of(request)
        return f"vote {next(count)}" if prompt == "vote" else answers.setdefault(prompt, f"<{prompt}>")

    first = dict(zip("abc", project.result(source.replace("NAMES", "'abc'"), answer), strict=True))
    moved = project.result(source.replace("NAMES", "'cxab'"), answer)
    assert [moved[0], moved[2], moved[3]] == [first["c"], first["a"], first["b"]]
    assert len(project.prompts) == 3  # only what belongs to x
    assert "x" in project.prompts


def test_a_rate_limit_is_waited_for_inside_of_an_attempt_and_its_wait_is_told(project: RunProject) -> None:
    replies: Iterator[str | Exception] = iter([RateLimited("slow down", retry_after_s=0.0), "fine"])
    assert project.result(body("return await agent('hello')"), lambda _request: next(replies)) == "fine"
    (retried,) = project.seen.of(StepRetried)
    assert (retried.attempt, retried.error) == (1, "slow down")
    reader = wiring.open_reader(wiring.load({}))
    (delivered,) = reader.deliveries(reader.runs(1)[0].id)
    attempts = reader.attempts(delivered.step.id)
    reader.close()
    assert [(attempt.status.value, attempt.model) for attempt in attempts] == [("completed", "scripted")]


def test_the_error_of_a_run_says_which_step_it_came_from_and_what_came_of_its_attempts(project: RunProject) -> None:
    def out_of_order(_request: ModelRequest) -> NoReturn:
        raise ProviderError("out of order", retryable=True)

    source = body(
        "phase('Ask')",
        "try:",
        "    await parallel([agent('a', retries=1, label='first')])",
        "except ProviderError as error:",
        "    raise error",
    )
    report = project.run(source, out_of_order)
    assert report.error is not None
    assert report.error.fields == {
        FAILED_STEP: {
            "step": f"{report.run.id}-1",
            "number": 1,
            "label": "first",
            "phase": "Ask",
            "attempts": 2,
            "kinds": ["provider_error", "provider_error"],
        }
    }
    (finished,) = project.seen.of(StepFinished)
    assert (finished.error_type, finished.error_kind, finished.attempts) == ("ProviderError", "provider_error", 2)
    reader = wiring.open_reader(wiring.load({}))
    (delivered,) = reader.deliveries(report.run.id)
    reader.close()
    assert delivered.step.fault is not None
    assert delivered.step.fault.fields == {}, "a step knows who it is"


def test_a_failure_is_an_error_with_its_type_and_is_tried_again_on_the_rerun(project: RunProject) -> None:
    source = body(
        "try:", "    return await agent('hello')", "except Refused as error:", "    return [error.kind, error.message]"
    )
    assert project.result(source, lambda _request: Refused("no")) == ["refused", "no"]
    assert project.result(source, lambda _request: "yes") == "yes"
    assert project.result(source, lambda _request: "never") == "yes"


def test_a_cut_off_answer_is_truncated_and_never_stored_as_an_answer(project: RunProject) -> None:
    def cut_off(_request: ModelRequest) -> ModelReply:
        return ModelReply(text="half an ans", finish=FinishReason.LENGTH, usage=Usage(output_tokens=4))

    report = project.run(body("return await agent('hello')"), cut_off)
    assert report.run.status is RunStatus.FAILED
    assert report.error is not None
    assert report.error.type == "Truncated"
    assert report.error.message.startswith("flow.py:2:")
    assert project.result(body("return await agent('hello')"), lambda _request: "whole") == "whole"


def test_a_step_that_takes_too_long_times_out_with_its_type(project: RunProject) -> None:
    async def never(_request: ModelRequest) -> NoReturn:
        await trio.sleep_forever()

    source = body(
        "try:", "    return await agent('hello', timeout=0.05)", "except Timeout as error:", "    return error.kind"
    )
    assert project.result(source, never) == "timeout"
    (finished,) = project.seen.of(StepFinished)
    assert finished.status == "timed_out"


def test_a_token_budget_holds_under_concurrency_and_what_was_done_is_kept(project: RunProject) -> None:
    def answer(request: ModelRequest) -> ModelReply:
        assert request.max_tokens <= 100
        return ModelReply(
            text="y" * 40, finish=FinishReason.STOP, usage=Usage(input_tokens=20, output_tokens=80, cost_microusd=0)
        )

    source = body("return await parallel(agent(f'item {n}', max_tokens=100, system='s') for n in range(40))")
    report = project.run(source, answer, flags={"budget": "2000"})
    assert report.exit_code is ExitCode.BUDGET
    assert report.run.status is RunStatus.BUDGET_EXCEEDED
    assert 1000 < report.run.paid.tokens <= 2000
    paid = len(project.prompts)
    again = project.run(source, answer, flags={"budget": "100k"})
    assert again.exit_code is ExitCode.DONE
    assert len(project.prompts) == 40 - paid


def test_a_budget_scope_of_the_script_is_hard_and_can_be_caught(project: RunProject) -> None:
    source = body(
        "done = 0",
        "try:",
        "    with budget(steps=3):",
        "        while True:",
        "            await agent(f'number {done}')",
        "            done += 1",
        "except BudgetExceeded as error:",
        "    return [done, error.needed, error.left, budget.spent('steps'), await agent('after')]",
    )
    assert project.result(source) == [3, 1, 0, 3, "ok"]


def test_a_loop_on_remaining_takes_the_same_turns_on_a_rerun(project: RunProject) -> None:
    source = body(
        "rounds = 0",
        "while budget.remaining() > 400:",
        "    await agent(f'round {rounds}', max_tokens=50)",
        "    rounds += 1",
        "return [rounds, budget.total(), budget.spent()]",
    )

    def answer(_request: ModelRequest) -> ModelReply:
        return ModelReply(text="x", finish=FinishReason.STOP, usage=Usage(input_tokens=100, output_tokens=50))

    first = project.result(source, answer, flags={"budget": "2000"})
    assert first == [11, 2000, 1650]
    assert project.result(source, answer, flags={"budget": "2000"}) == first
    assert project.prompts == []


def test_fresh_ignores_what_is_stored_and_stores_anew(project: RunProject) -> None:
    source = body("return await agent('hello')")
    assert project.result(source, lambda _request: "old") == "old"
    assert project.result(source, lambda _request: "new", fresh=True) == "new"
    assert project.result(body("return await agent('hello', cache=False)"), lambda _request: "newer") == "newer"


def test_an_answer_in_a_schema_is_repaired_twice_and_then_a_mismatch(project: RunProject) -> None:
    source = body("return await agent('count', schema={'type': 'integer', 'minimum': 3})")
    replies = iter(['{"value": 1}', '{"value": 2}', '{"value": 3}'])
    assert project.result(source, lambda _request: next(replies)) == 3
    assert len(project.prompts) == 3
    report = project.run(source.replace("count", "again"), lambda _request: '{"value": "no"}')
    assert report.error is not None
    assert report.error.type == "SchemaMismatch"
    assert report.error.fields["answer"] == '{"value": "no"}'
    assert report.error.fields["corrections"] == 2


def test_a_context_that_overflows_is_shortened_and_the_run_tells_of_it(project: RunProject) -> None:
    for name in ("a", "b", "c"):
        (project.folder / f"{name}.txt").write_text(f"{name} is a word\n" * 300)

    def answer(request: ModelRequest) -> ModelReply:
        if request_tokens(request) > 4_000:
            raise ContextTooLong("too long")
        read = sum(message.role is Role.TOOL for message in request.messages)
        if read == 3:
            return ModelReply(text="done", finish=FinishReason.STOP, usage=None)
        look = ToolRequest(id="", name="read_file", arguments=f'{{"path":"{"abc"[read]}.txt"}}')
        return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=None, tool_requests=(look,))

    assert project.result(body("return await agent('read', tools=['read'])"), answer) == "done"
    (event,) = project.seen.of(ContextShortened)
    assert (event.turn, event.outputs) == (4, 2)
    assert event.characters > 8_000
    assert project.seen.of(StepRetried) == []
    assert len(project.seen.of(TurnFinished)) == 4
    with contextlib.closing(sqlite3.connect(project.folder / ".vibe" / "vibe.db")) as store:
        rows = store.execute(
            "SELECT number, shortened IS NULL, system_tokens > 50 FROM turns ORDER BY number"
        ).fetchall()
    assert rows == [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 0, 1)]


def test_a_wrong_schema_is_a_setup_error_before_any_call(project: RunProject) -> None:
    report = project.run(body("return await parallel(agent('x', schema={'type': 'nonsense'}) for _ in range(3))"))
    assert report.exit_code is ExitCode.USAGE
    assert report.error is not None
    assert report.error.type == "SetupError"
    assert project.prompts == []


def test_detail_tells_how_a_step_came_by_its_answer(project: RunProject) -> None:
    source = body("r = await agent('hello', detail=True)", "return [r.value, r.cached, r.turns, r.usage['tokens'] > 0]")
    assert project.result(source) == ["ok", False, 1, True]
    assert project.result(source) == ["ok", True, 1, True]


def test_random_and_now_are_the_same_for_a_run_that_is_gone_on_with(project: RunProject) -> None:
    source = body(
        "values = [random.random(), str(now())]",
        "await parallel(agent(f'{random.random()}') for _ in range(2))",
        "await agent('last')",
        "return values",
    )
    failed = project.run(source, lambda request: Refused("no") if prompt_of(request) == "last" else "ok")
    assert failed.run.status is RunStatus.FAILED
    values = project.result(source, lambda _request: "ok")
    assert project.prompts == ["last"]
    assert project.result(source)[0] == values[0]
    other = project.result(source, seed="7", new=True)
    assert other[0] != values[0]


def test_a_tool_step_gives_structured_json_and_is_verified_by_looking_again(project: RunProject) -> None:
    (project.folder / "a.txt").write_text("one\ntwo TODO\n")
    source = body("found = await tool('grep', pattern='TODO')", "return [m['path'] for m in found['matches']]")
    assert project.result(source) == ["a.txt", "flow.py"]
    project.result(source)
    (finished,) = project.seen.of(StepFinished)
    assert finished.stored
    (project.folder / "b.txt").write_text("TODO\n")
    assert project.result(source) == ["a.txt", "b.txt", "flow.py"]


def test_a_tool_that_fails_is_raised_by_its_type(project: RunProject) -> None:
    source = body(
        "try:", "    await tool('read_file', path='none.txt')", "except ToolFailed as error:", "    return error.kind"
    )
    assert project.result(source) == "tool_failed"
    source = body(
        "try:", "    await tool('read_file', path='../x')", "except ToolDenied as error:", "    return error.kind"
    )
    assert project.result(source) == "tool_denied"


def test_usage_that_a_provider_leaves_out_is_estimated_and_marked(project: RunProject) -> None:
    def silent(_request: ModelRequest) -> ModelReply:
        return ModelReply(text="y" * 350, finish=FinishReason.STOP, usage=None)

    report = project.run(body("return await agent('hello')"), silent)
    assert report.run.usage.estimated
    assert report.run.usage.output_tokens == 100


def test_usage_that_no_provider_can_mean_is_estimated(project: RunProject) -> None:
    def absurd(_request: ModelRequest) -> ModelReply:
        return ModelReply(text="y" * 350, finish=FinishReason.STOP, usage=Usage(input_tokens=2**70, output_tokens=-5))

    report = project.run(body("return await agent('hello')"), absurd)
    assert report.exit_code is ExitCode.DONE
    assert report.run.usage.estimated
    assert 0 < report.run.usage.tokens < 1_000


def test_usage_above_what_was_reserved_is_booked_and_told(project: RunProject) -> None:
    def greedy(_request: ModelRequest) -> ModelReply:
        return ModelReply(text="y", finish=FinishReason.STOP, usage=Usage(input_tokens=5_000, output_tokens=5_000))

    report = project.run(body("return await agent('hello', max_tokens=100)"), greedy, flags={"budget": "2000"})
    assert report.run.usage.tokens == 10_000
    assert any("overdrawn" in warned.message for warned in project.seen.of(Warned))


def test_an_observer_that_raises_is_switched_off_and_the_run_goes_on(project: RunProject) -> None:
    class Broken:
        def handle(self, event: Event) -> None:
            raise RuntimeError("no screen")

    (project.folder / "flow.py").write_text(body("return await agent('hello')"))
    report = wiring.run_workflow(
        wiring.load({"model": "scripted"}), RunRequest(target="flow.py"), [Broken()], backend=project.backend
    )
    assert report.exit_code is ExitCode.DONE
    assert any("Broken was switched off" in note for note in report.notes)


def test_runs_of_one_process_leave_their_garbage_to_the_collector(project: RunProject) -> None:
    """What was imported before the first one is kept from it, and no more."""
    project.result(body("return await agent('hello')"))
    kept = gc.get_freeze_count()
    project.result(body("return await agent('hello again')"))
    assert gc.get_freeze_count() <= kept


def test_the_conversation_of_a_step_is_in_the_trace(project: RunProject) -> None:
    project.result(body("return await agent('hello', system='Be kind.')"))
    reader = wiring.open_reader(wiring.load({}))
    (delivered,) = reader.deliveries(reader.runs(1)[0].id)
    (turn,) = reader.turns(delivered.step.id)
    reader.close()
    assert [each["role"] for each in json.loads(turn.input)] == ["system", "user"]
    assert "hello" in turn.input
    assert "ok" in turn.output
    assert delivered.delivery.reason == "live: no stored result for this input"
