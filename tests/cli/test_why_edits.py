"""What a person is told of edits: by `vibe why` and `vibe trace`, before a run, while it lasts and at its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.obedient_model import name_in, orders_in
from tests.support.whole_runs import RunProject, body, new_project, prompt_of
from vibe_workflows.cli.edits import Edits, edits_of
from vibe_workflows.cli.main import main
from vibe_workflows.cli.render.happenings import edits_adopted, script_restarted
from vibe_workflows.engine.errors import Refused
from vibe_workflows.engine.events import AdoptionCause, EditsAdopted, ScriptRestarted
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, Role, ToolRequest, Usage

DOCS = Path(__file__).resolve().parents[2] / "docs"
USAGE = Usage(input_tokens=1000, output_tokens=10, cost_microusd=5)


def obeys(request: ModelRequest) -> ModelReply:
    """As the obedient model, but for its answer, which is always the same."""
    turn = sum(message.role is Role.ASSISTANT for message in request.messages)
    orders = orders_in(prompt_of(request))
    if turn >= len(orders):
        return ModelReply(text="It needs more.", finish=FinishReason.STOP, usage=USAGE)
    calls = tuple(ToolRequest(id=call.id, name=call.name, arguments=call.arguments) for call in orders[turn])
    return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=USAGE, tool_requests=calls)


def refuses(name: str, turn: int) -> Callable[[ModelRequest], Any]:
    def answer(request: ModelRequest) -> ModelReply | Exception:
        made = sum(message.role is Role.ASSISTANT for message in request.messages)
        return Refused("no") if name_in(prompt_of(request)) == name and made == turn else obeys(request)

    return answer


def step(prompt: str, label: str) -> str:
    return f"await agent(f'{prompt}', tools=['read', 'write'], label='{label}', retries=0)"


class Told:
    """A project whose agents may edit, and `vibe` in it."""

    def __init__(self, project: RunProject, capfd: pytest.CaptureFixture[str]) -> None:
        self.project = project
        self._capfd = capfd

    def run(self, *lines: str, answer: Callable[[ModelRequest], Any] = obeys, **wanted: Any) -> RunReport:
        return self.project.run(body(*lines), answer, flags={"allow": ["write"]}, **wanted)

    def text(self, *args: str) -> str:
        self._capfd.readouterr()
        code = main(args)
        out, err = self._capfd.readouterr()
        assert code == 0, err
        return out

    def json(self, *args: str) -> Any:
        return json.loads(self.text(*args, "--json"))

    @property
    def edits(self) -> Edits:
        """Of the latest run."""
        return edits_of(self.project.seen.events)

    @property
    def adopted(self) -> list[str]:
        return [edits_adopted(event) for event in self.project.seen.of(EditsAdopted)]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Told:
    project = new_project(tmp_path, monkeypatch)
    for name in ("a.txt", "app.py"):
        project.write(name, "one\nbegin end\nthree\n")
    return Told(project, capfd)


REVIEW = "review = " + step("Review: read app.py", "review")
FIX = "fix = " + step("Fix: read app.py; edit app.py end more end; write new.txt text\\n{review}", "fix")
EDITED = [" one", "-begin end", "+begin more end", " three"]


# ---------------------------------------------------------------- vibe why


def test_why_of_a_stored_step_names_what_it_edited_and_whether_that_was_made_again(told: Told) -> None:
    first = told.run(REVIEW, FIX).run.id
    told.run(REVIEW, FIX)
    why = told.json("why", "2")
    files = [{"path": "app.py", "created": False}, {"path": "new.txt", "created": True}]
    assert (why["stored"], why["answer"]["edits"], why["answer"]["edits_made_again"]) == (True, files, False)
    text = told.text("why", "2")
    assert "It edited app.py and new.txt, and what it left there is in place: nothing was edited again." in text
    assert "It had looked at 1 thing; all were looked at again, without the edits that came after" in text
    told.text("undo", first)
    told.run(REVIEW, FIX)
    again = told.json("why", "2")
    assert (again["stored"], again["answer"]["edits"], again["answer"]["edits_made_again"]) == (True, files, True)
    assert "Its edits were made again: app.py and new.txt." in told.text("why", "2")
    assert told.json("trace")["steps"][1]["stored"] is True


def test_why_of_a_step_whose_file_was_edited_by_hand_shows_what_it_left_and_what_was_found(told: Told) -> None:
    first = told.run(FIX.replace("{review}", "")).run.id
    told.project.write("app.py", "one\nbegin more end\n3\n")
    told.run(FIX.replace("{review}", ""))
    why = told.json("why", "1")
    way = why["in_the_way"]
    assert (why["cause"], way["step"], way["path"]) == ("edited_since", f"{first}-1", "app.py")
    assert (way["later"], way["adopted"], way["as_it_was_left"]) == (None, None, False)
    assert way["diff"]["lines"] == ["@@ -1,3 +1,3 @@", " one", " begin more end", "-three", "+3"]
    text = told.text("why", "1")
    assert f"app.py is no longer as {first}-1 of run {first} left it: it was edited by hand." in text
    assert "  -three\n  +3" in text


def test_why_names_the_step_of_another_run_that_edited_the_file_since(told: Told) -> None:
    told.run(FIX.replace("{review}", ""))
    run = told.run(step("Other: edit app.py more most", "other")).run.id
    told.run(FIX.replace("{review}", ""))
    why = told.json("why", "1")
    assert why["in_the_way"]["later"] == {"step": f"{run}-1", "run": run, "label": "other"}
    assert f"other of run {run} edited it since" in told.text("why", "1")


def test_why_of_a_step_whose_edit_was_adopted_names_by_whom_and_the_undo_that_would_have_spared_it(told: Told) -> None:
    first = told.run(REVIEW, FIX).run.id
    told.run(REVIEW.replace("Review:", "Review it well:"), FIX)
    way = told.json("why", "2")["in_the_way"]
    assert (way["path"], way["adopted"]) == ("app.py", {"why": "live", "by": 1, "undo": first})
    text = told.text("why", "2")
    assert "#1 review came before it and ran on the file as it lay." in text
    assert f"`vibe undo {first}` before that run would have spared it." in text


def test_why_after_accept_does_not_blame_a_person(told: Told) -> None:
    told.run(FIX.replace("{review}", ""))
    told.run(FIX.replace("{review}", ""), accept=True)
    assert told.json("why", "1")["in_the_way"]["as_it_was_left"] is True
    text = told.text("why", "1")
    assert "as it does after --accept" in text
    assert "by hand" not in text


def test_why_of_another_attempt_names_the_one_whose_edits_it_owns(told: Told) -> None:
    line = "return " + step("Fix: edit app.py end more end; read a.txt", "fix")
    first = told.run(line, answer=refuses("Fix", 1)).run.id
    told.run(line)
    why = told.json("why", "1")
    assert why["attempt_after"] == {
        "step": f"{first}-1",
        "run": first,
        "status": "failed",
        "error": why["attempt_after"]["error"],
        "edited": ["app.py"],
    }
    text = told.text("why", "1")
    assert f"It is another attempt after {first}-1 of run {first} (failed, Refused: no)." in text
    assert "What that edited (app.py) counts as its own work." in text


# ---------------------------------------------------------------- vibe trace


def test_a_trace_shows_what_was_edited_with_diffs_of_the_whole_step(told: Told) -> None:
    two = "return " + step("Fix: edit app.py end more end; edit app.py more most; write new.txt text", "fix")
    run = told.run(two).run.id
    assert "1 file edited: app.py; 1 file created: new.txt" in told.text("trace").splitlines()
    assert told.json("trace")["edited"] == [
        {"path": "app.py", "created": False},
        {"path": "new.txt", "created": True},
    ]
    edited = told.json("trace", run, "--step", "1")["edited"]
    assert [(each["path"], each["created"]) for each in edited] == [("app.py", False), ("new.txt", True)]
    assert edited[0]["diff"]["lines"][1:] == [" one", "-begin end", "+begin most end", " three"]
    assert edited[1]["diff"]["lines"] == ["+text"]
    text = told.text("trace", "--step", "1")
    assert "edited app.py\n  @@ -1,3 +1,3 @@\n   one\n  -begin end\n  +begin most end\n   three" in text
    assert "created new.txt\n  +text\n" in text


def test_a_trace_of_a_failed_step_shows_its_edits_too(told: Told) -> None:
    line = "return " + step("Fix: edit app.py end more end; read a.txt", "fix")
    told.run(line, answer=refuses("Fix", 1))
    (edited,) = told.json("trace", "--step", "1")["edited"]
    assert edited["diff"]["lines"][1:] == EDITED


def test_contents_that_are_no_text_have_no_diff(told: Told) -> None:
    told.project.write("app.py", b"\0\1")
    told.run("return " + step("Fix: write app.py text", "fix"))
    assert told.json("trace", "--step", "1")["edited"] == [{"path": "app.py", "created": False, "diff": None}]
    assert "edited app.py\n  no text, or not kept" in told.text("trace", "--step", "1")


# ---------------------------------------------------------------- before a run, while it lasts, and at its end


def test_a_dry_run_says_which_edits_would_be_made_again(told: Told) -> None:
    first = told.run(REVIEW, FIX).run.id
    assert told.project.dry_run(body(REVIEW, FIX), flags={"allow": ["write"]}).edits == {}
    told.text("undo", first)
    ahead = told.project.dry_run(body(REVIEW, FIX), flags={"allow": ["write"]})
    assert ahead.edits == {"app.py": False, "new.txt": True}
    assert not (told.project.folder / "new.txt").exists()
    assert "Edits of stored steps would be made again: app.py and new.txt." in told.text(
        "run", "flow.py", "--allow", "write", "--model", "scripted", "--dry-run"
    )


def test_the_last_lines_say_what_was_edited_and_how_to_take_it_back(told: Told) -> None:
    first = told.run(REVIEW, FIX).run.id
    assert told.edits.lines() == [
        f"1 file edited: app.py; 1 file created: new.txt. To take that back: `vibe undo {first}`"
    ]
    told.run(REVIEW, FIX)
    assert told.edits.lines() == []
    assert told.edits.to_json() == []


def test_a_changed_step_that_meets_edits_of_the_run_before_is_told_and_what_it_cost_at_the_end(told: Told) -> None:
    first = told.run(REVIEW, FIX).run.id
    second = told.run(REVIEW.replace("Review:", "Review it well:"), FIX).run.id
    line = (
        "#1 review runs on app.py as fix left it in an earlier run. "
        f"For the file of before: stop it, `vibe undo {first}`, and run again"
    )
    assert told.adopted == [line]
    assert line.replace(first, "7f4c8e115e") in (DOCS / "reuse.md").read_text()
    assert told.edits.lines()[-1] == (
        "1 step ran again, since an earlier run had edited app.py. "
        f"With `vibe undo {second}` before the next change of the script, that change costs no more than itself"
    )


def test_a_change_behind_an_undo_costs_only_itself_as_the_last_line_promised(told: Told) -> None:
    told.run(REVIEW, FIX)
    second = told.run(REVIEW.replace("Review:", "Review it well:"), FIX).run.id
    told.text("undo", second)
    told.run(REVIEW.replace("Review:", "Review it best:"), FIX)
    assert {name_in(prompt) for prompt in told.project.prompts} == {"Review it best"}
    assert told.adopted == []
    assert len(told.edits.lines()) == 1


def test_a_step_that_was_taken_out_leaves_its_edits_and_the_run_says_so(told: Told) -> None:
    first = told.run(REVIEW, FIX, step("Other: edit a.txt end more end", "other")).run.id
    told.run(REVIEW, FIX)
    assert told.adopted == [f"a.txt stays as other left it in an earlier run; `vibe undo {first}` takes that back"]


@pytest.mark.parametrize(
    ("why", "line"),
    [
        (AdoptionCause.LIVE, "#2 b runs on x and y as they lie"),
        (AdoptionCause.REPLACED, "#2 b was changed, and runs on x and y as they lie"),
        (AdoptionCause.TRUE_NOW, "#2 b holds for x and y as they lie"),
        (AdoptionCause.LEFT, "x and y stay as they lie"),
    ],
)
def test_an_adoption_is_told_also_where_nobody_knows_whose_edits_they_were(why: AdoptionCause, line: str) -> None:
    assert edits_adopted(EditsAdopted(at=0.0, paths=("x", "y"), why=why, number=2, label="b")) == line


def test_a_script_that_starts_over_says_whose_answer_did_not_hold(told: Told) -> None:
    one = step("One: read app.py; edit app.py end more end", "one")
    told.run(one, step("Two: read app.py; edit app.py end most end", "two"))
    told.run(one, step("Two again: read app.py; edit app.py end most end", "two"))
    assert told.adopted[0].startswith("#2 two was changed, and runs on app.py as two left it in an earlier run.")
    (event,) = told.project.seen.of(ScriptRestarted)
    assert script_restarted(event) == (
        "the script starts over, since #1 one was answered for app.py as it was before; what still holds comes from "
        "the store"
    )
    assert "1 step ran again" in told.edits.lines()[-1]
