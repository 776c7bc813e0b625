"""A step in a worktree that was cut off goes on with what it had changed there, over a new snapshot."""

from __future__ import annotations

import os
import signal

import trio

from tests.support.deeds import do, edit, isolated, read, write
from vibe_workflows.engine.model import ModelReply, ModelRequest, Role, RunStatus

from .conftest import Lab

CALL = isolated(
    [read("a.txt"), write("b.txt", "b\n")],
    [edit("a.txt", "one", "ONE"), edit("a.txt", "ONE", "one"), edit("a.txt", "one", "uno")],
    [read("a.txt"), read("b.txt"), read("c.txt")],
)
SOURCE = f"return await {CALL}"


class Interrupted:
    """A model that stops the process in place of its call of that number."""

    def __init__(self, call: int) -> None:
        self._left = call

    async def __call__(self, request: ModelRequest) -> ModelReply:
        self._left -= 1
        if self._left < 1:
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep_forever()
        return do(request)


def start(lab: Lab, *, until: int) -> None:
    lab.write("a.txt", "one\ntwo\n")
    lab.write("c.txt", "c\n")
    report = lab.run(SOURCE, answer=Interrupted(until))
    assert report.run.status is RunStatus.INTERRUPTED
    assert (lab.read("a.txt"), lab.lies("b.txt")) == ("one\ntwo\n", False)


def shown(lab: Lab) -> list[str]:
    return [message.text for message in lab.project.backend.requests[-1].messages if message.role is Role.TOOL]


def test_it_goes_on_behind_its_last_turn(lab: Lab) -> None:
    start(lab, until=3)
    lab.result(SOURCE)
    assert lab.asked == 2
    assert "uno" in shown(lab)[-3]
    assert (lab.read("a.txt"), lab.read("b.txt")) == ("uno\ntwo\n", "b\n")
    lab.result(SOURCE)
    assert lab.asked == 0


def test_cut_off_before_its_answer_it_sees_the_files_of_now(lab: Lab) -> None:
    start(lab, until=3)
    lab.write("c.txt", "changed meanwhile\n")
    lab.result(SOURCE)
    assert lab.asked == 2
    assert "changed meanwhile" in shown(lab)[-1]
    lab.result(SOURCE)
    assert lab.asked == 0


def test_lines_that_a_person_has_changed_meanwhile_are_merged_with_its_changes(lab: Lab) -> None:
    """It has seen the file of before, so it begins anew."""
    start(lab, until=3)
    lab.write("a.txt", "one\nTWO\n")
    lab.result(SOURCE)
    assert lab.asked == 4
    assert lab.read("a.txt") == "uno\nTWO\n"
    lab.result(SOURCE)
    assert lab.asked == 0


def test_it_is_gone_on_with_again_and_again(lab: Lab) -> None:
    start(lab, until=2)
    for _ in range(2):
        report = lab.run(SOURCE, answer=Interrupted(2))
        assert (report.run.status, lab.asked) == (RunStatus.INTERRUPTED, 2)
        assert lab.read("a.txt") == "one\ntwo\n"
    lab.result(SOURCE)
    assert lab.asked == 1
    assert (lab.read("a.txt"), lab.read("b.txt")) == ("uno\ntwo\n", "b\n")
    lab.result(SOURCE)
    assert lab.asked == 0
