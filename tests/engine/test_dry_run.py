"""`--dry-run`: says what a run would do first, asks no model, and leaves the store as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.support.earlier_schema import write_back
from tests.support.whole_runs import RunProject, body, new_project, prompt_of
from vibe_workflows.engine.attachments import Attachments
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.dry_run import DryRun
from vibe_workflows.engine.errors import ProviderError
from vibe_workflows.engine.events import Logged, PhaseStarted, Warned
from vibe_workflows.engine.model import FilePart, FinishReason, ModelInfo, ModelReply, ModelRequest, RunStatus, Usage

FLOW = body(
    "phase('Ask')",
    "found = await parallel(agent(f'Ask {n}', label=f'ask:{n}') for n in range(3))",
    "log('asked', n=len(found))",
    "phase('Merge')",
    "return await agent('Merge ' + ' '.join(found), label='merge', max_tokens=500)",
)
ASKS = ["ask:0", "ask:1", "ask:2"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    return new_project(tmp_path, monkeypatch)


def labels(steps: Iterable[object]) -> list[str]:
    return sorted(step.label for step in steps)  # type: ignore[attr-defined]


def split(found: DryRun) -> tuple[list[str], list[str]]:
    """The labels of what the store answers, and of what is live."""
    return labels(found.stored), labels(found.live)


def state_of(folder: Path) -> dict[str, str]:
    """Every file that a run could have written, by its content."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal"))]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_where_nothing_was_ever_run_no_store_is_made(project: RunProject) -> None:
    found = project.dry_run(FLOW)
    assert split(found) == ([], ASKS)
    assert {each.reason for each in found.live} == {"live: no stored result for this input"}
    assert {each.phase for each in found.live} == {"Ask"}
    assert found.ending is None
    assert not (project.folder / ".vibe").exists()
    assert not list((project.folder.parent / "home").rglob("stores.json"))


def test_a_run_that_the_store_answers_is_known_to_its_end(project: RunProject) -> None:
    project.run(FLOW)
    before = state_of(project.folder)
    found = project.dry_run(FLOW)
    assert split(found) == ([*ASKS, "merge"], [])
    assert found.ending is not None
    assert found.ending.status is RunStatus.COMPLETED
    assert [event.message for event in project.seen.events if isinstance(event, Logged)] == ["asked"]
    assert not project.seen.of(PhaseStarted)
    assert state_of(project.folder) == before


def test_an_edit_is_live_and_what_depends_on_it_is_not_known(project: RunProject) -> None:
    project.run(FLOW)
    found = project.dry_run(FLOW.replace("f'Ask {n}'", "f'Ask {n}' + '!' * (n == 1)"))
    assert split(found) == (["ask:0", "ask:2"], ["ask:1"])
    assert found.ending is None


@pytest.mark.parametrize(
    ("wanted", "live"),
    [({"fresh": True}, ASKS), ({"refresh": ("ask:2",)}, ["ask:2"]), ({"refresh": ("Merge",)}, ["merge"])],
)
def test_fresh_and_refresh_count(project: RunProject, wanted: dict[str, object], live: list[str]) -> None:
    project.run(FLOW)
    found = project.dry_run(FLOW, **wanted)
    assert labels(found.live) == live
    if "refresh" in wanted:
        assert {each.reason for each in found.live} == {"live: refreshed as asked"}


def test_a_misspelt_word_is_told_with_what_is_known_so_far(project: RunProject) -> None:
    project.dry_run(FLOW, refresh=("asks:1",))
    assert [event.message for event in project.seen.of(Warned)] == [
        "--refresh asks:1: no step so far has that label or phase; did you mean `ask:1`?"
    ]


def test_read_only_tools_run_and_lead_on_and_their_errors_too(project: RunProject) -> None:
    project.write("a.txt", "one\ntwo\n")
    flow = body(
        "await tool('read_file', path='a.txt')",
        "try:",
        "    await tool('read_file', path='none.txt')",
        "except AgentError as error:",
        "    log('absent')",
        "more = await parallel(tool('read_file', path=path) for path in ['a.txt', 'vibe.yaml'])",
        "return await parallel(agent(f'Look at {look}') for look in more)",
    )
    found = project.dry_run(flow)
    assert len(found.live) == 2
    assert found.tools == 4
    assert [event.message for event in project.seen.of(Logged)] == ["absent"]
    assert not (project.folder / ".vibe").exists()


def test_calls_that_fail_without_a_model_lead_on(project: RunProject) -> None:
    flow = body(
        "try:",
        "    await agent('Look', tools=['none'])",
        "except SetupError:",
        "    log('no such tool')",
        "try:",
        "    await agent('See', files=['none.png'], label='see')",
        "except SetupError:",
        "    return await agent('Ask', label='ask')",
    )
    found = project.dry_run(flow)
    assert split(found) == ([], ["ask"])
    assert labels(found.failed) == ["see"]
    assert [event.message for event in project.seen.of(Logged)] == ["no such tool"]


def test_the_files_of_live_steps_count_in_the_estimate_and_those_that_cannot_be_had_lead_on(
    project: RunProject,
) -> None:
    project.write("long.txt", "word " * 4_000)
    flow = body(
        "async def ask(path):",
        "    try:",
        "        return await agent('Look', files=[path], label=path)",
        "    except SetupError:",
        "        return await agent('Instead', label='instead of ' + path)",
        "await tool('read_file', path='long.txt')",
        "return await parallel([ask('none.txt'), ask('long.txt'), ask('vibe.yaml'), agent('Bare', label='bare')])",
    )
    found = project.dry_run(flow)
    assert labels(found.live) == ["bare", "instead of none.txt", "long.txt", "vibe.yaml"]
    assert labels(found.failed) == ["none.txt"]
    tokens = {step.label: step.estimate.input_tokens for step in found.live}
    assert tokens["long.txt"] > 5_000 > 500 > tokens["vibe.yaml"] > tokens["bare"]


def test_a_step_whose_file_is_still_looked_at_when_the_script_waits_is_named(project: RunProject) -> None:
    project.write("large.txt", "word " * 100_000)
    found = project.dry_run(body("return await agent('See', files=['large.txt'], label='see')"))
    assert split(found) == ([], ["see"])
    assert found.live[0].estimate.input_tokens > 100_000


def test_a_file_that_appears_just_after_it_was_missed_asks_no_model(
    project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Attachments.look

    async def overtaken(self: Attachments, paths: Sequence[str]) -> tuple[FilePart, ...]:
        try:
            return await look(self, paths)
        finally:
            project.write("late.txt", "here")

    monkeypatch.setattr(Attachments, "look", overtaken)
    found = project.dry_run(body("return await agent('See', files=['late.txt'], label='see')"))
    assert labels(found.failed) == ["see"]
    assert found.live == ()


def test_an_error_of_the_script_itself_is_its_end(project: RunProject) -> None:
    found = project.dry_run(body("await tool('read_file', path='vibe.yaml')", "return 1 // 0"))
    assert found.ending is not None
    assert found.ending.status is RunStatus.FAILED
    assert found.ending.fault is not None
    assert "ZeroDivisionError" in found.ending.fault.message


def test_a_step_whose_branch_is_given_up_is_not_named(project: RunProject) -> None:
    flow = """
async def breaks():
    await tool('read_file', path='vibe.yaml')
    raise ValueError('broken')

async def main(args):
    try:
        await parallel([agent('Ask', label='given up'), breaks()], on_error='raise')
    except ValueError:
        return await agent('Ask', label='instead')
"""
    assert split(project.dry_run(flow)) == ([], ["instead"])


def test_a_step_that_was_cut_off_says_that_it_goes_on(project: RunProject) -> None:
    from tests.engine.test_going_on import FILES, READER, fails_at

    for name in FILES:
        project.write(name, name)
    project.run(READER, fails_at(2, ProviderError("down")))
    (step,) = project.dry_run(READER).live
    assert "goes on with" in step.reason
    assert "after 2 turns" in step.reason


def test_a_budget_that_stored_steps_use_up_ends_it_as_it_would_the_run(project: RunProject) -> None:
    project.run(FLOW)
    found = project.dry_run(FLOW, flags={"budget": "steps=2"})
    real = project.run(FLOW, flags={"budget": "steps=2"})
    assert found.ending is not None
    assert found.ending.status is real.run.status is RunStatus.BUDGET_EXCEEDED
    assert len(found.stored) == real.run.stored_steps


def test_a_workflow_that_asks_for_grants_is_shown_without_them(project: RunProject) -> None:
    found = project.dry_run('meta = {"permissions": ["write"]}\n' + FLOW)
    assert found.missing_grants == ("write",)
    assert labels(found.live) == ASKS


# ---------------------------------------------------------------- the store


def test_a_store_of_unknown_origin_answers_nothing(project: RunProject) -> None:
    project.run(FLOW)
    for listed in (project.folder.parent / "home").rglob("stores.json"):
        listed.unlink()
    found = project.dry_run(FLOW)
    assert split(found) == ([], ASKS)
    assert any("was not made by you" in event.message for event in project.seen.of(Warned))


def test_a_store_of_an_older_schema_is_read_as_a_run_would_read_it_and_stays_as_it_is(project: RunProject) -> None:
    project.run(FLOW)
    path = project.folder / ".vibe/vibe.db"
    write_back(path, 1)
    before = path.read_bytes()
    assert split(project.dry_run(FLOW)) == ([*ASKS, "merge"], [])
    assert path.read_bytes() == before
    assert project.run(FLOW).run.live_steps == 0


def test_an_empty_file_is_a_store_without_answers(project: RunProject) -> None:
    path = project.write(".vibe/vibe.db", "")
    assert labels(project.dry_run(FLOW).live) == ASKS
    assert path.read_bytes() == b""


# ---------------------------------------------------------------- estimates

PRICED = ModelInfo(input_price=2.0, output_price=10.0)


def test_the_bound_of_a_step_is_its_prompt_and_the_longest_answer_at_the_price_of_its_model(
    project: RunProject,
) -> None:
    project.backend = ScriptedBackend(lambda _request: "ok", info=PRICED)
    flow = body("return await agent('x' * 7000, system='s', max_tokens=300)")
    (step,) = project.dry_run(flow).live
    estimate = step.estimate
    assert 2_000 < estimate.input_tokens < 2_050
    assert (estimate.output_tokens, estimate.steps) == (300, 0)
    assert estimate.cost_microusd == estimate.input_tokens * 2 + 300 * 10


def used(request: ModelRequest) -> ModelReply:
    number = int(prompt_of(request)[-1])
    usage = Usage(input_tokens=100 * number, output_tokens=number, cost_microusd=7 * number)
    return ModelReply(text="ok", finish=FinishReason.STOP, usage=usage)


def test_steps_of_the_same_label_are_the_better_estimate(project: RunProject) -> None:
    project.run(body("return await parallel(agent(f'Ask {n}', label='ask') for n in (1, 3))"), used)
    project.run(body("return await agent('Ask 1', label='ask')"))  # from the store: it counts once
    assert project.asked == 0
    found = project.dry_run(body("return await parallel([agent('New', label='ask'), agent('New', label='other')])"))
    known, other = (each.estimate for each in found.live)
    assert (known.input_tokens, known.output_tokens, known.cost_microusd, known.steps) == (200, 2, 14, 2)
    assert other.steps == 0
    # Of another model the tokens are taken, at its price; answers that were made up offline say nothing.
    project.backend = ScriptedBackend(used, info=PRICED)
    (dear,) = project.dry_run(body("return await agent('New', label='ask')"), flags={"model": "dear"}).live
    assert (dear.estimate.input_tokens, dear.estimate.cost_microusd) == (200, 200 * 2 + 2 * 10)


def test_made_up_answers_are_no_estimate_for_a_model(project: RunProject) -> None:
    project.run(FLOW, flags={"model": "offline"})
    assert {each.estimate.steps for each in project.dry_run(FLOW).live} == {0}


def test_the_sum_has_no_cost_where_one_price_is_unknown(project: RunProject) -> None:
    project.backend = ScriptedBackend(used, info=ModelInfo(input_price=None, output_price=None))
    found = project.dry_run(FLOW)
    assert found.estimate.cost_microusd is None
    assert found.estimate.input_tokens == sum(each.estimate.input_tokens for each in found.live)


def test_a_tool_that_edits_is_live_and_costs_nothing(project: RunProject) -> None:
    source = body("return await tool('write_file', path='a.txt', content='text')")
    report = project.dry_run(source, flags={"allow": "write"})
    (coming,) = report.live
    estimate = coming.estimate
    assert (coming.label, estimate.input_tokens, estimate.output_tokens, estimate.cost_microusd) == (
        "write_file",
        0,
        0,
        0,
    )
    assert not (project.folder / "a.txt").exists()
