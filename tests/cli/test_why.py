"""vibe why: each kind of decision, on stores that real runs wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.command import CommandHere
from tests.support.past_runs import a_run, a_step, delivered, fill
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.cli.main import main
from vibe_workflows.engine.errors import ExitCode, ProviderError, Refused
from vibe_workflows.engine.model import (
    Cause,
    Fault,
    FinishReason,
    Grounds,
    ModelReply,
    ModelRequest,
    Role,
    RunId,
    RunStatus,
    StepStatus,
    ToolRequest,
    Usage,
)

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
USAGE = Usage(input_tokens=1000, output_tokens=10, cost_microusd=5)
READER = body("return await agent('Read both', tools=['read'], label='reader', retries=0)")
ASKER = body("return await agent('Ask about tea', label='ask')")


class Asked:
    """A project, and `vibe` in it."""

    def __init__(self, project: RunProject, capfd: pytest.CaptureFixture[str]) -> None:
        self.project = project
        self._capfd = capfd

    def text(self, *args: str) -> str:
        code, out, err = self.vibe(*args)
        assert code == 0, err
        return " ".join(out.split())

    def vibe(self, *args: str) -> tuple[int, str, str]:
        self._capfd.readouterr()
        code = main(args)
        out, err = self._capfd.readouterr()
        return code, out, err

    def why(self, step: str = "1") -> dict[str, Any]:
        code, out, err = self.vibe("why", step, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Asked:
    return Asked(new_project(tmp_path, monkeypatch), capfd)


def reads(*paths: str) -> Callable[[ModelRequest], ModelReply]:
    """A model that reads these files, one a turn, and then is done."""

    def answer(request: ModelRequest) -> ModelReply:
        turn = turns_made(request)
        if turn < len(paths):
            call = ToolRequest(id=f"c{turn}", name="read_file", arguments=json.dumps({"path": paths[turn]}))
            return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=USAGE, tool_requests=(call,))
        return ModelReply(text="done", finish=FinishReason.STOP, usage=USAGE)

    return answer


def turns_made(request: ModelRequest) -> int:
    return sum(message.role is Role.ASSISTANT for message in request.messages)


def fails_at(turn: int, error: Exception, *paths: str) -> Callable[[ModelRequest], Any]:
    return lambda request: error if turns_made(request) == turn else reads(*paths)(request)


def fields(why: dict[str, Any]) -> list[str]:
    return [change["field"] for change in why["nearest"]["changes"]]


# ---------------------------------------------------------------- answered from the store


def test_a_hit_names_the_step_that_answered_its_run_and_age_and_all_that_it_saw(asked: Asked) -> None:
    asked.project.write("a.txt", "one")
    first = asked.project.run(READER, reads("a.txt", "missing.txt")).run.id
    asked.project.run(READER, reads())
    why = asked.why()
    answer = why["answer"]
    assert (why["stored"], why["cause"], answer["step"], answer["run"]) == (True, "same_place", f"{first}-1", first)
    assert 0 <= answer["age_s"] < 60
    looked = [(each["tool"], each["arguments"]["path"]) for each in answer["observations"]]
    assert looked == [("read_file", "a.txt"), ("read_file", "missing.txt")]
    text = asked.text("why", "1")
    assert f"Answered from the store by {first}-1 of run {first}" in text
    assert "given in this same place" in text
    assert "2 things; all were looked at again and are the same" in text
    assert 'read_file {"path":"missing.txt"' in text
    assert "The next run" not in text


def test_a_hit_that_saw_nothing_says_so_and_one_from_another_place_too(asked: Asked) -> None:
    asked.project.run(ASKER)
    asked.project.run(body("await agent('First', label='first')", "return await agent('Ask about tea', label='ask')"))
    why = asked.why("2")
    assert (why["cause"], why["answer"]["own_place"]) == ("oldest", False)
    text = asked.text("why", "2")
    assert "the oldest that was left" in text
    assert "It had looked at nothing in the project" in text


def test_a_step_that_went_on_names_the_one_that_was_cut_off_and_its_turns(asked: Asked) -> None:
    asked.project.write("a.txt", "one")
    cut_off = asked.project.run(READER, fails_at(1, ProviderError("down"), "a.txt")).run.id
    asked.project.run(READER, reads("a.txt"))
    why = asked.why()
    assert why["cause"] == "goes_on"
    assert (why["went_on"]["step"], why["went_on"]["turns"]) == (f"{cut_off}-1", 1)
    assert why["went_on"]["error"]["type"] == "ProviderError"
    told = asked.text("why", "1")
    assert f"went on with {cut_off}-1 of run {cut_off}, which was cut off after 1 turn: ProviderError: down" in told


# ---------------------------------------------------------------- nothing stored for this input


def test_an_edited_prompt_is_shown_as_a_diff_with_the_step_that_stood_there_before(asked: Asked) -> None:
    first = asked.project.run(ASKER).run.id
    asked.project.run(ASKER.replace("about tea", "about coffee"))
    why = asked.why()
    near = why["nearest"]
    assert why["cause"] == "nothing_stored"
    assert (near["how"], near["step"], near["run"], near["number"]) == ("same_call", f"{first}-1", first, 1)
    assert fields(why) == ["prompt"]
    assert near["changes"][0]["diff"]["lines"] == ["@@ -1 +1 @@", "-Ask about tea", "+Ask about coffee"]
    text = asked.text("why", "1")
    assert f"It ran, because no stored answer is for this input. Step #1 'ask' of run {first}" in text
    assert "What differs: prompt." in text
    assert "-Ask about tea +Ask about coffee" in text


@pytest.mark.parametrize(
    ("before", "after", "field", "told"),
    [
        ("", "system='Be brief.'", "system", "+Be brief."),
        ("context='one'", "context='two'", "context", "is another (the spec holds only a digest of it)"),
        ("", "context='two'", "context", "had none before"),
        ("", "temperature=0.5", "temperature", "not given -> 0.5"),
        ("effort='low'", "effort='high'", "effort", "low -> high"),
        ("", "max_turns=3", "max_turns", "not given -> 3"),
        ("cache='a'", "cache='b'", "salt", "a -> b"),
        ("files=['a.txt']", "files=['b.txt']", "files", "added: b.txt; gone: a.txt"),
        ("files=['a.txt', 'b.txt']", "files=['b.txt', 'a.txt']", "files", "in another order"),
    ],
)
def test_exactly_the_field_that_differs_is_named(asked: Asked, before: str, after: str, field: str, told: str) -> None:
    asked.project.write("a.txt", "one")
    asked.project.write("b.txt", "two")
    source = "return await agent('Ask', label='ask', {})"
    asked.project.run(body(source.format(before)))
    asked.project.run(body(source.format(after)))
    assert fields(asked.why()) == [field]
    assert told in asked.text("why", "1")


def test_a_file_that_goes_along_and_was_edited_is_named(asked: Asked) -> None:
    asked.project.write("a.txt", "one")
    asked.project.write("b.txt", "same")
    source = body("return await agent('Ask', label='ask', files=['b.txt', 'a.txt'])")
    first = asked.project.run(source).run.id
    asked.project.run(source)
    assert "It had looked at 2 things; all were looked at again and are the same: file b.txt file a.txt" in asked.text(
        "why", "1"
    )
    asked.project.write("a.txt", "other")
    asked.project.run(source)
    why = asked.why()
    assert (why["cause"], why["changed"]["step"], why["changed"]["arguments"]) == (
        "changed",
        f"{first}-1",
        {"path": "a.txt"},
    )
    assert why["reason"] == f"live: what {first}-1 saw has changed: file a.txt"
    text = asked.text("why", "1")
    assert f"It ran, because something that {first}-1 of run {first} saw is different now." in text
    assert "It is the file a.txt: what is in it has changed." in text


def test_a_step_that_failed_with_other_files_was_not_asked_the_same(asked: Asked) -> None:
    asked.project.write("a.txt", "one")
    source = body("return await agent('Ask', label='ask', files=['a.txt'])")
    first = asked.project.run(source, lambda _request: Refused("I will not.")).run.id
    asked.project.write("a.txt", "other")
    asked.project.run(source)
    assert asked.why()["nearest"] is None
    asked.project.write("a.txt", "one")
    asked.project.run(source)
    assert (asked.why()["nearest"]["how"], asked.why()["nearest"]["run"]) == ("same_input", first)


def test_tools_that_were_added_are_named_with_their_grant(asked: Asked) -> None:
    asked.project.run(body("return await agent('Ask', label='ask', system='S', tools=['glob'])"))
    asked.project.run(body("return await agent('Ask', label='ask', system='S', tools=['glob', 'grep'])"))
    assert fields(asked.why()) == ["tools"]
    assert "tools added: grep" in asked.text("why", "1")


def test_another_schema_is_shown_as_a_diff(asked: Asked) -> None:
    source = "return await agent('Ask', label='ask', schema={{'type': '{}'}})"
    asked.project.run(body(source.format("string")), lambda _request: '{"value": "x"}')
    asked.project.run(body(source.format("integer")), lambda _request: '{"value": 1}')
    why = asked.why()
    assert fields(why) == ["schema"]
    assert '+ "type": "integer"' in " ".join(" ".join(why["nearest"]["changes"][0]["diff"]["lines"]).split())


def test_another_model_says_which_rule_chose_each(asked: Asked) -> None:
    asked.project.run(ASKER)
    asked.project.run(ASKER.replace("label=", "model='scripted/b', label="))
    assert fields(asked.why()) == ["model"]
    text = asked.text("why", "1")
    assert "model scripted -> scripted/b" in text
    assert "chosen then by --model, now by agent(model=)" in text


def test_a_step_that_is_new_in_its_script_is_compared_with_the_most_similar_one(asked: Asked) -> None:
    first = asked.project.run(
        body(
            "await agent('Sing a song of sixpence, a pocket full of rye', label='song')",
            "return await agent('Ask about the price of tea in China today', label='ask')",
        )
    ).run.id
    asked.project.run(body("return await agent('Ask about the price of tea in China tomorrow', label='other')"))
    near = asked.why()["nearest"]
    assert (near["how"], near["label"], near["step"]) == ("most_alike", "ask", f"{first}-2")
    assert "is the most like it of all in the store. What differs: prompt." in asked.text("why", "1")


def test_a_step_like_no_other_is_compared_with_none_and_never_with_its_own_run(asked: Asked) -> None:
    asked.project.run(body("return await agent('Sing a song of sixpence', label='song')"))
    asked.project.run(body("return await parallel(agent(f'Price of tea {n}', label=f'tea:{n}') for n in range(2))"))
    assert asked.why("1")["nearest"] is asked.why("2")["nearest"] is None
    assert asked.text("why", "1").endswith("It ran, because no stored answer is for this input.")


def test_like_steps_that_fail_together_are_not_each_others_earlier_failure(asked: Asked) -> None:
    asked.project.run(body("return await parallel(agent('Vote') for _ in range(2))"), lambda _request: Refused("no"))
    assert asked.why("2")["nearest"] is None


def test_an_answer_that_came_too_late_to_be_seen_is_not_told_as_a_difference(here: CommandHere) -> None:
    step = a_step("run1", 1)
    late = replace(a_step("run2", 2), spec=step.spec, key=step.key, started_at=2_000.0)
    grounds = Grounds(cause=Cause.NOTHING_STORED)
    asked_late = replace(delivered("run2", 1, late), grounds=grounds)
    fill(
        here.command,
        [a_run("run1"), step, delivered("run1", 1, step), a_run("run2", started_at=2.0e3), late, asked_late],
    )
    assert json.loads(here("why", "1", "--json").stdout)["nearest"] is None


def test_the_same_input_that_failed_before_is_told_apart_from_a_new_one(asked: Asked) -> None:
    failed = asked.project.run(ASKER, lambda _request: Refused("I will not")).run.id
    asked.project.run(ASKER, lambda _request: "fine")
    near = asked.why()["nearest"]
    assert (near["how"], near["run"], near["status"], near["changes"]) == ("same_input", failed, "failed", [])
    text = asked.text("why", "1")
    assert "was asked the very same and came to no answer: failed, Refused: I will not. Such a step is never" in text


# ---------------------------------------------------------------- stored, and no answer all the same


def test_a_file_that_was_edited_is_named_with_what_the_tool_gave_then_and_now(asked: Asked) -> None:
    asked.project.write("a.txt", "one\ntwo\n")
    first = asked.project.run(READER, reads("a.txt")).run.id
    asked.project.write("a.txt", "one\nthree\n")
    asked.project.run(READER, reads("a.txt"))
    why = asked.why()
    changed = why["changed"]
    assert (why["cause"], changed["step"], changed["tool"]) == ("changed", f"{first}-1", "read_file")
    assert changed["arguments"]["path"] == "a.txt"
    assert [line for line in changed["diff"]["lines"] if line[0] in "+-"] == ["-2\ttwo", "+2\tthree"]
    assert why["nearest"] is None, "the input is the same"
    text = asked.text("why", "1")
    assert f"because something that {first}-1 of run {first} saw is different now" in text
    assert 'What read_file {"path":"a.txt","start":1} gave then (-), and when it was called now (+):' in text
    assert "-2 two +2 three" in text


def test_a_file_that_was_absent_and_now_exists_is_told_too(asked: Asked) -> None:
    asked.project.run(READER, reads("a.txt"))
    asked.project.write("a.txt", "here")
    asked.project.run(READER, reads("a.txt"))
    lines = asked.why()["changed"]["diff"]["lines"]
    assert any(line.startswith("-") and "a.txt" in line for line in lines)
    assert "+1\there" in lines


def test_a_step_that_was_cut_off_and_whose_file_was_edited_is_named_as_the_one_that_did_not_hold(asked: Asked) -> None:
    asked.project.write("a.txt", "one")
    cut_off = asked.project.run(READER, fails_at(2, ProviderError("down"), "a.txt", "b.txt")).run.id
    asked.project.write("a.txt", "two")
    asked.project.run(READER, reads("a.txt", "b.txt"))
    why = asked.why()
    assert (why["cause"], why["changed"]["step"], why["went_on"]) == ("changed", f"{cut_off}-1", None)
    assert "+1\ttwo" in why["changed"]["diff"]["lines"]


def test_of_two_looks_at_one_file_the_one_that_does_not_hold_is_compared(asked: Asked) -> None:
    target = asked.project.write("a.txt", "one")

    def edited_meanwhile(request: ModelRequest) -> ModelReply:
        if turns_made(request) == 1:
            target.write_text("two")
        return reads("a.txt", "a.txt")(request)

    asked.project.run(READER, edited_meanwhile)
    target.write_text("one")
    asked.project.run(READER, reads("a.txt"))
    lines = asked.why()["changed"]["diff"]["lines"]
    assert [line for line in lines if line[0] in "+-"] == ["-1\ttwo", "+1\tone"]


def test_where_the_step_did_not_look_again_what_it_gave_then_is_told(asked: Asked) -> None:
    asked.project.write("a.txt", "one")
    asked.project.run(READER, reads("a.txt"))
    asked.project.write("a.txt", "two")
    asked.project.run(READER, reads())
    changed = asked.why()["changed"]
    assert (changed["diff"], changed["looked_now"]) == (None, False)
    assert "one" in changed["then"]
    text = asked.text("why", "1")
    assert "this step did not make that call, so there is nothing to compare. Then it gave:" in text
    assert "1 one" in text


def test_a_call_of_a_tool_by_the_script_is_compared_by_its_results(asked: Asked) -> None:
    source = body("return await tool('read_file', path='a.txt')")
    asked.project.write("a.txt", "one")
    asked.project.run(source)
    asked.project.write("a.txt", "two")
    asked.project.run(source)
    lines = asked.why()["changed"]["diff"]["lines"]
    assert any(line[0] == "-" and "one" in line for line in lines)
    assert any(line[0] == "+" and "two" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "fresh", "rule", "told"),
    [
        ("", True, "fresh", "--fresh ignores answers from before the run"),
        ("cache=False", False, "cache", "cache=False ignores answers from before this lineage of runs began"),
        ("ttl=1e-6", False, "ttl", "ttl allows 0ms"),
    ],
)
def test_answers_that_are_too_old_are_named_with_the_rule(
    asked: Asked, options: str, fresh: bool, rule: str, told: str
) -> None:
    first = asked.project.run(ASKER).run.id
    asked.project.run(ASKER.replace("label=", f"{options}, label=" if options else "label="), fresh=fresh)
    why = asked.why()
    assert (why["cause"], why["too_old"]["rule"], why["too_old"]["step"]) == ("too_old", rule, f"{first}-1")
    assert told in asked.text("why", "1")


def test_a_step_that_was_refreshed_says_that_it_was_asked_for(asked: Asked) -> None:
    first = asked.project.run(ASKER).run.id
    asked.project.run(ASKER, refresh=("ask",))
    why = asked.why()
    assert (why["cause"], why["too_old"]["rule"], why["too_old"]["step"]) == ("refreshed", "refresh", f"{first}-1")
    told = f"It ran, because --refresh asked for that; the newest stored answer, {first}-1 of run {first}, was "
    assert told in asked.text("why", "1")


def test_answers_in_use_are_listed_with_the_calls_that_they_went_to(asked: Asked) -> None:
    other = "await agent('Something else', label='other')"
    voters = "return await parallel(agent('Vote', label='voter') for _ in range({}))"
    first = asked.project.run(body(voters.format(2), other).replace("return ", "")).run.id
    asked.project.run(body(voters.format(3), other).replace("return ", ""))
    assert asked.why("4")["stored"]
    why = asked.why("3")
    assert why["cause"] == "in_use"
    assert [(each["number"], each["step"]) for each in why["in_use"]] == [(1, f"{first}-1"), (2, f"{first}-2")]
    assert f"#1 voter {first}-1 #2 voter {first}-2" in asked.text("why", "3")


# ---------------------------------------------------------------- steps without an answer


def test_a_failed_step_says_so_and_that_the_next_run_begins_it_anew(asked: Asked) -> None:
    asked.project.write("a.txt", "one")
    asked.project.run(READER, fails_at(1, Refused("I will not"), "a.txt"))
    why = asked.why()
    assert (why["error"]["type"], why["next_run"]["what"]) == ("Refused", "anew")
    assert asked.text("why", "1").endswith(
        "It failed: Refused: I will not The next run tries it again, from the start."
    )


def test_a_failed_step_that_the_next_run_goes_on_with_says_after_how_many_turns(asked: Asked) -> None:
    asked.project.write("a.txt", "one")
    run = asked.project.run(READER, fails_at(1, ProviderError("down"), "a.txt")).run.id
    coming = asked.why()["next_run"]
    assert coming == {"what": "goes_on", "step": f"{run}-1", "turns": 1}
    assert f"The next run goes on with {run}-1 after its 1 finished turn" in asked.text("why", "1")


def test_a_failed_step_that_a_later_run_finished_says_who_answers_next(asked: Asked) -> None:
    failed = asked.project.run(ASKER, lambda _request: Refused("no")).run.id
    later = asked.project.run(ASKER, lambda _request: "fine").run.id
    assert asked.why(f"{failed}:1")["next_run"] == {"what": "stored", "step": f"{later}-1", "turns": 0}
    assert f"A later run has an answer: the next one takes {later}-1" in asked.text("why", f"{failed}:1")


@pytest.mark.parametrize(
    ("turns", "what", "told"),
    [
        (0, "anew", "The next run tries it again, from the start."),
        (2, "goes_on", "The next run goes on with run1-1 after its 2 finished turns, if what they saw still holds."),
    ],
)
def test_a_step_whose_process_died_is_told_to_have_no_answer(
    here: CommandHere, turns: int, what: str, told: str
) -> None:
    step = replace(a_step("run1", 1, turns=turns), status=StepStatus.RUNNING, result=None)
    fill(here.command, [a_run("run1", status=RunStatus.RUNNING, result=None, finished_at=None), step])
    why = json.loads(here("why", "run1-1", "--json").stdout)
    assert (why["answered"], why["next_run"]["what"]) == (False, what)
    text = " ".join(here("why", "run1-1").stdout.split())
    assert "The script was never given an answer by it" in text
    assert text.endswith(f"It was cut off. {told}")


# ---------------------------------------------------------------- what a store may hold


def test_an_answer_of_an_older_version_has_its_stored_reason_alone(here: CommandHere) -> None:
    step = a_step("run1", 1)
    old = replace(delivered("run1", 1, step), reason="live: by an old rule")
    fill(here.command, [a_run("run1"), step, old])
    assert json.loads(here("why", "1", "--json").stdout)["cause"] == "other"
    assert "It ran. live: by an old rule" in here("why", "1").stdout


def test_a_store_of_unknown_origin_is_named_as_the_reason(here: CommandHere) -> None:
    step = a_step("run1", 1)
    grounds = Grounds(cause=Cause.STORE_OF_UNKNOWN_ORIGIN)
    fill(here.command, [a_run("run1"), step, replace(delivered("run1", 1, step), grounds=grounds)])
    assert "nobody knows who made this store, so it answers nothing; see `vibe trust`" in here("why", "1").stdout


HOSTILE = "\x1b]0;owned\x07\x1b[2Jred\u202eevil\x9b31m\r\n+fake\x08"


def test_hostile_text_reaches_no_terminal_and_cannot_pass_for_another_line(here: CommandHere) -> None:
    old = replace(a_step("run1", 1), spec=json.dumps({"kind": "agent", "prompt": f"a {HOSTILE}", "model": HOSTILE}))
    new = replace(
        a_step("run2", 1),
        spec=json.dumps({"kind": "agent", "prompt": f"b {HOSTILE}", "model": "m", "files": [HOSTILE]}),
        status=StepStatus.FAILED,
        fault=Fault(type="Refused", message=HOSTILE),
    )
    grounds = Grounds(cause=Cause.NOTHING_STORED)
    fill(
        here.command,
        [
            a_run("run1"),
            old,
            delivered("run1", 1, old, label=HOSTILE, model_reason=HOSTILE),
            a_run("run2", started_at=2_000.0),
            new,
            replace(delivered("run2", 1, new, label=HOSTILE, phase=HOSTILE), grounds=grounds, line=14, reason=HOSTILE),
        ],
    )
    for args in (("why", "1"), ("diff",)):
        done = here(*args)
        assert done.returncode == 0, done.stderr
        assert UNSAFE.search(done.stdout) is None
        assert not any(line.startswith("+fake") for line in done.stdout.splitlines())
        assert UNSAFE.search(here(*args, "--json").stdout.replace("\n", "")) is None


def test_prompts_of_a_megabyte_are_compared_in_bounded_output(asked: Asked) -> None:
    lines = [f"line {n} of many" for n in range(30_000)]
    asked.project.run(body("return await agent('\\n'.join(f'line {n} of many' for n in range(30_000)), label='ask')"))
    edited = "'\\n'.join(f'line {n} of ' + ('few' if n % 2 else 'many') for n in range(30_000))"
    report = asked.project.run(body(f"return await agent({edited}, label='ask')"))
    assert report.exit_code is ExitCode.DONE
    diff = asked.why()["nearest"]["changes"][0]["diff"]
    assert diff["cut"]
    assert len(diff["lines"]) <= 60
    assert "-" + lines[1] in diff["lines"]
    assert "... and more" in asked.text("why", "1")


# ---------------------------------------------------------------- how a step is named


def test_a_step_is_named_by_number_by_run_and_number_or_by_its_id(asked: Asked) -> None:
    source = body("await agent('A', label='a')", "return await agent('B', label='b')")
    first = asked.project.run(source).run.id
    second = asked.project.run(source).run.id
    for name, run, number in (
        ("2", second, 2),
        (f"{first[:6]}:2", first, 2),
        (f"{second}:1", second, 1),
        (f"{first}-1", first, 1),
    ):
        why = asked.why(name)
        assert (why["run"], why["number"]) == (run, number)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("7", "has no step #7; it has 1 step, whose numbers `vibe trace"),
        ("zzz:1", "no run's id begins with 'zzz'"),
        ("zzz", "no step is called 'zzz'; give its number in the latest run (3), RUN:3"),
        ("a:b", "no step is called 'a:b'"),
    ],
)
def test_a_step_that_there_is_not_is_refused_with_what_to_give(asked: Asked, name: str, told: str) -> None:
    asked.project.run(ASKER)
    code, out, err = asked.vibe("why", name)
    assert (code, out) == (2, "")
    assert told in err


def test_the_step_of_a_run_is_found_whatever_else_the_store_holds(here: CommandHere) -> None:
    step = a_step("run1", 1)
    fill(here.command, [a_run("run1"), step, delivered("run1", 1, step), a_run("run2", started_at=2_000.0)])
    done = here("why", "1")
    assert done.returncode == 2
    assert f"run {RunId('run2')} has no step #1" in done.stderr
