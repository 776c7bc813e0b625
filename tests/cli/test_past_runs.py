"""vibe runs, trace and resume, from a real store."""

from __future__ import annotations

import json

import pytest

from tests.support.command import CommandHere
from tests.support.past_runs import USAGE, a_run, a_step, delivered, fill
from vibe_workflows.engine.events import Logged, PhaseStarted, StepStarted, Warned
from vibe_workflows.engine.model import Attempt, Fault, RunId, RunStatus, StepStatus, ToolCall, Turn
from vibe_workflows.engine.ports import Record, RunEvent


def one_run() -> list[Record]:
    """A stored step, a live one with two turns and a tool call, a failed one, and one that was cut off."""
    run = a_run("aa11", fault=Fault(type="RateLimited", message="review.py:9: too many\x1b[2J requests"))
    kept = a_step("aa00", 1)
    live = a_step("aa11", 2)
    fault = Fault(type="RateLimited", message="the provider said \x1b[31mno", kind="rate_limited")
    failed = a_step("aa11", 3, status=StepStatus.FAILED, fault=fault)
    cut_off = a_step("aa11", 4, status=StepStatus.RUNNING)
    asked = '{"role":"assistant","text":"I shall look.","tool_requests":[{"id":"c1","name":"grep","arguments":"{}"}]}'
    answered = '{"role":"tool","text":"secret of the tool","tool_call_id":"c1"}'
    return [
        a_run("aa00", started_at=500.0),
        run,
        kept,
        live,
        failed,
        cut_off,
        delivered("aa11", 1, kept, stored=True),
        delivered("aa11", 2, live),
        delivered("aa11", 3, failed, phase="Merge"),
        Attempt(step_id=failed.id, number=1, status=StepStatus.FAILED, started_at=1.0, finished_at=2.0, fault=fault),
        Attempt(step_id=failed.id, number=2, status=StepStatus.FAILED, started_at=3.0, finished_at=4.0, fault=fault),
        Turn(
            step_id=live.id,
            number=1,
            attempt=1,
            model="gpt-4o",
            input='[{"role":"user","text":"Look at 2."}]',
            output=asked,
            outcome="tool_calls",
            started_at=1_000.0,
            finished_at=1_001.0,
            usage=USAGE,
        ),
        ToolCall(
            step_id=live.id,
            turn=1,
            number=1,
            call_id="c1",
            name="grep",
            arguments='{"pattern":"TODO"}',
            output="src/a.py:1: TODO \x1b]0;stolen\x07mend",
            outcome="ok",
            started_at=1_001.0,
            finished_at=1_001.5,
        ),
        Turn(
            step_id=live.id,
            number=2,
            attempt=1,
            model="gpt-4o",
            input=f"[{answered}]",
            output='{"role":"assistant","text":"an answer"}',
            outcome="stop",
            started_at=1_001.5,
            finished_at=1_002.5,
            usage=USAGE,
        ),
        *(
            RunEvent(run_id=run.id, event=event)
            for event in (
                PhaseStarted(at=1.0, title="Review", scope=1),
                PhaseStarted(at=2.0, title="Merge", scope=2),
                PhaseStarted(at=3.0, title="Never", scope=3),
                StepStarted(at=4.0, number=4, step=cut_off.id, label="review:4", phase="Merge", kind="agent"),
                Warned(at=5.0, message="1 of 3 failed: rate limited"),
                Logged(at=6.0, message="half way", phase="Review", fields={"n": 2}),
            )
        ),
    ]


@pytest.fixture
def filled(here: CommandHere) -> CommandHere:
    fill(here.command, one_run())
    return here


def test_runs_are_listed_newest_first(filled: CommandHere) -> None:
    lines = filled("runs").stdout.splitlines()
    assert lines[0].split() == ["run", "workflow", "status", "started", "live", "stored", "tokens", "paid"]
    assert [line.split()[0] for line in lines[1:]] == ["aa11", "aa00"]
    assert lines[1].split()[-4:] == ["1", "1", "12.3k", "$0.03"]
    assert json.loads(filled("runs", "--json", "-n", "1").stdout)[0]["run"] == "aa11"


def test_a_trace_is_a_tree_of_phases_and_steps_with_what_each_cost(filled: CommandHere) -> None:
    done = filled("trace")
    assert done.returncode == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0].startswith("run aa11 review")
    assert lines[1:3] == ["/project/review.py", 'arguments {"path":"src"}']
    assert lines[4:] == [
        "# step model turns in out cached cost time",
        "✓ Review 1 stored, 1 live 12.0k 345 50% $0.03 3.0s",
        "= 1 review:1 gpt-4o 2 12.0k 345 50% $0.03 store",
        "✓ 2 review:2 gpt-4o 2 12.0k 345 50% $0.03 2.5s",
        "▸ Merge 1 failed, 1 running 24.0k 690 50% $0.06 1m00s",
        "✗ 3 review:3 gpt-4o 2 12.0k 345 50% $0.03 2.5s",
        "RateLimited: the provider said no",
        "▸ 4 review:4 gpt-4o 2 12.0k 345 50% $0.03",
        "- Never no steps",
        "",
        "warning: 1 of 3 failed: rate limited",
        "1 line logged; `vibe trace aa11 --json` has them",
        "error: review.py:9: too many requests",
        "12.0k tokens in (50% from cache), 345 out, worth $0.03",
        "3 steps: 1 from the store, 1 live, 1 failed, $0.03 paid",
    ]


def test_a_step_shows_its_prompt_turns_and_tool_calls(filled: CommandHere) -> None:
    text = filled("trace", "aa11", "--step", "2").stdout
    assert text.splitlines()[0] == "step #2  review:2  Review  completed  gpt-4o  line 14"
    assert "prompt\nLook at 2.\nClosely." in text
    assert text.count("Look at 2.") == 1, "what the first turn was given is the prompt, which is shown already"
    assert "turn 1  gpt-4o  tool_calls" in text
    assert "I shall look.\n" in text
    assert '  grep {"pattern":"TODO"}  ok  500ms\n    src/a.py:1: TODO mend' in text
    assert "secret of the tool" not in text, "a tool's output stands with its call, once"
    assert text.rstrip().endswith("result\nan answer")


def test_a_stored_step_says_where_its_answer_came_from_and_why(filled: CommandHere) -> None:
    lines = filled("trace", "--step", "1").stdout.splitlines()
    assert lines[0] == "step #1  review:1  Review  from the store  gpt-4o  line 14"
    assert "reuse: nothing that it depends on has changed" in lines
    assert "answered first in run aa00" in lines


def test_a_failed_step_shows_every_attempt(filled: CommandHere) -> None:
    text = filled("trace", "--step", "3").stdout
    waited = "failed after 1.0s, 1.0s, RateLimited: the provider said no; then waited 1.0s"
    assert f"attempts 1 to 2: {waited}" in text
    assert "error\nRateLimited: the provider said no\n" in text


def test_no_text_of_a_script_model_or_tool_reaches_the_terminal_raw(filled: CommandHere) -> None:
    for args in (["trace"], ["runs"], *(["trace", "--step", str(number)] for number in (1, 2, 3, 4))):
        assert "\x1b" not in filled(*args).stdout
        assert "\x07" not in filled(*args).stdout


def test_trace_as_json_holds_what_the_text_shows(filled: CommandHere) -> None:
    run = json.loads(filled("trace", "--json").stdout)
    assert [(step["number"], step["status"], step["stored"]) for step in run["steps"]] == [
        (1, "completed", True),
        (2, "completed", False),
        (3, "failed", False),
        (4, "running", False),
    ]
    assert run["warnings"] == ["1 of 3 failed: rate limited"]
    assert run["log"] == [{"at": 6.0, "phase": "Review", "message": "half way", "fields": {"n": 2}}]
    step = json.loads(filled("trace", "--step", "2", "--json").stdout)
    assert step["spec"]["prompt"] == "Look at 2.\nClosely."
    assert [turn["outcome"] for turn in step["turns"]] == ["tool_calls", "stop"]
    assert step["tool_calls"][0]["output"] == "src/a.py:1: TODO \x1b]0;stolen\x07mend", "JSON is the data as it is"


def test_a_run_is_named_by_a_unique_beginning_of_its_id(filled: CommandHere) -> None:
    assert filled("trace", "aa0").stdout.startswith("run aa00")
    assert filled("trace").stdout.startswith("run aa11"), "without one, the latest"
    ambiguous = filled("trace", "aa")
    assert ambiguous.returncode == 2
    assert "2 runs begin with 'aa'; give more of the id:\n  aa11  review  completed\n  aa00" in ambiguous.stderr
    unknown = filled("trace", "zz")
    assert unknown.returncode == 2
    assert "no run's id begins with 'zz'; `vibe runs` lists them" in unknown.stderr


def test_a_step_that_does_not_exist_is_named_with_how_many_there_are(filled: CommandHere) -> None:
    done = filled("trace", "aa11", "--step", "9")
    assert done.returncode == 2
    assert "run aa11 has no step #9; it has 4 steps, whose numbers `vibe trace aa11` shows" in done.stderr


def test_there_is_nothing_to_resume_where_every_run_completed(filled: CommandHere) -> None:
    done = filled("resume")
    assert done.returncode == 2
    assert "every run of this project has completed" in done.stderr
    named = filled("resume", "aa11")
    assert named.returncode == 2
    assert "run aa11 has completed; `vibe run /project/review.py` runs it again from the store" in named.stderr


def test_resume_leaves_a_run_alone_that_a_later_one_went_on_with(here: CommandHere) -> None:
    arguments = '{"topic":"cocoa","max_items":1}'
    path = str(here.project / "flow.py")
    fill(
        here.command,
        [
            a_run("bb01", started_at=1.0, status=RunStatus.FAILED, path=path),
            a_run(
                "bb02",
                started_at=2.0,
                status=RunStatus.BUDGET_EXCEEDED,
                path=path,
                args=arguments,
                parent=RunId("bb01"),
            ),
            a_run("bb03", started_at=3.0, path=path, parent=RunId("bb02")),
        ],
    )
    done = here("resume")
    assert done.returncode == 2
    assert "every run of this project has completed, or a later one went on with it" in done.stderr
    named = here("resume", "bb02", "--offline")
    assert named.returncode == 0
    assert "going on with run bb02" in named.stderr


def test_what_a_model_began_is_not_ended_by_made_up_answers_unasked(here: CommandHere) -> None:
    began = a_run(
        "bb01",
        status=RunStatus.FAILED,
        path=str(here.project / "flow.py"),
        args='{"topic":"cocoa","max_items":1}',
        model="big/one",
    )
    fill(here.command, [began])
    done = here("resume")
    assert done.returncode == 2
    assert "run bb01 asked big/one, and no model is configured now; name one with --model" in done.stderr
    asked = here("resume", "--offline")
    assert asked.returncode == 0
    assert "going on with run bb01" in asked.stderr


def test_resume_without_a_name_takes_the_latest_run_that_did_not_complete(here: CommandHere) -> None:
    path = str(here.project / "flow.py")
    fill(
        here.command,
        [
            a_run("bb01", started_at=1.0, status=RunStatus.FAILED, path=path, args='{"topic":"oldest"}'),
            a_run(
                "bb02", started_at=2.0, status=RunStatus.INTERRUPTED, path=path, args='{"topic":"cocoa","max_items":1}'
            ),
            a_run("bb03", started_at=3.0, path=path),
        ],
    )
    done = here("resume", "--offline", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["topic"] == "cocoa"
    assert "going on with run bb02" in done.stderr
