"""A run that is stopped while a step's work lands: what has begun is finished, and what has not is gone on with."""

from __future__ import annotations

import os
import signal

import pytest
import trio

from tests.support.deeds import edit, isolated, read, write
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.model import RunStatus, StepStatus
from vibe_workflows.engine.worktrees import landing

from .conftest import Lab

CALL = isolated([read("a.txt")], [edit("a.txt", "one", "two"), write("b.txt", "b\n")])


@pytest.mark.parametrize("number", [1, 2])
def test_stopped_behind_one_of_its_writes_it_is_complete(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    lab.write("a.txt", "one\n")
    writes = 0
    real = WorkspaceFiles.write

    async def write_and_stop(files: WorkspaceFiles, path: str, before: bytes | None, after: bytes | None) -> None:
        nonlocal writes
        writes += 1
        await real(files, path, before, after)
        if writes == number:
            os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep(0.05)  # until the signal has come to the run; nothing here depends on it

    with monkeypatch.context() as patch:
        patch.setattr(WorkspaceFiles, "write", write_and_stop)
        report = lab.run(f"return await {CALL}")
    assert report.run.status is RunStatus.INTERRUPTED
    assert (lab.read("a.txt"), lab.read("b.txt")) == ("two\n", "b\n")
    assert [step.status for step in lab.project.steps(report.run.id)] == [StepStatus.COMPLETED]
    assert lab.result(f"return await {CALL}") == "done"
    assert (lab.asked, lab.read("a.txt")) == (0, "two\n")


def test_stopped_while_it_waits_to_be_merged_nobody_is_asked_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("a.txt", "one\n")

    async def waiting(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await trio.sleep_forever()

    with monkeypatch.context() as patch:
        patch.setattr(landing.MergeQueue, "_decide", waiting)
        report = lab.run(f"return await {CALL}")
    assert report.run.status is RunStatus.INTERRUPTED
    assert (lab.read("a.txt"), lab.lies("b.txt")) == ("one\n", False)
    assert lab.result(f"return await {CALL}") == "done"
    assert (lab.asked, lab.read("a.txt"), lab.read("b.txt")) == (0, "two\n", "b\n")


def test_a_project_that_never_rests_is_a_conflict(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("a.txt", "one\n\n\n")
    decide = landing.MergeQueue._decide
    times = 0

    async def decide_and_edit(queue: landing.MergeQueue, arrival: landing.Arrival) -> object:
        nonlocal times
        times += 1
        decided = await decide(queue, arrival)
        lab.write("a.txt", "one\n\n\n" + "more\n" * times)
        return decided

    monkeypatch.setattr(landing.MergeQueue, "_decide", decide_and_edit)
    report = lab.run(f"return await {CALL}")
    assert report.run.fault is not None
    assert report.run.fault.type == "Conflict"
    assert (times, lab.read("a.txt"), lab.lies("b.txt")) == (5, "one\n\n\n" + "more\n" * 5, False)
