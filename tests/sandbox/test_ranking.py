"""Who meets whom, and what comes of it: no pair twice, a true order found again, nobody punished for an outage."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows import patterns
from vibe_workflows.patterns import pairings, rank

counts = st.integers(0, 25)


@given(counts)
def test_all_pairings_are_each_pair_once(count: int) -> None:
    every = pairings(count)
    assert sorted(every) == [(i, j) for i in range(count) for j in range(i + 1, count)]


@given(counts, st.integers(1, 30))
def test_nobody_sits_twice_in_a_round_and_rounds_limit_the_pairs(count: int, rounds: int) -> None:
    every, some = pairings(count), pairings(count, rounds)
    size = count // 2
    assert some == every[: rounds * size]
    for start in range(0, len(every), max(size, 1)):
        seats = [seat for pair in every[start : start + size] for seat in pair]
        assert len(seats) == len(set(seats)) == 2 * size


@given(st.integers(2, 40), st.integers(2, 5))
def test_two_rounds_link_all_items(count: int, rounds: int) -> None:
    group = list(range(count))
    for i, j in pairings(count, rounds):
        group = [group[i] if each == group[j] else each for each in group]
    assert len(set(group)) == 1


def compared(strengths: list[int], pairs: list[tuple[int, int]]) -> list[tuple[int, int, int | None]]:
    return [(i, j, i if strengths[i] > strengths[j] else j) for i, j in pairs]


@given(st.lists(st.integers(), unique=True, max_size=20))
def test_a_true_order_is_found_again_from_all_pairs(strengths: list[int]) -> None:
    assert rank(strengths, compared(strengths, pairings(len(strengths)))) == sorted(strengths, reverse=True)


outcomes_of_six = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5))
    .filter(lambda pair: pair[0] != pair[1])
    .flatmap(lambda pair: st.sampled_from([(*pair, pair[0]), (*pair, pair[1]), (*pair, None), None, ValueError("x")])),
    max_size=20,
)


@given(outcomes_of_six, st.randoms(use_true_random=False))
def test_the_order_of_the_outcomes_and_who_is_named_first_do_not_matter(
    outcomes: list[Any], chance: random.Random
) -> None:
    before = rank(list("abcdef"), outcomes)
    assert sorted(before) == list("abcdef")
    turned = [(each[1], each[0], each[2]) if isinstance(each, tuple) else each for each in outcomes]
    chance.shuffle(turned)
    assert rank(list("abcdef"), iter(turned)) == before


@given(outcomes_of_six)
def test_who_abstains_changes_nothing(outcomes: list[Any]) -> None:
    said = [each for each in outcomes if isinstance(each, tuple) and each[2] is not None]
    assert rank(list("abcdef"), outcomes) == rank(list("abcdef"), said)


@given(outcomes_of_six, st.sampled_from(range(6)), st.sampled_from(range(6)))
def test_one_more_win_never_lowers_the_winner(outcomes: list[Any], winner: int, loser: int) -> None:
    if winner == loser:
        return
    points = dict.fromkeys(range(6), 0)
    for each in outcomes:
        if isinstance(each, tuple) and each[2] is not None:
            points[each[2]] += 1
            points[each[0] + each[1] - each[2]] -= 1
    after = rank(list(range(6)), [*outcomes, (winner, loser, winner)])
    for other in range(6):
        if other not in (winner, loser) and points[winner] + 1 > points[other]:
            assert after.index(winner) < after.index(other)


def test_without_outcomes_and_among_equals_the_first_order_stays() -> None:
    assert rank(["c", "a", "b"], []) == ["c", "a", "b"]
    assert rank(["c", "a", "b"], [None, RuntimeError("down"), (0, 1, None)]) == ["c", "a", "b"]
    around = [(0, 1, 0), (1, 2, 1), (0, 2, 2)]
    assert rank(["c", "a", "b"], around) == ["c", "a", "b"]


def test_who_could_not_be_compared_stays_in_the_middle() -> None:
    assert rank(["loses", "fails", "wins"], [(0, 2, 2), (0, 1, None), None]) == ["wins", "fails", "loses"]


def test_among_equals_who_met_the_stronger_comes_first() -> None:
    # a and d have one win and one loss each; d met the one who wins always.
    outcomes = [(0, 1, 0), (0, 2, 2), (3, 4, 4), (3, 1, 3), (4, 2, 4), (4, 5, 4)]
    order = rank(list("abcdef"), outcomes)
    assert order[0] == "e"
    assert order.index("d") < order.index("a")


def test_items_may_be_anything_and_equal_ones_are_kept_apart() -> None:
    first, second = {"text": "x"}, {"text": "x"}
    ranked = rank([first, second], [(0, 1, 1)])
    assert ranked[0] is second
    assert rank([], []) == []


untyped: Any = patterns  # as a script calls them


async def a_coroutine() -> None: ...


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: untyped.pairings(["a", "b"]), TypeError, r"write pairings\(len\(items\)\)"),
        (lambda: untyped.pairings(-1), ValueError, "how many items there are; it is at least 0, not -1"),
        (lambda: untyped.pairings(2.0), TypeError, "a whole number, not a value of type float"),
        (lambda: untyped.pairings(4, 0), ValueError, "pairings: the rounds are a number; it is at least 1, not 0"),
        (lambda: untyped.rank(["a", "b"], [(0, 1, True)]), ValueError, "the winner is 0, 1, or None .* not True"),
        (lambda: untyped.rank(["a", "b"], [(0, 1, "a")]), ValueError, "the winner is 0, 1, or None .* not 'a'"),
        (lambda: untyped.rank(["a", "b"], [(0, 1, 2)]), ValueError, "not 2"),
        (lambda: untyped.rank(["a", "b"], [(0, 2, 2)]), ValueError, "no two places among 2 items, counted from 0"),
        (lambda: untyped.rank(["a", "b"], [(-1, 0, 0)]), ValueError, "no two places among 2 items"),
        (lambda: untyped.rank(["a", "b"], [(0, 0, 0)]), ValueError, "two places in the items, not"),
        (lambda: untyped.rank(["a", "b"], [("a", "b", "a")]), ValueError, "two places in the items, not"),
        (
            lambda: untyped.rank(["a", "b"], [(0, 1)]),
            ValueError,
            r"an outcome is three values, \(i, j, winner\), not 2",
        ),
        (lambda: untyped.rank(["a", "b"], [{"winner": 0}]), TypeError, "not a value of type dict"),
        (lambda: untyped.rank(["a", "b"], ["010"]), TypeError, "not a value of type str"),
        (lambda: untyped.rank(["a", "b"], [a_coroutine()]), TypeError, "rank: an outcome has not run"),
        (lambda: untyped.rank(["a", "b"], {}), TypeError, "rank: the outcomes are a list, not a dict"),
    ],
)
def test_a_wrong_use_says_what_to_write(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
