"""Races in whole runs: who wins is kept, losers leave nothing behind, and nothing in one changes the project."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from tests.support.playing_host import Answers, execute_played
from tests.support.whole_runs import RunProject, body, new_project, prompt_of
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.budget import NO_LIMITS, Budget
from vibe_workflows.engine.errors import ExitCode, SetupError
from vibe_workflows.engine.events import StepFinished, StepStarted
from vibe_workflows.engine.model import ModelRequest, RunStatus, StepId, StepKey, StepKind, StepSpec
from vibe_workflows.engine.ports import Limits, ScriptCalls
from vibe_workflows.engine.racing import require_bystander
from vibe_workflows.engine.requests import StepRequest
from vibe_workflows.engine.scopes import ScopeTree


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    return new_project(tmp_path, monkeypatch)


def nobody(request: ModelRequest) -> Any:
    pytest.fail(f"asked: {prompt_of(request)}")


class Slow:
    """Answers at once, but for prompts that begin with "slow": those it never answers, and notes that they ended."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    async def __call__(self, request: ModelRequest) -> str:
        prompt = prompt_of(request)
        if prompt.startswith("slow"):
            try:
                await trio.sleep_forever()
            finally:
                self.cancelled.append(prompt)
        return prompt.upper()


def test_the_losers_are_cancelled_and_a_rerun_starts_none(project: RunProject) -> None:
    source = body(
        "async def two(name):",
        "    return await agent('then ' + await agent(name))",
        "won = await race([agent('slow a'), two('b'), two('slow c'), agent('slow d')])",
        "return [won, await agent('after ' + won)]",
    )
    model = Slow()
    first = project.result(source, model)
    assert first == ["THEN B", "AFTER THEN B"]
    assert sorted(model.cancelled) == ["slow a", "slow c", "slow d"]
    assert sorted(event.status for event in project.seen.of(StepFinished)) == ["cancelled"] * 3 + ["completed"] * 3
    assert project.result(source, nobody) == first
    assert project.seen.of(StepStarted) == []
    changed = source.replace("slow a", "slow x").replace("'after '", "'later '")
    assert project.result(changed, model) == ["THEN B", "LATER THEN B"]
    assert project.prompts == ["later THEN B"]


def test_a_race_inside_of_another_is_decided_as_it_was(project: RunProject) -> None:
    source = body(
        "inner = race([agent('slow a'), agent('b')], until=lambda said: said != 'B')",
        "deep = race([parallel([agent('c'), agent('d')]), agent('slow e')])",
        "return await race([inner, deep, agent('slow f')])",
    )
    assert project.result(source, Slow()) == ["C", "D"]
    assert project.result(source, nobody) == ["C", "D"]


def test_a_loser_takes_no_answer_that_the_winner_asks_for_later(project: RunProject) -> None:
    source = body(
        "async def chain():",
        "    return await agent('r ' + await agent('p') + await agent('p'))",
        "return await race([agent('p', timeout=100), chain()])",  # which is no part of what it is asked
    )

    async def model(request: ModelRequest) -> str:
        if request.timeout_s <= 100:
            await trio.sleep_forever()
        return prompt_of(request).upper()

    assert project.result(source, model) == "R PP"
    assert sorted(project.prompts) == ["p", "p", "p", "r PP"]
    assert project.result(source, nobody) == "R PP"


def test_where_the_winner_has_to_run_again_all_start_anew(project: RunProject) -> None:
    source = body("return await race([agent('slow a'), agent('b')])")
    assert project.result(source, Slow()) == "B"
    other = source.replace("'b'", "'slow b'").replace("slow a", "slow a")
    answers = {"slow a": "A"}

    async def model(request: ModelRequest) -> str:
        answer = answers.get(prompt_of(request))
        if answer is None:
            await trio.sleep_forever()
        return str(answer)

    assert project.result(other, model) == "A"
    assert sorted(project.prompts) == ["slow a", "slow b"]
    assert project.result(other, nobody) == "A"


def test_a_race_that_nobody_wins_fails_the_run_and_is_tried_again(project: RunProject) -> None:
    source = body("return await race([agent('a'), agent('b')], until=lambda said: said == 'yes')")
    report = project.run(source, lambda request: prompt_of(request).upper())
    assert report.exit_code is ExitCode.FAILED
    assert report.error is not None
    assert "none of 2 won" in report.error.message
    again = project.run(source, nobody)  # what both gave is an answer, and stays one
    assert (again.exit_code, again.error) == (report.exit_code, report.error)
    assert project.result(source.replace("== 'yes'", "== 'A'"), nobody) == "A"


def test_what_would_change_the_project_ends_a_race_before_anybody_is_asked(project: RunProject) -> None:
    source = body(
        "async def deep():",
        "    with phase('deep'):",
        "        return await pipeline(['x'], lambda item: agent(item, tools=['write']))",
        "return await race([agent('wait'), parallel([deep()])])",
    )
    report = project.run(source, nobody, flags={"allow": "write"})
    assert report.exit_code is ExitCode.USAGE
    assert report.error is not None
    assert "agent in a race: with `write` it may change files" in report.error.message


AN_AGENT = StepSpec(kind=StepKind.AGENT, grants=("read",))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (replace(AN_AGENT, grants=("read", "write")), "agent in a race: with `write` it may change files"),
        (
            replace(AN_AGENT, grants=("command",)),
            r'agent in a race: with `command` .* isolation="worktree", merge="man',
        ),
        (replace(AN_AGENT, isolation="worktree", merge="auto"), "a worktree of a branch that does not win must not"),
        (
            StepSpec(kind=StepKind.TOOL, tool="write_file", grants=("write",)),
            "tool write_file in a race: it may change",
        ),
        (StepSpec(kind=StepKind.MERGE, merged=StepId("s"), grants=("write",)), "only the winner is to be merged"),
        (StepSpec(kind=StepKind.TOOL, tool="run_command", grants=("command",)), "tool run_command in a race: it may"),
    ],
)
def test_a_step_that_may_change_the_project_is_told_what_to_do_instead(spec: StepSpec, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        require_bystander(StepRequest(spec=spec, canonical="", key=StepKey(""), label=""))


@pytest.mark.parametrize(
    "spec",
    [
        AN_AGENT,
        replace(AN_AGENT, grants=("write", "command"), isolation="worktree", merge="manual"),
        StepSpec(kind=StepKind.TOOL, tool="grep", grants=("read",)),
    ],
)
def test_what_only_looks_and_what_works_in_a_worktree_may_race(spec: StepSpec) -> None:
    require_bystander(StepRequest(spec=spec, canonical="", key=StepKey(""), label=""))


def test_a_call_that_cannot_be_made_starts_none_of_its_fan_out(project: RunProject) -> None:
    source = body("return await parallel([agent('a'), agent('b', tools=['nope']), agent('c')])")
    report = project.run(source, nobody)
    assert report.exit_code is ExitCode.USAGE
    assert project.seen.of(StepStarted) == []
    denied = source.replace("nope", "write")
    assert project.result(denied, lambda request: prompt_of(request)) == ["a", None, "c"]


def test_a_dry_run_names_those_who_would_race(project: RunProject) -> None:
    source = body("won = await race([agent('slow a'), agent('b')])", "return await agent('after ' + won)")
    assert [step.label for step in project.dry_run(source).live] == ["slow a", "b"]
    project.result(source, Slow())
    assert project.dry_run(source).live == ()
    refused = body("return await parallel([agent('a'), agent('b', tools=['write'])])")
    assert [step.label for step in project.dry_run(refused).live] == ["a"]


@pytest.mark.parametrize("in_a_race", [True, False])
def test_a_call_that_is_cancelled_in_the_moment_of_its_start_never_begins(tmp_path: Path, in_a_race: bool) -> None:
    async def play(calls: ScriptCalls, answers: Answers) -> None:
        calls.open(1, 0, "race" if in_a_race else "parallel", 2, None, None, None, 1)
        for call in (1, 2):
            calls.call(call, 1 + call, 1, 1, "agent", b'{"prompt":"p"}')
        calls.idle(0)
        calls.close(2)
        await answers.count(1)

    backend = ScriptedBackend(lambda _request: "ok")
    report = trio.run(partial(execute_played, tmp_path, play, backend=backend))
    assert report.run.status is RunStatus.COMPLETED
    assert report.run.live_steps == 1
    assert len(backend.requests) == 1


# ---------------------------------------------------------------- places


def tree_of(*scopes: tuple[int, int, str, int]) -> ScopeTree:
    tree = ScopeTree(Budget(Limits(), Limits(), clock=lambda: 0.0))
    for scope, parent, kind, branches in scopes:
        tree.open(scope, parent, kind, branches, NO_LIMITS, "", "")
    return tree


def after_a_race(*answered: int) -> ScopeTree:
    """Its first branch won; these were answered."""
    tree = tree_of((1, 0, "race", 2))
    for branch in answered:
        tree[1 + branch].answered(StepId(f"of {branch}"), 3 * branch)
    tree.close(3)
    tree.close(1)
    return tree


def test_what_losers_were_answered_does_not_move_what_comes_after_a_race() -> None:
    """Whether they were depends on the moment at which they were cancelled."""
    assert after_a_race(1, 2).root.trail == after_a_race(1).root.trail != after_a_race(2).root.trail
    assert (after_a_race(1, 2).root.past.latest, after_a_race(1).root.past.latest) == (6, 3)  # but it came after that


def test_a_scope_that_went_with_the_one_above_it_may_be_named_once_more() -> None:
    tree = tree_of((1, 0, "parallel", 1), (3, 2, "phase", 0))
    tree.close(1)
    assert tree.close(3) == []
