"""`--refresh`: the steps that it names run again, all others are answered from the store."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.whole_runs import RunProject, body, new_project, prompt_of
from vibe_workflows.engine.errors import ExitCode, ProviderError
from vibe_workflows.engine.events import Warned
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import Cause, ModelRequest, RunStatus
from vibe_workflows.engine.ports import DeliveredStep
from vibe_workflows.engine.store.reader import open_reader

FLOW = body(
    "phase('Ask')",
    "first = await parallel(agent(f'Ask {n}', label=f'ask:{n}') for n in range(3))",
    "phase('Merge')",
    "return first + [await agent('Merge', label='merge')]",
)
ASKS = ["Ask 0", "Ask 1", "Ask 2"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    return new_project(tmp_path, monkeypatch)


@pytest.fixture
def counting() -> Callable[[ModelRequest], str]:
    """A model that never gives the same answer twice."""
    numbers = itertools.count(1)
    return lambda request: f"{prompt_of(request)}, answer {next(numbers)}"


def delivered(project: RunProject, report: RunReport) -> dict[str, DeliveredStep]:
    reader = open_reader(project.folder / ".vibe/vibe.db")
    try:
        return {each.delivery.label: each for each in reader.deliveries(report.run.id)}
    finally:
        reader.close()


def warnings(project: RunProject) -> list[str]:
    return [event.message for event in project.seen.of(Warned)]


@pytest.mark.parametrize(
    ("words", "again"),
    [
        (("ask:1",), ["Ask 1"]),
        (("ask:*",), ASKS),
        (("Ask",), ASKS),
        (("M*", "ask:2"), ["Ask 2", "Merge"]),
        (("#1",), ["Ask 0"]),
        (("*",), [*ASKS, "Merge"]),
    ],
)
def test_steps_of_a_label_a_phase_or_a_number_run_again(
    project: RunProject, counting: Any, words: tuple[str, ...], again: list[str]
) -> None:
    first = project.result(FLOW, counting)
    second = project.result(FLOW, refresh=words)
    assert sorted(project.prompts) == again
    assert warnings(project) == []
    kept = [old == new for old, new in zip(first, second, strict=True)]
    assert kept == [prompt not in again for prompt in [*ASKS, "Merge"]]
    # The new answers are the ones that count from now on.
    assert project.result(FLOW) == second
    assert project.asked == 0


def test_the_trace_says_that_a_step_was_refreshed_as_asked(project: RunProject, counting: Any) -> None:
    project.run(FLOW, counting)
    steps = delivered(project, project.run(FLOW, refresh=("ask:1", "new*")))
    assert steps["ask:1"].delivery.reason == "live: refreshed as asked"
    grounds = steps["ask:1"].delivery.grounds
    assert grounds is not None
    assert grounds.cause is Cause.REFRESHED
    assert steps["ask:0"].delivery.reason.startswith("stored:")
    # Of a step that was never run nothing is refreshed.
    other = FLOW.replace("'Merge', label='merge'", "'New', label='new'")
    assert delivered(project, project.run(other, refresh=("new*",)))["new"].delivery.reason == (
        "live: no stored result for this input"
    )


def test_a_step_of_an_earlier_run_stands_for_its_input_whatever_its_label_is_now(
    project: RunProject, counting: Any
) -> None:
    steps = delivered(project, project.run(FLOW, counting))
    renamed = FLOW.replace("label=f'ask:{n}'", "label=f'other:{n}'")
    project.run(renamed, refresh=(steps["ask:2"].step.id,))
    assert project.prompts == ["Ask 2"]
    run, number = steps["ask:0"].delivery.run_id, steps["ask:0"].delivery.number
    project.run(renamed, refresh=(f"{run[:6]}:{number}",))
    assert project.prompts == ["Ask 0"]


def test_a_step_with_files_is_found_by_its_number(project: RunProject, counting: Any) -> None:
    project.write("notes.txt", "text")
    flow = body("return [await agent('Sum up', files=['notes.txt']), await agent('Other')]")
    project.run(flow, counting)
    project.run(flow, refresh=("#1",))
    assert project.prompts == ["Sum up"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("ask:9", "no step of this run has that label or phase; did you mean `ask:"),
        ("Murge", "did you mean `Merge`?"),
        ("xylophone", "`vibe trace` shows the labels and phases"),
        ("#77", "`vibe trace` shows the numbers"),
        ("abcdef:1", "`vibe trace` shows the numbers"),
        ("abcdef-1", "`vibe trace` shows the numbers"),
    ],
)
def test_a_word_that_matches_nothing_is_a_warning_that_names_the_nearest(
    project: RunProject, counting: Any, word: str, told: str
) -> None:
    project.run(FLOW, counting)
    report = project.run(FLOW, refresh=(word, "merge"))
    assert project.prompts == ["Merge"]
    (warning,) = warnings(project)
    assert warning.startswith(f"--refresh {word}: ")
    assert told in warning
    assert report.exit_code is ExitCode.DONE


def test_a_named_step_whose_input_the_run_does_not_have_is_a_warning(project: RunProject, counting: Any) -> None:
    project.run(FLOW, counting)
    project.run(FLOW.replace("'Merge', label", "'Join', label"), refresh=("#4",))
    assert project.prompts == ["Join"]
    assert warnings(project) == [
        "--refresh #4: no step of this run has the input of that step, so nothing is refreshed for it"
    ]


def test_a_run_that_goes_on_refreshes_what_is_left_and_nothing_twice(project: RunProject, counting: Any) -> None:
    project.run(FLOW, counting)

    async def stopped_at_two(request: ModelRequest) -> str:
        if prompt_of(request) == "Ask 2":
            os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep_forever()
        answer: str = counting(request)
        return answer

    stopped = project.run(FLOW, stopped_at_two, refresh=("Ask", "#4"), concurrency=1)
    assert stopped.run.status is RunStatus.INTERRUPTED
    assert project.prompts == ASKS
    # As after a kill: the words are in the run's row. `#4` still is the step that it was when the lineage began.
    again = project.run(FLOW, counting)
    assert again.run.parent == stopped.run.id
    assert project.prompts == ["Ask 2", "Merge"]
    assert warnings(project) == []
    # It completed: the next run has nothing to refresh.
    assert project.run(FLOW).run.refresh == ()
    assert project.asked == 0


def test_refresh_begins_a_lineage_of_its_own(project: RunProject, counting: Any) -> None:
    flow = FLOW.replace("'Merge', label", "'Merge', retries=0, label")
    failed = project.run(flow, lambda request: ProviderError("down") if prompt_of(request) == "Merge" else "ok")
    assert failed.run.status is RunStatus.FAILED
    report = project.run(flow, counting, refresh=("ask:0",))
    assert report.run.parent is None
    assert sorted(project.prompts) == ["Ask 0", "Merge"]


def test_turns_of_a_step_that_was_cut_off_are_not_gone_on_with(project: RunProject) -> None:
    from tests.engine.test_going_on import FILES, READER, asked_turns, fails_at, reads_one_file_a_turn

    for name in FILES:
        project.write(name, name)
    project.run(READER, fails_at(3, ProviderError("down")))
    project.run(READER, fails_at(2, ProviderError("down")), refresh=("Read*",))
    assert asked_turns(project) == [0, 1, 2]
    # The two turns of this lineage count, and none from before it.
    project.run(READER, reads_one_file_a_turn)
    assert asked_turns(project) == [2, 3, 4]


def test_a_tool_step_is_refreshed_too(project: RunProject) -> None:
    project.write("a.txt", "text")
    flow = body("phase('Look')", "return await tool('read_file', path='a.txt')")
    project.run(flow)
    assert project.run(flow).run.stored_steps == 1
    assert project.run(flow, refresh=("Look",)).run.live_steps == 1
