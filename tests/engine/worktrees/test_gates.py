"""A gate is run in the worktree, and once more on what comes of the merge where the project has moved."""

from __future__ import annotations

import json

from tests.support.deeds import edit, isolated
from vibe_workflows.engine.launch import RunReport

from .conftest import Lab

TEN = "".join(f"line {number}\n" for number in range(10))
GRANTS = {"allow": ("write", "command")}
#: Red where both lines are changed, and where none is.
ONE_OF_TWO = ["sh", "-c", "test $(grep -c LINE a.txt) = 1"]
SOME = ["grep", "-q", "LINE", "a.txt"]


def run(lab: Lab, *lines: str) -> RunReport:
    return lab.run(*lines, flags=GRANTS)


def test_a_red_gate_goes_back_to_the_agent_and_a_green_one_lands(lab: Lab) -> None:
    lab.write("a.txt", TEN)

    call = isolated([edit("a.txt", "line 2\n", "other 2\n")], gate=SOME, gate_retries=1)
    report = run(lab, f"return await {call}")
    assert report.run.fault is not None
    assert report.run.fault.type == "GateFailed"
    assert lab.read("a.txt") == TEN
    call = isolated([edit("a.txt", "line 2\n", "LINE 2\n")], gate=SOME)
    report = run(lab, f"return await {call}")
    assert report.result == b'"done"'
    assert lab.read("a.txt") == TEN.replace("line 2", "LINE 2")
    run(lab, f"return await {call}")
    assert lab.asked == 0


def test_after_a_merge_onto_a_project_that_has_moved_it_is_run_once_more(lab: Lab) -> None:
    lab.write("a.txt", TEN)
    calls = [isolated([edit("a.txt", f"line {n}\n", f"LINE {n}\n")], gate=SOME) for n in (2, 7)]
    source = f"return await parallel([{', '.join(calls)}])"
    report = run(lab, source)
    assert lab.read("a.txt") == TEN.replace("line 2", "LINE 2").replace("line 7", "LINE 7")
    gates = [call for call in lab.project.tool_calls(report.run.id) if call.name == "gate"]
    assert [call.outcome for call in gates] == ["ok"] * 3
    run(lab, source)
    assert lab.asked == 0


def test_red_after_the_merge_it_lands_nothing_and_says_what_moved(lab: Lab) -> None:
    lab.write("a.txt", TEN)
    calls = [isolated([edit("a.txt", f"line {n}\n", f"LINE {n}\n")], gate=ONE_OF_TWO) for n in (2, 7)]
    report = run(
        lab,
        f"found = await parallel([{', '.join(calls)}], on_error='return')",
        "return [[each.kind, each.message] if isinstance(each, GateFailed) else each for each in found]",
    )
    assert report.result is not None
    found = json.loads(report.result)
    (failed,) = [each for each in found if each != "done"]
    assert failed[0] == "gate_failed"
    assert "a.txt changed in the project" in failed[1]
    assert lab.read("a.txt").count("LINE") == 1
    gates = [call for call in lab.project.tool_calls(report.run.id) if call.name == "gate"]
    assert sorted(call.outcome for call in gates) == ["error", "ok", "ok"]
