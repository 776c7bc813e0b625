"""A past run as bars on a scale of time, and what its numbers are under --json; phases of many steps are folded."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.command import CommandHere
from tests.support.past_runs import fill
from tests.support.waterfall_run import BEGUN, a_waterfall_run
from vibe_workflows.cli.render.sanitize import cell_width
from vibe_workflows.engine.model import NO_USAGE, Run, RunStatus


@pytest.fixture
def past(here: CommandHere) -> CommandHere:
    fill(here.command, a_waterfall_run())
    return here


def bar_of(text: str, label: str) -> str:
    """The bar of a step, from the beginning of the scale."""
    (line,) = (line for line in text.splitlines() if label in line)
    found = re.search(r"\d(?:ms|s)  (.*?) +[\dm]+s$", line)
    assert found is not None, line
    return found[1]


def test_a_bar_begins_when_the_step_did_and_is_as_long_as_it_took(past: CommandHere) -> None:
    text = past("trace", "--waterfall").stdout
    parser, cli = bar_of(text, "review:parser"), bar_of(text, "review:cli")
    assert set(parser.strip()) == {"█"}
    assert cli.strip() == "·" * cli.count("·") + "█" * cli.count("█"), "it waited for its turn first"
    assert abs(cli.count("·") - cli.count("█")) <= 2, "for as long as it took then"
    assert cli.index("█") >= parser.rindex("█") - 1, "it began when the other one ended"


def test_waits_before_another_try_are_told_from_work(past: CommandHere) -> None:
    bar = bar_of(past("trace", "--waterfall").stdout, "review:writer").strip()
    assert "".join(dict.fromkeys(bar)) == "█░"
    assert bar[0] == bar[-1] == "█"
    assert bar.count("░") >= bar.count("█") - 3, "16 s of 33"


def test_a_step_from_the_store_is_a_mark_at_its_place(past: CommandHere) -> None:
    line = next(line for line in past("trace", "--waterfall").stdout.splitlines() if "#1 " in line)
    assert line.split() == ["=", "#1", "plan", "200ms", "=", "store"]


def test_of_many_steps_the_rest_is_drawn_together(past: CommandHere) -> None:
    lines = past("trace", "--waterfall").stdout.splitlines()
    assert len(lines) < 45
    at = next(at for at, line in enumerate(lines) if line.startswith("    the rest"))
    assert "█" in lines[at]
    assert lines[at + 1] == "    380 more; --all shows every step"
    assert sum("check:" in line for line in lines) == 20
    every = past("trace", "--waterfall", "--all").stdout.splitlines()
    assert sum("check:" in line for line in every) == 400
    assert not any("the rest" in line for line in every)


def test_a_trace_of_many_steps_shows_those_that_took_longest_and_counts_the_others(past: CommandHere) -> None:
    text = past("trace").stdout
    rows = [line.split() for line in text.splitlines() if "check:" in line]
    assert len(rows) == 20
    assert {row[-1] for row in rows} == {"1.8s"}
    assert [int(row[1]) for row in rows] == sorted(int(row[1]) for row in rows)
    assert "    380 more; --all shows every step" in text.splitlines()
    assert sum("check:" in line for line in past("trace", "--all").stdout.splitlines()) == 400


def test_below_the_tree_stand_the_budget_and_the_phases_that_were_not_reached(past: CommandHere) -> None:
    for options in ((), ("--waterfall",)):
        lines = past("trace", *options).stdout.splitlines()
        at = lines.index("· not reached: Sum up")
        assert lines[at + 1].startswith("budget  [########--]  86%  1.7M of 2M tokens, ")


def test_json_has_when_each_step_was_asked_for_began_ended_and_waited(past: CommandHere) -> None:
    run: dict[str, Any] = json.loads(past("trace", "--json").stdout)
    times = ("requested_at", "started_at", "finished_at", "delivered_at")
    steps = {step["number"]: step for step in run["steps"]}
    assert [steps[4][name] - BEGUN for name in times] == [0.5, 21.0, 40.0, 40.0]
    assert [(wait["at"] - BEGUN, wait["wait_s"]) for wait in steps[3]["waits"]] == [(9.0, 6.0), (20.0, 10.0)]
    assert steps[1]["stored"]
    assert steps[1]["delivered_at"] - BEGUN == pytest.approx(0.2)
    assert steps[1]["waits"] == []
    assert len(steps) == 404, "all of them, folded or not"


@pytest.mark.parametrize("many", [1, 31, 2_000])
def test_no_line_of_the_tree_is_wider_than_the_page(here: CommandHere, many: int) -> None:
    fill(here.command, a_waterfall_run(many))
    tree = here("trace", "--waterfall").stdout.split("\nbudget")[0].splitlines()[4:]
    assert max(map(cell_width, tree)) <= 100


def test_of_a_run_without_an_end_counts_what_it_has_answered(here: CommandHere) -> None:
    run, *records = a_waterfall_run(10)
    assert isinstance(run, Run)
    fields: dict[str, Any] = {"usage": NO_USAGE, "paid": NO_USAGE, "live_steps": 0, "stored_steps": 0, "fault": None}
    killed = replace(run, status=RunStatus.RUNNING, finished_at=None, **fields)
    fill(here.command, [killed, *records])
    lines = here("trace", "--waterfall").stdout.splitlines()
    assert "· to come: Sum up" in lines
    assert any(line.startswith("budget  [") and "60.2k of 2M tokens" in line for line in lines)
    assert lines[-1] == "14 steps: 1 from the store, 12 live, 1 failed, $0.16 paid"


def test_a_run_without_steps_has_no_bars(here: CommandHere) -> None:
    here.command.write("empty.py", "async def main(args):\n    return 1\n")
    assert here("run", "empty.py").returncode == 0
    done = here("trace", "--waterfall")
    assert done.returncode == 0
    assert "start" not in done.stdout


def test_one_step_has_no_waterfall(past: CommandHere) -> None:
    done = past("trace", "--step", "1", "--waterfall")
    assert done.returncode == 2
    assert "--step shows one step" in done.stderr
