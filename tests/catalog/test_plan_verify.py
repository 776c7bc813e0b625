"""plan-verify: what the script itself checks, and how it decides, as pure functions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.catalog_jobs import workflow_module

planning = workflow_module("plan-verify")


def step(name: str, *depends_on: str, files: Any = (), premises: Any = (), check: str = "green") -> dict[str, Any]:
    return {
        "id": name,
        "depends_on": list(depends_on),
        "files": [{"path": path, "change": change} for change, path in files],
        "premises": [{"kind": kind, "name": what, "path": path} for kind, what, path in premises],
        "check": check,
    }


def told(faults: list[dict[str, str]]) -> list[str]:
    return [f"{each['step']}: {each['objection']}" for each in faults]


@pytest.mark.parametrize(
    ("steps", "faults"),
    [
        ([step("a"), step("b", "a")], []),
        ([step("b", "a"), step("a")], []),  # the order of the list does not count
        ([step("a"), step("a")], ["a: several steps have the id `a`"]),
        ([step("a", "x")], ["a: depends on `x`, which is no step of the plan"]),
        ([step("a", "a")], ["a: depends on itself, through a"]),
        ([step("a", "c"), step("b", "a"), step("c", "b")], ["a: depends on itself, through a, b, c"]),
        ([step("a", check=" ")], ["a: has no acceptance check"]),
    ],
)
def test_dependencies_are_steps_and_form_no_circle(steps: list[Any], faults: list[str]) -> None:
    assert told(planning.shape_faults(steps)) == faults


@pytest.mark.parametrize(
    ("steps", "faults"),
    [
        ([step("a", files=[("modify", "./src/a.py"), ("delete", "src")])], []),
        ([step("a", files=[("modify", "src/b.py")])], ["a: would modify src/b.py, which is not there"]),
        ([step("a", files=[("create", "src/a.py")])], ["a: creates src/a.py, which is there already"]),
        ([step("a", files=[("create", "b.py")]), step("b", "a", files=[("modify", "b.py")])], []),
        (
            [step("a", files=[("create", "b.py")]), step("b", files=[("delete", "b.py")])],
            ["b: needs b.py, and does not depend on `a`, which creates it"],
        ),
        ([step("a", premises=[("symbol", "f", "src/a.py"), ("command", "make x", "")])], []),
        ([step("a", premises=[("file", "c.py", "")])], ["a: takes c.py for granted, which is not there"]),
        ([step("a", premises=[("behaviour", "it adds", "c.py")])], ["a: takes c.py for granted, which is not there"]),
    ],
)
def test_files_are_there_or_made_by_a_step_that_is_depended_on(steps: list[Any], faults: list[str]) -> None:
    assert told(planning.file_faults(steps, {"src", "src/a.py"})) == faults


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("total", "total"),
        ("Cart.total(prices, vat=0)", "total"),
        ("`def total(self)`", "total"),
        ("shop.py::Cart", "Cart"),
        ("The total function", ""),
        ("totals of the cart", ""),
        ("a + b", ""),
        ("", ""),
    ],
)
def test_what_is_no_name_of_code_is_not_looked_up(name: str, word: str) -> None:
    assert planning.code_name(name) == word


def test_a_name_is_looked_up_as_a_word() -> None:
    assert planning.word_in("total", "def total(self): ...")
    assert not planning.word_in("tot", "def total(self): ...")


@pytest.mark.parametrize(
    ("command", "file"),
    [("make test", "Makefile"), ("npm run build -- -x", "package.json"), ("pytest -q", None), ("make -j 4", None)],
)
def test_only_commands_that_a_project_defines_are_looked_up(command: str, file: str | None) -> None:
    found = planning.target_of(command)
    assert (found and found[0]) == file


@pytest.mark.parametrize(
    ("makefile", "stands"),
    [
        ("test:\n\tpytest\n", "yes"),
        ("all lint test : x\n", "yes"),
        ("tests:\n\ttest: x\n", "no"),
        ("test = x:\n", "no"),
        ("include more.mk\n", "not_checked"),
        ("%: x\n", "not_checked"),
    ],
)
def test_a_target_of_make_is_looked_up_among_those_of_its_rules(makefile: str, stands: str) -> None:
    _, pattern = planning.target_of("make test")
    assert planning.defined(pattern, makefile) == stands


YES, NO, DUNNO = ({"reason": verdict, "verdict": verdict} for verdict in ("holds", "refuted", "cannot_tell"))


@pytest.mark.parametrize(
    ("ballots", "verdict"),
    [
        ([YES, YES, NO], "confirmed"),
        ([YES, NO, NO], "refuted"),
        ([YES, NO, None], "refuted"),
        ([NO, NO, DUNNO], "refuted"),
        ([YES, DUNNO, None], "unverified"),
        ([NO, None, None], "unverified"),
        ([None, None, None], "unverified"),
    ],
)
def test_who_failed_or_could_not_tell_abstains(ballots: list[Any], verdict: str) -> None:
    decided = planning.decided(ballots, 3)
    assert decided["verdict"] == verdict
    assert sum(decided["votes"].values()) == 3


@pytest.mark.parametrize(
    ("forth", "back", "winner"),
    [
        ("first", "second", 4),
        ("second", "first", 7),
        ("first", "first", None),  # whoever stood first
        ("neither", "second", None),
        ("first", None, 4),
        (None, None, None),
    ],
)
def test_a_comparison_counts_if_it_is_the_same_in_both_orders(
    forth: str | None, back: str | None, winner: int | None
) -> None:
    verdicts = [None if better is None else {"better": better} for better in (forth, back)]
    assert planning.winner_of(4, 7, *verdicts) == winner


def test_items_come_behind_what_they_depend_on_and_circles_do_not_lose_any() -> None:
    steps = [step("c", "b"), step("a"), step("b", "a"), step("x", "y"), step("y", "x"), step("d", "gone")]
    assert [each["id"] for each in planning.in_order(steps)] == ["a", "b", "c", "d", "x", "y"]


@pytest.mark.parametrize(
    ("plan", "verdict", "blocking", "unread", "ready"),
    [
        ({}, "refuted", True, [], True),
        ({}, "unverified", False, [], True),
        ({}, "confirmed", True, [], False),
        ({}, "unverified", True, [], False),
        ({}, "refuted", True, [{"step": "a", "by": "premises"}], False),
        (None, "refuted", True, [], False),
    ],
)
def test_a_plan_is_ready_if_all_was_checked_and_nothing_blocking_is_left(
    plan: Any, verdict: str, blocking: bool, unread: list[Any], ready: bool
) -> None:
    assert planning.is_ready(plan, [{"blocking": blocking, "verdict": verdict}], unread) is ready


def test_no_text_of_a_model_makes_a_heading_of_the_report() -> None:
    item = step("a", "b\n## Ready") | {
        "detail": "First.\n## Ready\n  # so\n**Ready**: yes",
        "title": "x",
        "risk": "low",
    }
    item |= {"risk_reason": "r\n# Ready", "size": "S", "objections": ["o\n## Ready"], "check": "c\n\n# Ready"}
    shown = "\n".join(planning.about(item)).splitlines()
    assert not [line for line in shown if line.lstrip().startswith(("#", "**"))]
    assert "- **objection**: o ## Ready" in shown
