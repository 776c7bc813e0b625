"""Ranking by comparing two at a time: who meets whom, and what the outcomes come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeVar

from .checks import kind, listed, settled, whole

Item = TypeVar("Item")

#: (i, j, winner): items number i and j were compared, and `winner` is i, j, or None where nobody could say.
Outcome: TypeAlias = Sequence[int | None]


def pairings(count: int, rounds: int | None = None) -> list[tuple[int, int]]:
    """Who meets whom among `count` items: each pair (i, j), i < j, once, round by round.

    In a round nobody meets two others. All take count - 1 rounds, or count where that is odd; `rounds` keeps only the
    first ones, with at most count / 2 comparisons each. Two rounds link all items, and more make a ranking surer.

    >>> pairings(4)
    [(0, 3), (1, 2), (1, 3), (0, 2), (2, 3), (0, 1)]
    >>> len(pairings(100)), len(pairings(100, rounds=5))
    (4950, 250)
    """
    if hasattr(count, "__len__"):
        raise TypeError("pairings: the count is a number; write pairings(len(items))")
    whole("pairings", "the count is how many items there are", count, 0)
    if rounds is not None:
        whole("pairings", "the rounds are a number", rounds, 1)
    # The circle method: one seat stays, the others turn by one a round. With an odd count the seat that stays is empty.
    turning = count - 1 + count % 2
    every = turning if rounds is None else min(rounds, turning)
    return [pair for turn in range(every) for pair in _round(turn, turning, count)]


def _round(turn: int, turning: int, count: int) -> list[tuple[int, int]]:
    met = [(turn, turning)] if count > turning else []
    for step in range(1, turning // 2 + 1):
        one, other = (turn + step) % turning, (turn - step) % turning
        met.append((min(one, other), max(one, other)))
    return met


def rank(items: Iterable[Item], outcomes: Iterable[Outcome | Exception | None]) -> list[Item]:
    """The items, best first, by comparisons of two: outcomes are (i, j, winner), with i and j places in `items`.

    A win is a point, a loss takes one. Among equals those are first who met the stronger (the sum of their opponents'
    points), and then those who were first in `items`. A winner None, an outcome None and an error abstain: who could
    not be compared stays in the middle. Neither the order of the outcomes nor chance matters. Raises TypeError and
    ValueError for an outcome of another shape.

    >>> rank(["good", "best", "poor"], [(0, 1, 1), (0, 2, 0), (1, 2, 1)])
    ['best', 'good', 'poor']
    >>> rank(["a", "b", "c"], [None, (1, 2, None)])
    ['a', 'b', 'c']
    """
    held = list(listed("rank", "items", items))
    points, opponents = [0] * len(held), [0] * len(held)
    decided = [each for each in map(_decided, listed("rank", "outcomes", outcomes)) if each is not None]
    for winner, loser in decided:
        if not (0 <= winner < len(held) and 0 <= loser < len(held)):
            raise ValueError(f"rank: ({winner}, {loser}) are no two places among {len(held)} items, counted from 0")
        points[winner] += 1
        points[loser] -= 1
    for winner, loser in decided:
        opponents[winner] += points[loser]
        opponents[loser] += points[winner]
    order = sorted(range(len(held)), key=lambda place: (-points[place], -opponents[place], place))
    return [held[place] for place in order]


def _decided(outcome: Outcome | Exception | None) -> tuple[int, int] | None:
    """The winner and the loser, if there is one."""
    if outcome is None or isinstance(outcome, Exception):
        return None
    settled("rank", "an outcome", outcome)
    if not isinstance(outcome, (tuple, list)):
        raise TypeError(f"rank: an outcome is (i, j, winner), not a value of type {kind(outcome)}")
    if len(outcome) != 3:
        raise ValueError(f"rank: an outcome is three values, (i, j, winner), not {len(outcome)}")
    one, other, winner = outcome
    if type(one) is not int or type(other) is not int or one == other:
        raise ValueError(
            f"rank: an outcome is (i, j, winner) with two places in the items, not ({one!r}, {other!r}, ...)"
        )
    if winner is None:
        return None
    if type(winner) is not int or winner not in (one, other):
        raise ValueError(f"rank: the winner is {one}, {other}, or None where nobody could say, not {winner!r}")
    return (one, other) if winner == one else (other, one)
