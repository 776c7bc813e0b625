"""The budget of a run as a bar and words."""

from __future__ import annotations

from typing import Any

import pytest

from vibe_workflows.cli.render.budget_bar import Spent, budget_lines
from vibe_workflows.cli.render.paint import Style, painted
from vibe_workflows.cli.render.progress import Progress
from vibe_workflows.engine.events import (
    RunFinished,
    RunLimits,
    RunStarted,
    ScriptRestarted,
    StepFinished,
    StepStarted,
    TurnFinished,
)


def bar(limits: RunLimits, *, width: int = 80, **spent: Any) -> list[str]:
    fields: dict[str, Any] = {"tokens": 0, "microusd": 0, "steps": 0, "seconds": 0.0, "paid_microusd": 0}
    return [painted(line, colour=False) for line in budget_lines(limits, Spent(**fields | spent), width=width)]


def test_each_limited_unit_is_told_and_the_bar_is_of_the_one_that_is_nearest() -> None:
    limits = RunLimits(tokens=200_000, microusd=1_500_000, seconds=600)
    assert bar(limits, tokens=96_200, microusd=180_000, seconds=190) == [
        "budget  [####------]  48%  96.2k of 200k tokens, 3m10s of 10m00s, $0.18 of $1.50"
    ]
    assert bar(limits, tokens=1, seconds=599.0)[0].startswith("budget  [#########-]  99%  9m59s of 10m00s, ")


def test_nothing_is_drawn_where_nothing_is_limited() -> None:
    assert bar(RunLimits()) == []


@pytest.mark.parametrize("width", [30, 40, 79, 119])
def test_no_line_is_wider_than_the_terminal_and_no_limit_is_left_out(width: int) -> None:
    limits = RunLimits(tokens=123_456_789, microusd=99_990_000, seconds=86_000, steps=10_000, paid_microusd=1)
    lines = bar(limits, width=width, tokens=99_999_999, microusd=1_000_000, seconds=80_000.0, steps=9, paid_microusd=1)
    assert max(map(len, lines)) <= width
    assert all(unit in "".join(lines) for unit in ("tokens", "$99.99", "23h53m", "10,000 steps", "to pay"))


@pytest.mark.parametrize(
    ("tokens", "style"), [(0, Style.GOOD), (74, Style.GOOD), (75, Style.WARN), (100, Style.BAD), (130, Style.BAD)]
)
def test_the_bar_warns_before_the_limit(tokens: int, style: Style) -> None:
    spent = Spent(tokens=tokens, microusd=0, steps=0, seconds=0.0, paid_microusd=0)
    (line,) = budget_lines(RunLimits(tokens=100), spent, width=79)
    assert line[1].style is style
    assert len(line[1].text) == len("[##########]")


def test_a_full_bar_is_a_spent_limit_and_nothing_less() -> None:
    assert "[#########-]  99%" in bar(RunLimits(tokens=1_000), tokens=999)[0]
    assert "[##########] 100%" in bar(RunLimits(tokens=1_000), tokens=1_000)[0]
    assert "[##########] 100%" in bar(RunLimits(tokens=0), tokens=1)[0]


def test_an_unknown_price_is_told_and_counts_as_nothing() -> None:
    assert bar(RunLimits(microusd=1_000_000), microusd=None) == ["budget  [----------]   0%  $? of $1.00"]


def test_what_may_be_paid_is_told_where_it_is_nearer_than_the_dollars_of_the_run() -> None:
    both = RunLimits(microusd=1_000_000, paid_microusd=10_000_000)
    assert "to pay" not in "".join(bar(both, microusd=100_000, paid_microusd=100_000))
    near = RunLimits(microusd=10_000_000, paid_microusd=1_000_000)
    assert "$0.10 of $1.00 to pay" in "".join(bar(near, microusd=100_000, paid_microusd=100_000))
    assert bar(RunLimits(paid_microusd=10_000_000)) == ["budget  [----------]   0%  $0.00 of $10.00 to pay"]


# ---------------------------------------------------------------- what a run has spent, by its events


def started(number: int) -> StepStarted:
    return StepStarted(at=1.0, number=number, step=f"s{number}", label="a", phase="P", kind="agent")


def finished(number: int, *, stored: bool = False) -> StepFinished:
    status = "cached" if stored else "completed"
    return StepFinished(
        at=3.0,
        number=number,
        step=f"s{number}",
        label="a",
        phase="P",
        status=status,
        stored=stored,
        tokens=1_000,
        cost_microusd=500,
    )


def spent(*events: Any) -> Spent:
    progress = Progress()
    progress.apply(RunStarted(at=0.0, run="r", workflow="w", lineage="r"))
    for event in events:
        progress.apply(event)
    return progress.spent(5.0)


def test_stored_steps_count_for_the_run_and_cost_the_invocation_nothing() -> None:
    turn = TurnFinished(at=2.0, number=2, step="s2", turn=1, input_tokens=300, output_tokens=100, cost_microusd=200)
    assert spent(finished(1, stored=True), started(2), turn) == Spent(
        tokens=1_400, microusd=700, steps=2, seconds=5.0, paid_microusd=200
    )


def test_a_script_that_starts_over_begins_with_an_empty_budget_and_what_it_paid() -> None:
    again = ScriptRestarted(at=4.0, number=1, step="s1")
    assert spent(started(1), finished(1), again) == Spent(tokens=0, microusd=0, steps=0, seconds=5.0, paid_microusd=500)
    assert spent(started(1), finished(1), again, finished(1, stored=True)).tokens == 1_000


def test_at_its_end_the_sums_of_the_run_itself_count() -> None:
    end = RunFinished(
        at=4.0,
        run="r",
        status="failed",
        live_steps=3,
        stored_steps=1,
        tokens=5_000,
        cost_microusd=2_500,
        paid_tokens=4_000,
        paid_microusd=2_000,
    )
    assert spent(finished(1, stored=True), started(2), end) == Spent(
        tokens=5_000, microusd=2_500, steps=4, seconds=5.0, paid_microusd=2_000
    )
