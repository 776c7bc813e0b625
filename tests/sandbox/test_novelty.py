"""What is new, and when nothing is: keys compared by value, order kept, an outage no sign of dryness."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows import patterns
from vibe_workflows.patterns import dedup, dry, fresh

letters = st.sampled_from("abcde")
findings = st.lists(st.fixed_dictionaries({"path": letters, "line": st.integers(0, 2), "by": letters}), max_size=15)
scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "1", "true"])
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(letters, below, max_size=3), max_leaves=6
)


def place(finding: dict[str, Any]) -> Any:
    return [finding["path"], {"line": finding["line"]}]


@given(findings)
def test_the_first_of_each_key_is_kept_in_order(found: list[dict[str, Any]]) -> None:
    naive: list[dict[str, Any]] = []
    for each in found:
        if all(place(each) != place(kept) for kept in naive):
            naive.append(each)
    assert dedup(found, place) == dedup(iter(found), place) == naive
    assert dedup(dedup(found, place), place) == naive


@given(st.lists(json_values, max_size=8))
def test_keys_are_the_same_if_and_only_if_their_json_is(values: list[Any]) -> None:
    kept = dedup(values)
    assert [json.dumps(each) for each in kept] == [
        json.dumps(each)
        for number, each in enumerate(values)
        if json.dumps(each, sort_keys=True) not in {json.dumps(before, sort_keys=True) for before in values[:number]}
    ]


def test_equal_keys_need_not_look_alike() -> None:
    assert dedup([1, 1.0, True, "1"]) == [1, True, "1"]
    assert dedup([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, [["a", 1]], {"a": 1}]) == [
        {"a": 1, "b": [2]},
        [["a", 1]],
        {"a": 1},
    ]
    assert dedup([("a", 1), ["a", 1], {"a", 1}, {1, "a"}, {1: 2}, {True: 2}]) == [("a", 1), {"a", 1}, {1: 2}, {True: 2}]


@given(findings)
def test_what_is_merged_loses_nothing_and_stays_merged(found: list[dict[str, Any]]) -> None:
    def merge(kept: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
        return {**kept, "by": kept["by"] + other["by"]}

    merged = dedup(found, place, merge)
    assert dedup(merged, place, merge) == merged
    assert [place(each) for each in merged] == [place(each) for each in dedup(found, place)]
    for each in merged:
        assert each["by"] == "".join(other["by"] for other in found if place(other) == place(each))


@given(findings, findings)
def test_fresh_is_what_dedup_adds_to_what_was_seen(found: list[dict[str, Any]], seen: list[dict[str, Any]]) -> None:
    known = dedup(seen, place)
    new = fresh(found, seen, place)
    assert dedup([*seen, *found], place) == known + new
    assert fresh(found, [*seen, *new], place) == []
    assert fresh(found, [], place) == dedup(found, place)


@given(st.lists(st.none() | st.integers(0, 2), max_size=6), st.integers(1, 4))
def test_dry_is_a_row_of_rounds_that_brought_nothing(counts: list[int | None], rounds: int) -> None:
    row = 0
    for count in counts:
        row = row + 1 if count == 0 else 0
    assert dry(counts, rounds) == dry(iter(counts), rounds) == (row >= rounds)


untyped: Any = patterns  # as a script calls them


async def a_coroutine(*_: Any) -> str:
    return "a"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: untyped.dedup(None), TypeError, "dedup: the items are a list, not a value of type NoneType"),
        (
            lambda: untyped.dedup({"items": [1]}),
            TypeError,
            r"not a dict; hand over the list in it, such as found\['items'\]",
        ),
        (lambda: untyped.dedup("text"), TypeError, "not one text"),
        (lambda: untyped.dedup([a_coroutine()]), TypeError, "dedup: an item has not run; write dedup"),
        (
            lambda: untyped.dedup([1], a_coroutine),
            TypeError,
            "dedup: the key has to be a plain function, not an async one; await",
        ),
        (
            lambda: untyped.dedup([1], lambda each: "a".strip),
            TypeError,
            "a key is a function that nobody called",
        ),
        (
            lambda: untyped.dedup([1], lambda each: (n for n in [each])),
            TypeError,
            "a key of type generator has no value",
        ),
        (
            lambda: untyped.fresh([1], [2], lambda each: [{"a": print_later}]),
            TypeError,
            "fresh: a key is a function that nobody called",
        ),
        (lambda: untyped.dedup([bytearray(b"x")]), TypeError, "a key of type bytearray has no value to compare"),
        (
            lambda: untyped.dedup([endless()]),
            ValueError,
            "the key of an item is nested too deeply; give a text or a number",
        ),
        (
            lambda: untyped.dedup([1, 1], merge=lambda a, b: None),
            TypeError,
            "merge gave None; it must return what is kept",
        ),
        (lambda: untyped.dedup([1, 1], merge=a_coroutine), TypeError, "dedup: merge has to be a plain function"),
        (lambda: untyped.fresh([1], None), TypeError, "fresh: the seen items are a list"),
        (
            lambda: untyped.dry([[], []]),
            TypeError,
            r"a count is how much was new in one round, such as len\(found\); it is a whole",
        ),
        (lambda: untyped.dry([True, False]), TypeError, "not a value of type bool"),
        (lambda: untyped.dry([0, -1]), ValueError, "at least 0, not -1"),
        (lambda: untyped.dry([0], 0), ValueError, "the rounds are a number of counts; it is at least 1, not 0"),
        (lambda: untyped.dry(0), TypeError, "dry: the counts are a list, not a value of type int"),
    ],
)
def test_a_wrong_use_says_what_to_write(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def print_later() -> None: ...


def endless() -> list[Any]:
    within: list[Any] = []
    within.append(within)
    return within
