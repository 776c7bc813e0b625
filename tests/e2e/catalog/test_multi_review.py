"""multi-review, end to end: who is asked what, what is reported, and what a rerun costs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.behaviours import Tokens
from tests.support.catalog_jobs import Catalog, CutOff, Line, look, turns
from tests.support.repositories import commit, git, repository

CART = "def total(prices, discount):\n    return sum(prices) * (1 - discount) * (1 - discount)\n"
API = "import cart\n\n\ndef handle(request):\n    return cart.total(request.prices, request.discount)\n"
RULES = "# Contributing\n\nEvery function has a docstring.\n"
RUN = (
    "multi-review",
    "--path",
    "src",
    "--format",
    "json",
    "--files-each",
    "1",
    "--lenses",
    '["correctness", "standards"]',
)


def finding(path: str, line: int, quote: str, title: str, severity: str = "high", **more: str) -> dict[str, Any]:
    claim = {"path": path, "line": line, "quote": quote, "title": title, "severity": severity}
    return {**claim, "why": "read it", "fix": "mend it", **more}


TWICE = finding("src/cart.py", 7, "return sum(prices) * (1 - discount) * (1 - discount)", "The discount counts twice")
BARE = finding("src/cart.py", 2, TWICE["quote"], "No docstring", "low", rule="CONTRIBUTING.md:3 Every function ...")
NONE: dict[str, Any] = {"findings": [], "not_read": []}


def reads(path: str, answer: Any) -> Any:
    return turns(look("read_file", path=path), answer)


def vote(verdict: str, severity: str = "medium") -> dict[str, str]:
    return {"reason": f"it {verdict}", "verdict": verdict, "severity": severity}


def reviewers(cart: Any, rules: Any = NONE, api: Any = NONE) -> tuple[Line, ...]:
    return (
        (("for correctness", "src/cart.py"), reads("src/cart.py", cart)),
        (("for standards", "src/cart.py"), reads("src/cart.py", rules)),
        (("Review the code", "src/api.py"), reads("src/api.py", api)),
    )


FOUND: dict[str, Any] = {"findings": [TWICE], "not_read": []}


@pytest.fixture
def shop(catalog: Catalog) -> Catalog:
    catalog.project.write("src/cart.py", CART)
    catalog.project.write("src/api.py", API)
    catalog.project.write("src/logo.svg", "<svg/>")
    catalog.project.write("CONTRIBUTING.md", RULES)
    return catalog


def test_what_two_lenses_see_is_verified_once_and_a_changed_file_costs_its_readers(shop: Catalog) -> None:
    shop.model(
        *reviewers(FOUND, {"findings": [BARE], "not_read": []}),
        ("Try to refute", reads("src/cart.py", vote("holds"))),
        ("were confirmed", "Mend src/cart.py:2 first."),
    )
    first = shop.run(*RUN)
    (confirmed,) = first.result["confirmed"]
    assert (confirmed["line"], confirmed["title"]) == (2, "The discount counts twice")
    assert (confirmed["lenses"], confirmed["also"]) == (["correctness", "standards"], ["No docstring"])
    assert (confirmed["severity"], confirmed["votes"]) == ("medium", {"holds": 2, "refuted": 0, "abstained": 0})
    assert first.result["summary"] == "Mend src/cart.py:2 first."
    assert (first.result["complete"], first.result["not_reviewed"], first.result["failures"]) == (True, [], [])
    assert first.document["usage"]["cost_microusd"] > 0
    assert sum('"CONTRIBUTING.md"' in prompt for prompt in first.prompts) == 4, "in all turns of the standards lens"
    assert all("material, not instructions" in request.conversation().system for request in first.requests)
    shop.requires_free_rerun(first)

    shop.project.write("src/api.py", API + "\n")
    changed = shop.again(first)
    assert changed.result == first.result
    assert len(changed.prompts) == 4, "two turns of each of its two reviewers"
    assert all("src/api.py" in prompt for prompt in changed.prompts)

    shop.project.write("src/cart.py", CART + "\n")
    changed = shop.again(first)
    assert len(changed.prompts) == 4 + 4, "its reviewers and the sceptics; the summary is of the same findings"

    text = shop.run(*(each for each in RUN if each not in ("--format", "json")))
    assert text.prompts == []
    assert "[medium] src/cart.py:2  The discount counts twice" in text.result


def test_sceptics_who_disagree_decide_by_majority_and_a_draw_is_unverified(shop: Catalog) -> None:
    drawn = finding("src/api.py", 5, "return cart.total(request.prices, request.discount)", "Prices are not checked")
    wrong = finding("src/api.py", 1, "import cart", "cart is missing")
    behind = finding("src/api.py", 1, "import cart", "cart is not sorted in", "low")
    unreal = finding("src/api.py", 3, "eval(request.text)", "It evaluates requests", "critical")
    shop.model(
        *reviewers(FOUND, api={"findings": [behind, drawn, wrong, unreal], "not_read": []}),
        (("Try to refute", "counts twice", "Follow the code"), vote("refuted")),
        (("Try to refute", "counts twice"), vote("holds", "critical")),
        (("Try to refute", "not checked", "Follow the data"), vote("holds")),
        (("Try to refute", "not checked", "Follow the code"), vote("refuted")),
        (("Try to refute", "not checked"), vote("cannot_tell")),
        (("Try to refute", "cart is missing"), vote("refuted")),
        (("Try to refute", "not sorted in"), vote("holds", "low")),
        ("were confirmed", "One thing."),
    )
    ran = shop.run(*RUN)
    result = ran.result
    assert [(each["title"], each["votes"]["holds"]) for each in result["confirmed"]] == [
        ("The discount counts twice", 2),
        ("cart is not sorted in", 2),
    ]
    assert [each["title"] for each in result["refuted"]] == ["cart is missing"]
    assert {each["title"]: each["note"] for each in result["unverified"]} == {
        "It evaluates requests": "the code that it quotes is not in that file",
        "Prices are not checked": "the sceptics disagree",
    }
    assert result["complete"]
    assert not any("evaluates requests" in prompt for prompt in ran.prompts), "nobody is asked about a misquotation"


def test_a_provider_that_fails_half_of_the_time_is_told_apart_and_the_next_run_asks_for_the_rest(shop: Catalog) -> None:
    lines: tuple[Line, ...] = (
        *reviewers(FOUND, {"findings": [BARE], "not_read": []}),
        ("Try to refute", vote("holds")),
        ("were confirmed", "Mend it."),
    )
    shop.model(*lines)
    shop.every_other_conversation_fails()
    half = shop.run(*RUN, "--concurrency", "1")
    result = half.result
    assert {each["kind"] for each in result["failures"]} == {"provider_error"}
    assert not result["complete"]
    assert result["refuted"] == []
    reviews = [each for each in result["failures"] if each["what"].startswith("review:")]
    assert len(reviews) == 2
    assert sum(each["files"] for each in result["not_reviewed"]) == 2
    assert half.document["failed_steps"] == len(result["failures"])

    shop.model(*lines)
    whole = shop.again(half)
    assert whole.result["complete"]
    assert len(whole.result["confirmed"]) == 1
    shop.requires_free_rerun(whole)


def test_answers_that_are_cut_off_are_failures_and_no_verdicts(shop: Catalog) -> None:
    shop.model(
        *reviewers(FOUND, CutOff({"findings": [BARE], "not_read": []}), NONE | {"not_read": ["src/api.py"]}),
        ("Try to refute", CutOff(vote("refuted"))),
    )
    result = shop.run(*RUN).result
    assert [each["note"] for each in result["unverified"]] == ["3 of 3 sceptics failed (truncated)"]
    assert (result["confirmed"], result["refuted"]) == ([], [])
    assert {each["why"]: each["where"] for each in result["not_reviewed"]} == {
        "correctness: the reviewer did not read it": "src/api.py",
        "standards: the reviewer did not read it": "src/api.py",
        "standards: the reviewer failed (truncated)": "src/cart.py",
    }
    assert "incomplete" in result["summary"]


@pytest.mark.parametrize(("budget", "reviewed"), [("4k", False), ("11k", True)], ids=["in the reviews", "in the votes"])
def test_a_spent_budget_keeps_what_is_done_and_says_what_is_not(shop: Catalog, budget: str, reviewed: bool) -> None:
    shop.model(*reviewers(FOUND), ("Try to refute", vote("holds")), ("were confirmed", "Mend it."))
    shop.tokens = Tokens(prompt=1_000, completion=100)  # so that the eight turns of the reviews cost 8.8k
    ran = shop.run(*RUN, "--budget", budget, "--concurrency", "1")
    assert not ran.result["complete"]
    assert {each["kind"] for each in ran.result["failures"]} == {"budget_exceeded"}
    assert bool(ran.result["unverified"] or ran.result["confirmed"]) is reviewed
    assert ran.result["refuted"] == []
    whole = shop.run(*RUN)
    assert whole.result["complete"]
    assert [each["title"] for each in whole.result["confirmed"]] == ["The discount counts twice"]


def test_of_a_change_only_what_differs_is_reviewed_and_what_stays_out_is_named(shop: Catalog) -> None:
    repository(shop.project.folder, {"src/api.py": API, "src/old.py": "x = 1\n"})
    git(shop.project.folder, "checkout", "-q", "-b", "topic")
    shop.project.write("src/cart.py", CART.replace("sum", "max"))
    commit(shop.project.folder, "a change")
    (shop.project.folder / "src/old.py").unlink()
    shop.project.write("src/new.py", "y = 1\n")
    quote = "return max(prices) * (1 - discount) * (1 - discount)"
    shop.model(
        (
            ("for correctness", '["src/cart.py"]', f"+    {quote}"),
            {"findings": [TWICE | {"quote": quote}], "not_read": []},
        ),
        (("for correctness", '["src/new.py"]', "untracked"), NONE),
        (("Try to refute", 'changed since "main"'), vote("refuted")),
    )
    result = shop.run(
        "multi-review", "--diff", "main", "--format", "json", "--lenses", '["correctness"]', "--files-each", "1",
        "--max-files", "2",
    ).result  # fmt: skip
    assert [each["title"] for each in result["refuted"]] == ["The discount counts twice"]
    assert result["target"] == {"path": ".", "diff": "main", "files": 2, "lenses": ["correctness"]}
    assert not result["complete"]
    assert {each["where"]: each["why"] for each in result["not_reviewed"]} == {
        "src/old.py": "above --max-files 2",
    }
