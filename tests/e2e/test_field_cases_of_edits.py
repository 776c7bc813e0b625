"""Steps that edit files, run again: nothing is edited twice, nothing of a person is overwritten, no turn is paid twice.

Every invocation is a process of its own, and model calls are counted where they arrive: at the server. The model does
what its prompt says, call by call (tests/support/obedient_model.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.behaviours import Answer, Behaviour, Fail, Hang
from tests.support.exchanges import SeenRequest
from tests.support.field_project import Ended, FieldProject, prompt_of
from tests.support.leaks import wait_until
from tests.support.obedient_model import name_in, obey

FIX = """\
async def main(args):
    return await agent("Fix: read f.txt; edit f.txt end more end", tools=["read", "write"], retries=0)
"""


@pytest.fixture
def files(project: FieldProject) -> FieldProject:
    """A project with a few files, whose model obeys."""
    project.model.handler = obey
    for name in ("a.txt", "b.txt", "f.txt"):
        project.write(name, "begin end\n")
    return project


def run(project: FieldProject, source: str, *more: str, code: int = 0) -> Ended:
    project.write("flow.py", source)
    return project.run("flow.py", "--allow", "write", *more, code=code)


def shown(request: SeenRequest) -> list[str]:
    """What the tools of a step have shown its model up to this request."""
    return [message.text for message in request.conversation().messages if message.role == "tool"]


def asked(ended: Ended) -> list[str]:
    """Each request, by all that it says."""
    return [json.dumps(request.body["messages"]) for request in ended.requests]


def names(ended: Ended) -> set[str]:
    """The steps that asked a model."""
    return {name_in(prompt) for prompt in ended.prompts}


def identity(path: Path) -> tuple[int, int]:
    """Another one after any write, also of the same content."""
    stat = os.stat(path)
    return stat.st_ino, stat.st_mtime_ns


# ---------------------------------------------------------------- a rerun


def test_a_step_that_read_a_file_and_edited_it_is_free_and_its_file_is_not_edited_twice(files: FieldProject) -> None:
    first = run(files, FIX)
    assert len(first.requests) == 3
    assert files.read("f.txt") == "begin more end\n"
    before = identity(files.folder / "f.txt")
    for _ in range(2):
        again = run(files, FIX)
        assert again.prompts == []
        assert again.result == first.result
        assert identity(files.folder / "f.txt") == before


def test_a_file_that_was_not_there_when_a_step_wrote_it_is_not_written_twice(files: FieldProject) -> None:
    source = FIX.replace("read f.txt; edit f.txt end more end", "read new/g.txt; write new/g.txt something")
    first = run(files, source)
    assert files.read("new/g.txt") == "something"
    before = identity(files.folder / "new/g.txt")
    again = run(files, source)
    assert (again.prompts, again.result) == ([], first.result)
    assert identity(files.folder / "new/g.txt") == before


FAN_OUT = """\
async def main(args):
    return await parallel(
        agent(f"{name}: read {name}.txt; edit {name}.txt end more end", tools=["read", "write"]) for name in ("a", "b")
    )
"""


def test_agents_that_edit_different_files_side_by_side_are_free_in_whatever_order(files: FieldProject) -> None:
    first = run(files, FAN_OUT)
    assert len(first.requests) == 6
    assert files.read("a.txt") == files.read("b.txt") == "begin more end\n"
    for source, flags in (
        (FAN_OUT, ()),
        (FAN_OUT, ("--concurrency", "1")),
        (FAN_OUT.replace('("a", "b")', '("b", "a")'), ()),
    ):
        again = run(files, source, *flags)
        assert again.prompts == []
        assert sorted(again.result) == sorted(first.result)
        assert files.read("a.txt") == files.read("b.txt") == "begin more end\n"


# ---------------------------------------------------------------- what a person did in between

TWO = """\
async def main(args):
    both = agent(
        "Both: read a.txt & read b.txt; edit a.txt end more end; edit b.txt end more end", tools=["read", "write"]
    )
    other = agent("Other: read f.txt; edit f.txt end more end", tools=["read", "write"])
    return await parallel([both, other])
"""


def test_the_revert_of_one_of_two_files_is_respected_and_its_step_is_live(files: FieldProject) -> None:
    run(files, TWO)
    edited = identity(files.folder / "b.txt")
    files.write("a.txt", "begin end\n")
    again = run(files, TWO)
    assert names(again) == {"Both"}
    assert len(again.requests) == 4
    # It began with the files as they lie: nothing was taken back, nothing made again behind the person's back.
    in_a, in_b = shown(again.requests[1])
    assert "more" not in in_a
    assert "more" in in_b
    # Then it did what it was asked for, once in each file.
    assert files.read("a.txt") == "begin more end\n"
    assert files.read("b.txt") == "begin more more end\n"
    assert identity(files.folder / "b.txt") != edited
    assert files.read("f.txt") == "begin more end\n"
    assert run(files, TWO).prompts == []


def test_a_revert_of_all_that_a_step_edited_is_as_good_as_an_undo(files: FieldProject) -> None:
    """What it saw is true again: it is made again without a call. A look ahead makes nothing."""
    first = run(files, FIX)
    files.write("f.txt", "begin end\n")
    before = identity(files.folder / "f.txt")
    ahead = files.run("flow.py", "--allow", "write", "--dry-run")
    assert (ahead.requests, len(ahead.document["live"])) == ((), 0)
    assert identity(files.folder / "f.txt") == before
    again = run(files, FIX)
    assert (again.prompts, again.result) == ([], first.result)
    assert files.read("f.txt") == "begin more end\n"


def test_a_hand_edit_of_a_file_that_nobody_touched_runs_nothing_again(files: FieldProject) -> None:
    first = run(files, FIX)
    files.write("a.txt", "by hand\n")
    files.write("new.txt", "by hand\n")
    (files.folder / "b.txt").unlink()
    again = run(files, FIX)
    assert (again.prompts, again.result) == ([], first.result)
    assert files.read("f.txt") == "begin more end\n"
    assert files.read("a.txt") == files.read("new.txt") == "by hand\n"


def test_a_hand_edit_on_top_of_an_edit_stays_and_runs_that_step_again_on_it(files: FieldProject) -> None:
    run(files, FIX)
    files.write("f.txt", "by hand, end\n")
    again = run(files, FIX)
    assert len(again.requests) == 3
    assert "by hand" in shown(again.requests[1])[0]
    assert files.read("f.txt") == "by hand, more end\n"
    assert run(files, FIX).prompts == []


# ---------------------------------------------------------------- a review before the fix

REVIEWED = """\
async def main(args):
    review = await agent("Review: read f.txt", tools=["read"])
    fix = await agent(f"Fix: read f.txt; edit f.txt end more end\\n{review}", tools=["read", "write"])
    return [review, fix]
"""


def approve(request: SeenRequest) -> Behaviour:
    """Reviews say the same of every text, so that what comes behind them is asked in the same words."""
    found = obey(request)
    reviews = prompt_of(request).startswith("Review") and isinstance(found, Answer) and not found.calls
    return Answer(text="It needs more.") if reviews else found


def test_a_review_before_an_edit_of_the_same_file_is_free_on_the_rerun(files: FieldProject) -> None:
    first = run(files, REVIEWED)
    assert len(first.requests) == 5
    again = run(files, REVIEWED)
    assert (again.prompts, again.result) == ([], first.result)
    assert files.read("f.txt") == "begin more end\n"


def test_a_review_in_other_words_sees_the_edited_file_and_the_person_is_told(files: FieldProject) -> None:
    files.model.handler = approve
    run(files, REVIEWED)
    again = run(files, REVIEWED.replace("Review:", "Review it well:"))
    assert names(again) == {"Review it well", "Fix"}
    assert "begin more end" in shown(again.requests[1])[0]
    assert "f.txt" in again.err
    assert "vibe undo" in again.err
    assert files.read("f.txt") == "begin more more end\n"


def test_after_an_undo_a_review_in_other_words_costs_just_itself(files: FieldProject) -> None:
    files.model.handler = approve
    first = run(files, REVIEWED)
    undone = files.vibe("undo", first.document["run"])
    assert undone.code == 0, undone.err
    assert files.read("f.txt") == "begin end\n"
    again = run(files, REVIEWED.replace("Review:", "Review it well:"))
    assert names(again) == {"Review it well"}
    assert len(again.requests) == 2
    assert "more" not in shown(again.requests[1])[0]
    assert files.read("f.txt") == "begin more end\n"  # made again, without a call
    assert again.result == first.result


def test_after_an_undo_the_same_workflow_makes_its_edits_again_without_a_call(files: FieldProject) -> None:
    first = run(files, REVIEWED)
    assert files.vibe("undo", first.document["run"]).code == 0
    again = run(files, REVIEWED)
    assert (again.prompts, again.result) == ([], first.result)
    assert files.read("f.txt") == "begin more end\n"


# ---------------------------------------------------------------- failures and deaths


def failing_at(turn: int, failure: Behaviour, step: str = "Fix") -> Callable[[SeenRequest], Behaviour]:
    def behave(request: SeenRequest) -> Behaviour:
        messages = request.conversation().messages
        here = f"{step}: " in prompt_of(request) and sum(each.role == "assistant" for each in messages) == turn
        return failure if here else obey(request)

    return behave


def test_a_step_that_edited_and_was_refused_is_tried_again_on_the_files_as_they_lie(files: FieldProject) -> None:
    files.model.handler = failing_at(2, Fail(status=400, code="content_filter"))
    assert len(run(files, FIX, code=1).requests) == 3
    assert files.read("f.txt") == "begin more end\n"

    files.model.handler = obey
    again = run(files, FIX)
    assert [len(shown(request)) for request in again.requests] == [0, 1, 2]
    assert "begin more end" in shown(again.requests[1])[0]
    assert files.read("f.txt") == "begin more more end\n"
    assert run(files, FIX).prompts == []
    assert files.read("f.txt") == "begin more more end\n"


def test_a_step_that_edited_and_met_an_outage_goes_on_behind_its_edit(files: FieldProject) -> None:
    files.model.handler = failing_at(2, Fail(status=503, message="down"))
    first = run(files, FIX, code=1)
    edited = identity(files.folder / "f.txt")
    files.model.handler = obey
    again = run(files, FIX)
    assert asked(again) == asked(first)[-1:]
    assert files.read("f.txt") == "begin more end\n"
    assert identity(files.folder / "f.txt") == edited


def test_a_step_that_edited_a_file_which_it_was_given_goes_on_behind_its_edit(files: FieldProject) -> None:
    given = FIX.replace("retries=0", 'retries=0, files=["f.txt"]')
    files.model.handler = failing_at(2, Fail(status=503, message="down"))
    first = run(files, given, code=1)
    files.model.handler = obey
    again = run(files, given)
    assert asked(again) == asked(first)[-1:]
    assert files.read("f.txt") == "begin more end\n"
    assert run(files, given).requests == ()


def test_a_step_that_was_given_a_file_before_it_was_edited_is_free_on_the_rerun(files: FieldProject) -> None:
    source = FIX.replace("    return", '    await agent("Review:", files=["f.txt"])\n    return')
    first = run(files, source)
    assert len(first.requests) == 4
    assert run(files, source).requests == ()
    files.write("f.txt", "begin end\n")
    assert run(files, source).requests == ()
    assert files.read("f.txt") == "begin more end\n"


@pytest.mark.parametrize("moment", ["the file has just changed", "the next turn is under way"])
def test_after_kill_9_behind_an_edit_it_is_made_once_and_no_turn_is_asked_twice(
    files: FieldProject, moment: str
) -> None:
    """It may come before the edit is marked as done, before its output is stored, or later: it comes to the same."""
    files.model.handler = failing_at(2, Hang())
    files.write("flow.py", FIX)
    begun = files.start("run", "flow.py", "--allow", "write")
    if moment == "the next turn is under way":
        files.model.wait_requests(3)
    assert wait_until(lambda: files.read("f.txt") == "begin more end\n", 60)
    killed = files.kill(begun)
    edited = identity(files.folder / "f.txt")

    files.model.handler = obey
    again = run(files, FIX)
    assert len(again.requests) == 1, "the turns that were finished are not asked for again"
    assert asked(again)[0] not in asked(killed)[:2]
    assert asked(killed)[2:] in ([], asked(again)), "a turn that was under way is asked for in the same words"
    assert files.read("f.txt") == "begin more end\n"
    assert identity(files.folder / "f.txt") == edited
    assert run(files, FIX).prompts == []


# ---------------------------------------------------------------- grants


def test_a_workflow_that_asks_for_writing_runs_nothing_before_it_is_allowed(files: FieldProject) -> None:
    files.write("flow.py", 'meta = {"permissions": ["read", "write"]}\n' + FIX)
    refused = files.vibe("run", "flow.py")
    assert refused.code == 6
    assert "--allow write" in refused.err
    assert refused.requests == ()
    assert files.read("f.txt") == "begin end\n"
    assert not (files.folder / ".vibe").exists()
    allowed = files.run("flow.py", "--allow", "write")
    assert files.read("f.txt") == "begin more end\n"
    assert len(allowed.requests) == 3


def test_a_step_that_may_not_write_is_denied_before_a_model_is_asked(files: FieldProject) -> None:
    files.write("flow.py", FIX)
    denied = files.run("flow.py", code=1)
    assert denied.document["error"]["type"] == "ToolDenied"
    assert "--allow write" in denied.err
    assert denied.requests == ()
    assert files.read("f.txt") == "begin end\n"


RACE = """\
async def main(args):
    return await race([agent("Fix: edit f.txt end more end", tools=["write"]), agent("Wait")])
"""


def test_a_step_that_writes_in_a_race_is_told_to_take_a_worktree(files: FieldProject) -> None:
    files.write("flow.py", RACE)
    refused = files.vibe("run", "flow.py", "--allow", "write", "--json")
    assert refused.code != 0
    assert "worktree" in refused.err
    assert refused.requests == ()
    assert files.read("f.txt") == "begin end\n"
