"""Tables fit their terminal, numbers read as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.cli.render import figures
from vibe_workflows.cli.render.paint import Style
from vibe_workflows.cli.render.sanitize import cell_width
from vibe_workflows.cli.render.tables import Cell, Column, table
from vibe_workflows.cli.render.tally import Tally
from vibe_workflows.cli.render.words import summary

COLUMNS = (Column(title="id"), Column(title="note", shrinks=True), Column(title="n", right=True))


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    assert table(COLUMNS, [("a", "short", "5"), ("bb", "longer", "500")], width=None).splitlines() == [
        "id  note      n",
        "a   short     5",
        "bb  longer  500",
    ]


@given(st.lists(st.tuples(st.just("id"), st.text(max_size=200), st.just("7")), max_size=5), st.integers(30, 100))
def test_a_row_is_one_line_of_the_terminals_width(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = table(COLUMNS, rows, width=width).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(cell_width(line) <= width for line in lines)


def test_nothing_is_cut_where_nobody_looks_at_columns() -> None:
    assert "x" * 500 in table(COLUMNS, [("a", "x" * 500, "5")], width=None)


def test_a_cell_cannot_bring_its_own_colours() -> None:
    text = table(COLUMNS, [(Cell("a", Style.BAD), "\x1b[32mgreen\x1b[0m", "5")], width=None, colour=True)
    assert "\x1b[31ma \x1b[0m" in text
    assert "\x1b[32m" not in text


@pytest.mark.parametrize(
    ("microusd", "text"),
    [
        (None, "$?"),
        (0, "$0.00"),
        (1, "<$0.0001"),
        (1_234, "$0.0012"),
        (30_000, "$0.03"),
        (1_234_560_000, "$1,234.56"),
    ],
)
def test_money(microusd: int | None, text: str) -> None:
    assert figures.money(microusd) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0124, "12ms"), (0.9999, "1.0s"), (9.97, "10s"), (185, "3m05s"), (3_725, "1h02m"), (-1, "0ms")],
)
def test_durations(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 seconds"), (61, "1 minute"), (7_200, "2 hours"), (9 * 86_400 + 5, "9 days")]
)
def test_ages(seconds: float, text: str) -> None:
    assert figures.age(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(999, "999"), (12_345, "12.3k"), (999_960, "1.0M"), (4_100_000, "4.1M")])
def test_tokens(count: int, text: str) -> None:
    assert figures.tokens(count) == text


def test_the_last_line_of_a_run_says_what_was_reused_and_paid() -> None:
    assert (
        summary(Tally(stored=12, live=2), paid_microusd=30_000, paid_tokens=900, oldest_stored_s=9 * 86_400)
        == "14 steps: 12 from the store (oldest 9 days), 2 live, $0.03 paid; --fresh runs all"
    )
    assert (
        summary(Tally(live=1), paid_microusd=None, paid_tokens=8_100, oldest_stored_s=None)
        == "1 step: 0 from the store, 1 live, 8.1k tokens paid, price unknown"
    )
    assert (
        summary(Tally(live=1, failed=2, dropped=3), paid_microusd=0, paid_tokens=0, oldest_stored_s=None)
        == "6 steps: 0 from the store, 1 live, 2 failed, 3 cancelled, $0.00 paid"
    )
