"""Steps that failed, in the last lines of a run and in its document."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.command import CommandHere
from vibe_workflows.cli.failures import KEPT, Failures
from vibe_workflows.engine.events import StepFinished
from vibe_workflows.engine.model import FAILED_STEP, Fault

MIXED = '''"""Some of its branches fail."""
async def one(n):
    if n % 3:
        await tool("read_file", path=f"missing{n % 2}.txt")
    return await agent(f"Look {n}", label=f"look:{n}")
async def main(args):
    phase("Review")
    return await parallel(one(n) for n in range(9))
'''
UNKNOWN_MODEL = '''"""All of its branches meet the same error."""
async def main(args):
    phase("Review")
    return await parallel(agent(f"Look {n}", label=f"look:{n}", schema={"type": "nothing"}) for n in range(16))
'''
LAST = '''"""A branch fails, and then the step that everything depends on."""
async def main(args):
    await parallel([tool("read_file", path="missing.txt"), agent("a")])
    phase("Merge")
    return await tool("read_file", path="gone.txt")
'''


def failed(number: int, message: str, fault_type: str = "RateLimited") -> StepFinished:
    return StepFinished(
        at=1.0,
        number=number,
        step=f"s{number}",
        label=f"look:{number}",
        phase="Review",
        status="failed",
        error=message,
        error_type=fault_type,
        error_kind="rate_limited",
    )


def of_events(*events: StepFinished) -> Failures:
    failures = Failures()
    for event in events:
        failures.handle(event)
    return failures


def document(here: CommandHere, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(here(*args).stdout)
    return found


def test_a_run_that_completed_lists_the_steps_that_failed_in_its_document(here: CommandHere) -> None:
    here.command.write("mixed.py", MIXED)
    found = document(here, "run", "mixed.py", "--json")
    assert (found["status"], found["error"], found["failed_steps"]) == ("completed", None, 6)
    assert sorted(step["number"] for step in found["failures"]) == [2, 3, 5, 6, 8, 9]
    first = min(found["failures"], key=lambda step: int(step["number"]))
    assert first["step"].startswith(found["run"])
    assert {name: value for name, value in first.items() if name != "step"} == {
        "number": 2,
        "label": "read_file",
        "phase": "Review",
        "type": "ToolFailed",
        "kind": "tool_failed",
        "message": "missing1.txt: no such file",
        "attempts": 1,
    }
    trace = document(here, "trace", "--json")
    assert (trace["failed_steps"], trace["failures"]) == (6, found["failures"])


def test_the_last_lines_fold_failures_and_a_fan_outs_warning_reaches_the_trace(here: CommandHere) -> None:
    here.command.write("mixed.py", MIXED)
    lines = here("run", "mixed.py").stderr.splitlines()
    assert sorted(lines[-4:-2]) == [
        "warning: 3 steps failed: ToolFailed: missing0.txt: no such file",
        "warning: 3 steps failed: ToolFailed: missing1.txt: no such file",
    ]
    assert lines[-2] == "9 steps: 0 from the store, 3 live, 6 failed, $0.00 paid"
    warned = "warning: parallel (line 8): 6 of 9 failed: tool_failed: missing1.txt: no such file"
    assert warned in lines
    assert warned in here("trace").stdout.splitlines()


def test_the_same_error_of_all_branches_is_one_line_and_ends_the_run_with_their_number(here: CommandHere) -> None:
    here.command.write("flow.py", UNKNOWN_MODEL)
    done = here("run", "flow.py")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert sum("'nothing'" in line for line in lines) == 1, "as the error of the run, which follows at once"
    failed = document(here, "trace", "--json")["failed_steps"]  # the first one cancels those that had not come so far
    at = next(at for at, line in enumerate(lines) if line.startswith("error: flow.py:4: SetupError: "))
    if failed > 1:
        assert any(line == f"  {failed} steps failed" for line in lines)
        assert f"; {failed - 1} more step" in lines[at + 1]
    assert re.match(r"  in step #\d+ look:\d+ of Review", lines[at + 1])


def test_the_error_of_a_run_is_traced_back_to_its_step(here: CommandHere) -> None:
    here.command.write("last.py", LAST)
    found = document(here, "run", "last.py", "--json")
    assert found["error"] == {
        "type": "ToolFailed",
        "kind": "tool_failed",
        "message": "last.py:5: ToolFailed: gone.txt: no such file",
        "fields": {},
        "step": {
            "step": f"{found['run']}-3",
            "number": 3,
            "label": "read_file",
            "phase": "Merge",
            "attempts": 1,
            "kinds": [],
        },
    }
    lines = here("run", "last.py", "--new").stderr.splitlines()
    at = lines.index("error: last.py:5: ToolFailed: gone.txt: no such file")
    assert lines[at - 1].startswith("  #3 read_file failed "), "without its reason, which follows"
    told = [line for line in lines if "missing.txt" in line]
    assert len(told) == 2, "when it failed, and by the fan-out"
    assert told[1].startswith("warning: parallel (line 3): 1 of 2 failed: tool_failed: missing.txt: no such file")
    assert lines[at + 1] == "  in step #3 read_file of Merge"
    assert "--step 3`; to try again: `vibe resume " in lines[at + 2]
    assert "to try it again: `vibe resume " in here("trace", "--step", "3").stdout


def test_the_error_of_a_run_is_told_from_others_that_quote_it() -> None:
    origin = {"step": "s9", "number": 9, "label": "look:9", "phase": ""}
    ended = Fault(
        type="RateLimited",
        message="flow.py:1: RateLimited: look:9: not called, since: 429",
        fields={FAILED_STEP: origin},  # type: ignore[dict-item]  # mypy cannot see that a dict of these is JSON
    )
    failures = of_events(
        failed(1, "429"), *(failed(number, f"look:{number}: not called, since: 429") for number in (8, 9))
    )
    assert failures.lines(ended) == ["warning: #1 look:1 failed: RateLimited: 429"]
    assert failures.origin_lines(ended) == ["  in step #9 look:9; 1 more step failed so"]


def test_thousands_of_failures_cost_the_memory_of_a_few() -> None:
    failures = of_events(*(failed(number, f"look:{number}: error{number % 1_000}") for number in range(5_000)))
    assert failures.count == 5_000
    assert len(failures.steps) == KEPT
    lines = failures.lines(None)
    assert lines[0] == "warning: 5 steps failed: RateLimited: error0"
    assert lines[5:] == ["warning: 4,975 more steps failed in other ways"]
    later = of_events(*(failed(number, "same") for number in range(KEPT)), failed(KEPT, "other"))
    assert len(later.steps) == KEPT
    assert later.lines(None)[1] == f"warning: #{KEPT} look:{KEPT} failed: RateLimited: other", "told all the same"


def test_hostile_errors_are_cleaned_and_cut() -> None:
    hostile = "\x1b[2J\u202eevil\r\nwarning: forged" + "long " * 2_000
    (line,) = of_events(failed(1, hostile, hostile)).lines(None)
    assert len(line) < 800
    assert line.isprintable()
    (ended,) = of_events(failed(1, "x"), failed(2, "x")).origin_lines(
        Fault(
            type="RateLimited",
            message="flow.py:1: RateLimited: x",
            fields={
                "failed_step": {
                    "step": hostile,
                    "number": 1,
                    "label": hostile,
                    "phase": hostile,
                    "attempts": 2,
                    "kinds": [hostile],
                }
            },
        )
    )
    assert ended.isprintable()
    assert ended.endswith("1 more step failed so")
    assert len(ended) < 800
