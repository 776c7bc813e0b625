"""multi-review: how findings are placed, joined, split and decided, as pure functions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.catalog_jobs import workflow_module
from vibe_workflows.script import BudgetExceeded, Truncated

review = workflow_module("multi-review")
DOWN = Truncated("cut off")
SPENT = BudgetExceeded("no tokens are left")


def ballot(verdict: str, severity: str = "high") -> dict[str, str]:
    return {"reason": verdict, "verdict": verdict, "severity": severity}


YES, NO, DUNNO = (ballot(verdict) for verdict in ("holds", "refuted", "cannot_tell"))


def finding(path: str = "a.py", line: int = 3, **changes: Any) -> dict[str, Any]:
    plain = {
        "quote": "x = 1",
        "title": "t",
        "why": "w",
        "fix": "f",
        "severity": "low",
        "lenses": ["tests"],
        "behind": [],
    }
    return {"path": path, "line": line, **plain, **changes}


@pytest.mark.parametrize(
    ("ballots", "verdict", "note"),
    [
        ([YES, YES], "confirmed", None),
        ([YES, NO, YES], "confirmed", None),
        ([YES, NO, NO], "refuted", None),
        ([YES, DOWN, YES], "confirmed", None),
        ([NO, DOWN, NO], "refuted", None),
        ([YES, DOWN, NO], "unverified", "1 of 3 sceptics failed (truncated)"),
        ([NO, DOWN, SPENT], "unverified", "2 of 3 sceptics failed (budget_exceeded, truncated)"),
        ([YES, NO, DUNNO], "unverified", "the sceptics disagree"),
        ([NO, DUNNO, DUNNO], "unverified", "too few sceptics could tell"),
    ],
)
def test_who_failed_or_could_not_tell_never_counts_as_a_no(ballots: list[Any], verdict: str, note: str | None) -> None:
    decided = review.decided(finding(), ballots, 3)
    assert decided["verdict"] == verdict
    assert decided.get("note") == note
    assert decided["severity"] == ("high" if verdict == "confirmed" else "low")
    assert sum(decided["votes"].values()) == len(ballots)


def test_the_severity_is_the_middle_of_what_those_saw_who_confirmed_it() -> None:
    votes = [ballot("holds", "critical"), ballot("holds", "low"), ballot("refuted", "low")]
    assert review.decided(finding(severity="medium"), votes, 3)["severity"] == "low", "of two, the milder"
    votes = [ballot("holds", "critical"), ballot("holds", "low"), ballot("holds", "high")]
    assert review.decided(finding(severity="medium"), votes, 3)["severity"] == "high"


@pytest.mark.parametrize(
    ("ballots", "quorum", "is_settled"),
    [
        ([YES, YES], 2, True),
        ([NO, NO], 2, True),
        ([YES, NO], 2, False),
        ([YES, DOWN], 2, False),
        ([YES, YES, NO], 3, False),
        ([], 1, False),
    ],
)
def test_the_rest_is_asked_only_where_it_can_turn_the_vote(ballots: list[Any], quorum: int, is_settled: bool) -> None:
    assert review.settled(ballots, quorum) is is_settled


def test_of_one_line_the_worst_finding_comes_first_and_the_next_one_where_it_is_refuted() -> None:
    one = finding(severity="low", title="one", lenses=["correctness"])
    two = finding(severity="critical", title="two", lenses=["security"])
    three = finding(severity="medium", title="three", lenses=["security"])
    unmasked = finding(severity="critical", title="unmasked", note="not in that file")
    joined = review.joined(review.joined(review.joined(unmasked, one), two), three)
    first = review.told(joined | {"verdict": "confirmed"})
    assert (first["title"], first["also"]) == ("two", ["three", "one", "unmasked"])
    assert first["lenses"] == ["security", "correctness", "tests"]
    refuted = review.told(joined | {"verdict": "refuted"})
    assert (refuted["also"], refuted["lenses"]) == ([], ["security"])
    second = review.released(joined)
    assert (second["title"], second["verdict"], [each["title"] for each in second["behind"]]) == (
        "three",
        "unverified",
        ["one", "unmasked"],
    )
    assert "behind" not in first


def test_a_quote_puts_the_line_right_or_unmasks_the_finding() -> None:
    read = {"text": "import os\nx  =  1\ny = 2\nx = 1\n", "more": False}
    assert review.placed(finding(line=5), read, {})["line"] == 4, "the nearest of two"
    assert review.placed(finding(line=1, quote="2\tx = 1\n"), read, {})["line"] == 2, "as the tool shows it"
    assert "not in that file" in review.placed(finding(quote="x = 3"), read, {})["note"]
    assert "not in that file" in review.placed(finding(quote=" \n"), read, {})["note"]
    paged = {"text": "import os\x0c\u2028\nx = 1\n", "more": False}
    assert review.placed(finding(line=9), paged, {})["line"] == 2, "only a newline ends a line"
    assert "cut off" in review.placed(finding(), DOWN, {})["note"]
    gone = review.placed(finding(line=7, quote="check(user)"), read, {"a.py": "-check(user)\n+pass\n"})
    assert (gone["line"], "note" in gone) == (7, False), "a line that the change took out"


def test_the_head_of_a_diff_says_whose_it_is_and_no_line_of_a_file_does() -> None:
    hostile = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1 @@\n--- a/safe.py\n+++ b/safe.py\n"
    assert review.path_of(hostile) == "x.py"
    assert review.path_of("diff --git a/old.py b/old.py\n--- a/old.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n") == "old.py"
    assert review.path_of("diff --git a/o.py b/n.py\nrename from o.py\nrename to n.py\n") == "n.py"
    assert review.path_of("") == ""


def test_what_was_not_reviewed_is_told_by_folder_and_reason() -> None:
    left = [{"path": path, "why": "above"} for path in ("src/a.py", "src/b.py", "c.py")]
    assert review.by_folder([*left, {"path": "src/a.py", "why": "failed"}]) == [
        {"where": "src", "files": 2, "why": "above"},
        {"where": "c.py", "files": 1, "why": "above"},
        {"where": "src/a.py", "files": 1, "why": "failed"},
    ]


def test_misquoted_findings_take_no_place_of_those_that_are_verified() -> None:
    bad, good, more = finding(note="misquoted"), finding(line=1), finding(line=2)
    checked, unchecked = review.split_findings([bad, good, more], 1)
    assert [each["line"] for each in checked if "note" not in each] == [1]
    assert [each["line"] for each in unchecked] == [2]
    assert {each["verdict"] for each in checked + unchecked} == {"unverified"}
