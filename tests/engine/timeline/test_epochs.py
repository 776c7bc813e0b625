"""Epochs only ever grow, whatever the clock does."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.engine.timeline.epochs import Epochs


@given(st.integers(0, 10**16), st.lists(st.floats(0, 1e10), min_size=1))
def test_each_epoch_is_above_the_one_before_and_above_all_that_the_store_holds(latest: int, times: list[float]) -> None:
    clock = iter(times)
    epochs = Epochs(lambda: next(clock), latest)
    given_out = [latest, *(epochs.next() for _ in times)]
    assert all(one < other for one, other in pairwise(given_out))


def test_an_epoch_is_the_time_where_the_clock_goes_forward() -> None:
    clock = iter([1.5, 1.5, 2.0])
    epochs = Epochs(lambda: next(clock), 7)
    assert [epochs.next() for _ in range(3)] == [1_500_000, 1_500_001, 2_000_000]
