"""Gates in whole runs: real programs in a copy of the project, what they change, reruns, and runs that were killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.agents import asks, says
from tests.support.copying_bench import CopyingBench
from tests.support.copying_bench import bench as bench
from tests.support.whole_runs import RunProject, body, new_project, prompt_of
from vibe_workflows.engine.errors import ExitCode
from vibe_workflows.engine.events import TurnFinished
from vibe_workflows.engine.model import FILE_TREE, ModelReply, ModelRequest, Role, RunStatus
from vibe_workflows.sandbox import confine

GRANTS = {"flags": {"allow": "write,command"}}
GATE = ["sh", "-c", "echo checked >> log.txt; grep mended a.txt || { echo 'not mended' >&2; exit 3; }"]
SOURCE = body(
    f"done = await agent('mend a.txt', tools=['write'], gate={GATE!r}, detail=True)",
    "return [done.value, done.files, done.turns, done.cached]",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    monkeypatch.setattr(confine, "hide_this_process", lambda: None)  # hiding that of the tests would last
    made = new_project(tmp_path, monkeypatch)
    made.write("a.txt", "broken\n")
    return made


def careless(request: ModelRequest) -> ModelReply:
    """Answers at once, and does the work when it is told that the gate is red."""
    last = request.messages[-1]
    if last.role is Role.TOOL:
        return says("mended")
    if "exit code 3" in last.text and "not mended" in last.text:
        return asks(("write_file", json.dumps({"path": "a.txt", "content": "mended\n"})))
    return says("nothing to do")


def nobody(request: ModelRequest) -> Any:
    pytest.fail(f"asked: {prompt_of(request)}")


def gates(project: RunProject, bench: CopyingBench) -> int:
    count = len(bench.jobs)
    bench.jobs.clear()
    return count


def test_an_agent_is_sent_back_once_mends_it_and_a_rerun_is_free(project: RunProject, bench: CopyingBench) -> None:
    report = project.run(SOURCE, careless, **GRANTS)
    assert json.loads(report.result or "null") == ["mended", ["log.txt", "a.txt"], 3, False]
    calls = project.tool_calls(report.run.id)
    assert [(call.turn, call.name, call.outcome) for call in calls] == [
        (1, "gate", "error"),
        (2, "write_file", "ok"),
        (3, "gate", "ok"),
    ]
    assert [event.turn for event in project.seen.of(TurnFinished)] == [1, 2, 3]
    assert [look.tool for look in calls[0].observations] == [FILE_TREE, "file_state"]
    assert project.folder.joinpath("log.txt").read_text() == "checked\nchecked\n"
    assert gates(project, bench) == 2
    assert project.result(SOURCE, nobody, **GRANTS) == ["mended", ["log.txt", "a.txt"], 3, True]
    assert gates(project, bench) == 0


def test_a_file_that_only_the_gate_saw_counts_too(project: RunProject, bench: CopyingBench) -> None:
    project.result(SOURCE, careless, **GRANTS)
    project.write("other.txt", "it may matter to the gate\n")
    project.result(SOURCE, careless, **GRANTS)
    assert gates(project, bench) == 3
    assert project.asked == 1  # a.txt is mended already


def test_a_step_that_is_killed_goes_on_with_its_gate(project: RunProject, bench: CopyingBench) -> None:
    async def killed(request: ModelRequest) -> ModelReply:
        if len(request.messages) > 3:
            os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep_forever()
        return careless(request)

    assert project.run(SOURCE, killed, **GRANTS).run.status is RunStatus.INTERRUPTED
    assert gates(project, bench) == 1
    result = project.result(SOURCE, careless, **GRANTS)
    assert result[0] == "mended"
    assert project.asked == 2  # the answer that was sent back is paid for
    assert gates(project, bench) == 1  # the red one has changed log.txt, and counts
    assert (project.folder / "log.txt").read_text() == "checked\n" * 2
    assert project.result(SOURCE, nobody, **GRANTS)[0] == "mended"


def test_a_gate_that_stays_red_fails_the_step_and_the_next_run_tries_anew(
    project: RunProject, bench: CopyingBench
) -> None:
    source = body(
        "try:",
        f"    return await agent('x', gate={GATE!r}, gate_retries=1)",
        "except GateFailed as error:",
        "    return [error.exit_code, error.output, error.tries]",
    )
    assert project.result(source, lambda _request: "done", **GRANTS) == [3, "not mended", 2]
    assert gates(project, bench) == 2
    project.write("a.txt", "mended\n")
    assert project.result(source, lambda _request: "done", **GRANTS) == "done"


def test_without_the_grant_of_its_gate_a_step_asks_no_model(project: RunProject, bench: CopyingBench) -> None:
    report = project.run(SOURCE, nobody, flags={"allow": "write,command:pytest"})
    assert report.exit_code is ExitCode.FAILED
    assert report.error is not None
    assert "the gate: sh: this run may not run it; granted: command:pytest" in report.error.message
    assert bench.jobs == []
